// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/kernels/activation_rows.hpp>
#include <decant/kernels/kernels.hpp>
#include <decant/reference/k_quantisation.hpp>
#include <decant/reference/packed_matrix.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::tensor_type;
using row_type = std::vector<float>;

constexpr tensor_type k_types[] = {tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k};
constexpr std::size_t size = decant::block::k_elements;

std::vector<std::byte> encoded(tensor_type type, const row_type& row) {
  std::vector<std::byte> bytes(decant::row_bytes(type, row.size()), std::byte{0xAA});
  decant::quantise(type, row, bytes);
  return bytes;
}
row_type decoded(tensor_type type, const std::vector<std::byte>& bytes, std::size_t elements) {
  row_type row(elements);
  decant::dequantise(type, bytes, row);
  return row;
}
row_type round_trip(tensor_type type, const row_type& row) { return decoded(type, encoded(type, row), row.size()); }

// The norm of the difference over that of the first row.
double relative_error(const row_type& exact, const row_type& row) {
  double wrong = 0;
  double whole = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = static_cast<double>(row[i]) - static_cast<double>(exact[i]);
    wrong += difference * difference;
    whole += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
  }
  return std::sqrt(wrong / whole);
}

row_type gaussian(std::size_t elements, std::uint64_t seed) {
  decant_test::random_source random(seed);
  return random.logits<float>(elements, 0.05);
}

std::size_t scale_at(tensor_type type) { return type == tensor_type::q6_k ? 208 : 0; }

}  // namespace

TEST_CASE("a Gaussian row loses less by a K type than by a type of 32 elements and more bits") {
  const row_type row = gaussian(128 * size, 1);
  const auto error = [&](tensor_type type) { return relative_error(row, round_trip(type, row)); };
  CHECK(error(tensor_type::q4_k) < 0.072);
  CHECK(error(tensor_type::q4_k) < 0.92 * error(tensor_type::q4_1));
  CHECK(error(tensor_type::q5_k) < 0.036);
  CHECK(error(tensor_type::q5_k) < 0.94 * error(tensor_type::q5_1));
  CHECK(error(tensor_type::q6_k) < 0.0175);
}

TEST_CASE("rows of every shape stay near their values in a K type") {
  decant_test::random_source random(2);
  for (const tensor_type type : k_types) {
    CAPTURE(decant::traits_of(type).name);
    // The step of a group over its range, and half of it again for the rounding of scales and minima.
    const double steps = type == tensor_type::q4_k ? 15 : type == tensor_type::q5_k ? 31 : 63;
    for (int trial = 0; trial < 60; ++trial) {
      row_type row = random.logits<float>(size, random.uniform(1e-3, 1e3));
      const auto shift = static_cast<float>(random.uniform(-1, 1)) * std::fabs(row[0]);
      if (trial % 3 == 1) {
        for (float& x : row) x += shift;  // groups away from zero
      }
      if (trial % 3 == 2) row[random.below(size)] *= 30;  // an outlier sets the unit of all scales
      float greatest = 0;
      for (const float x : row) greatest = std::max(greatest, std::fabs(x));
      const row_type back = round_trip(type, row);
      double worst = 0;
      for (std::size_t i = 0; i < size; ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(row[i]) - static_cast<double>(back[i])));
      }
      CHECK(worst <= 1.5 * 2 * static_cast<double>(greatest) / steps);
    }
  }
}

TEST_CASE("what a K type holds comes back nearly as it is") {
  for (const tensor_type type : k_types) {
    CAPTURE(decant::traits_of(type).name);
    const row_type held = round_trip(type, gaussian(64 * size, 3));
    CHECK(relative_error(held, round_trip(type, held)) < 0.01);
  }
}

TEST_CASE("quantising to Q4_K, Q5_K and Q6_K gives the bytes of the format where a row fits exactly") {
  // Scales and minima in whole steps of 1, all codes in every group.
  constexpr std::array scales{63, 5, 17, 33, 48, 21, 10, 62};
  constexpr std::array minima{1, 63, 0, 20, 33, 47, 16, 2};
  const auto shifted = [&](std::size_t i, std::size_t codes, std::size_t stride) {
    const std::size_t g = i / 32;
    return static_cast<float>(scales[g] * static_cast<int>((stride * i + g) % codes) - minima[g]);
  };
  // Where fields lie is written down here once more, from the description of the format.
  constexpr std::array<int, 16> header{0x00, 0x3C, 0x00, 0x3C,                          // d = 1, dmin = 1
                                       0xFF, 0x45, 0x11, 0xE1, 0x81, 0xBF, 0x40, 0x14,  // low six, top two of 4..7
                                       0x10, 0xF5, 0x0A, 0x2E};                         // low nibbles of groups 4..7
  row_type row(size);
  for (std::size_t i = 0; i < size; ++i) row[i] = shifted(i, 16, 7);
  const std::vector<std::byte> q4 = encoded(tensor_type::q4_k, row);
  for (std::size_t i = 0; i < header.size(); ++i) CHECK(std::to_integer<int>(q4[i]) == header[i]);
  CHECK(std::to_integer<int>(q4[16]) == 0x10);   // elements 0 and 32: codes 0 and 1
  CHECK(std::to_integer<int>(q4[17]) == 0x87);   // elements 1 and 33: codes 7 and 8
  CHECK(std::to_integer<int>(q4[143]) == 0x0F);  // elements 223 and 255
  CHECK(decoded(tensor_type::q4_k, q4, size) == row);

  for (std::size_t i = 0; i < size; ++i) row[i] = shifted(i, 32, 11);
  const std::vector<std::byte> q5 = encoded(tensor_type::q5_k, row);
  for (std::size_t i = 0; i < header.size(); ++i) CHECK(std::to_integer<int>(q5[i]) == header[i]);
  CHECK(std::to_integer<int>(q5[16]) == 0);     // the fifth bits of elements 0, 32, ... 224: codes 0..7
  CHECK(std::to_integer<int>(q5[18]) == 0xFF);  // of elements 2, 34, ...: codes 22..29
  CHECK(std::to_integer<int>(q5[50]) == 0x76);  // elements 2 and 34: codes 22 and 23
  CHECK(decoded(tensor_type::q5_k, q5, size) == row);

  for (std::size_t i = 0; i < size; ++i) {
    const auto g = static_cast<int>(i / 16);
    const auto level = static_cast<int>((5 * i + static_cast<std::size_t>(g)) % 16);
    row[i] = static_cast<float>((g % 2 == 0 ? 8 * g - 128 : 127 - 5 * g) * (4 * level - 32 + (level > 0 ? g % 4 : 0)));
  }
  const std::vector<std::byte> q6 = encoded(tensor_type::q6_k, row);
  CHECK(decant::block::half_at(q6.data() + 208) == 1);
  for (int g = 0; g < 16; ++g) {
    const auto step = std::to_integer<std::uint8_t>(q6[static_cast<std::size_t>(192 + g)]);
    CHECK(static_cast<std::int8_t>(step) == (g % 2 == 0 ? 8 * g - 128 : 127 - 5 * g));
  }
  CHECK(decoded(tensor_type::q6_k, q6, size) == row);
}

TEST_CASE("zeros are exact in a K type, and constants nearly") {
  for (const tensor_type type : k_types) {
    CAPTURE(decant::traits_of(type).name);
    const row_type zeros(size, 0.0F);
    CHECK(round_trip(type, zeros) == zeros);
    CHECK(round_trip(type, row_type(size, -0.0F)) == zeros);
    CHECK(round_trip(type, row_type(size, 1e-20F)) == zeros);  // d vanishes in binary16
    for (const float value : {2.0F, -2.0F, 0.37F, -1e-3F, 1e-4F, 0x1p21F, -0x1p21F}) {
      const row_type row(size, value);
      const double bound = std::fabs(value) > 0.1F ? 0x1p-10 : 0.01;  // d has few bits when it is tiny
      CHECK(relative_error(row, round_trip(type, row)) < bound);
    }
    row_type spike(size, 0.0F);
    spike[77] = -3.0F;
    CHECK(relative_error(spike, round_trip(type, spike)) < 0x1p-10);
  }
}

TEST_CASE("a K block that holds no number is refused by who loads it, the others stay as they are") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const row_type good = gaussian(3 * size, 4);
  for (const tensor_type type : k_types) {
    const std::vector<std::byte> expected = encoded(type, good);
    const std::size_t bytes_per_block = decant::traits_of(type).block_bytes;
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), infinity, -infinity, 2.1e6F, -3e38F}) {
      CAPTURE(decant::traits_of(type).name, bad);
      row_type row = good;
      row[size + 100] = bad;
      const std::vector<std::byte> bytes = encoded(type, row);
      CHECK(std::isnan(decant::block::half_at(bytes.data() + bytes_per_block + scale_at(type))));
      int different = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        different += i / bytes_per_block != 1 && bytes[i] != expected[i] ? 1 : 0;
      }
      CHECK(different == 0);
      const decant::gguf_tensor tensor{"poisoned", type, 2, {row.size(), 1, 1, 1}, 0, bytes};
      const auto packed = decant::packed_matrix::pack(tensor);
      REQUIRE(packed.code() == decant::error_code::file_malformed);
      CHECK(std::string(packed.error().message().c_str()).find("poisoned") != std::string::npos);
    }
  }
}

TEST_CASE("packed products of quantised K rows equal float64, with the same bits on every instruction set") {
  constexpr std::size_t rows = 20;
  constexpr std::size_t columns = 3 * size;
  constexpr std::size_t width = 9;
  decant::activation_rows input;
  REQUIRE(input.allocate(width, columns).has_value());
  decant_test::random_source random(6);
  for (std::size_t c = 0; c < width; ++c) {
    for (std::size_t k = 0; k < columns; ++k) input.row(c)[k] = static_cast<float>(random.normal());
    input.quantise(decant::cpu::kernels_of(decant::instruction_set::scalar), c);
  }
  const decant::cpu::activation_view view = input.view();
  for (const tensor_type type : k_types) {
    const std::vector<std::byte> bytes = encoded(type, gaussian(rows * columns, 5));
    const row_type weights = decoded(type, bytes, rows * columns);
    const decant::gguf_tensor tensor{"w", type, 2, {columns, rows, 1, 1}, 0, bytes};
    const auto packed = decant::packed_matrix::pack(tensor);
    REQUIRE(packed.has_value());
    const std::size_t stride = packed->groups() * decant::cpu::group_rows;
    row_type first;
    for (const decant::instruction_set set : decant::every_instruction_set) {
      if (!decant::runs(set)) continue;
      CAPTURE(decant::traits_of(type).name, decant::name_of(set));
      row_type out(width * stride);
      packed->multiply(decant::cpu::kernels_of(set), view, width, out.data(), stride, false, 0, packed->groups());
      int wrong = 0;
      for (std::size_t c = 0; c < width; ++c) {
        for (std::size_t r = 0; r < rows; ++r) {
          double exact = 0;
          double whole = 0;
          for (std::size_t k = 0; k < columns; ++k) {
            const decant::cpu::activation_block& block = view.blocks[c * view.block_stride + k / 32];
            const double term = static_cast<double>(weights[r * columns + k]) * static_cast<double>(block.scale) *
                                static_cast<double>(block.codes[k % 32]);
            exact += term;
            whole += std::abs(term);
          }
          wrong += std::abs(static_cast<double>(out[c * stride + r]) - exact) <= 2e-6 * whole ? 0 : 1;
        }
      }
      CHECK(wrong == 0);
      if (first.empty()) first = out;
      CHECK(out == first);
    }
  }
}
