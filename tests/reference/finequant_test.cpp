// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/kernels/activation_rows.hpp>
#include <decant/kernels/kernels.hpp>
#include <decant/reference/finequant.hpp>
#include <decant/reference/packed_matrix.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::finequant_matrix;
using decant::weight_view;

constexpr std::size_t rows = 24;
constexpr std::size_t columns = 1024;

std::vector<float> gaussian(std::uint64_t seed) {
  decant_test::random_source random(seed);
  return random.logits<float>(rows * columns, 0.05);
}

finequant_matrix quantised(const std::vector<float>& weights, int bits, std::size_t group) {
  auto matrix = finequant_matrix::quantise({weights, rows, columns}, bits, group);
  REQUIRE(matrix.has_value());
  return std::move(*matrix);
}

}  // namespace

TEST_CASE("a Gaussian matrix keeps one group per output at eight bits, by both rules") {
  const std::vector<float> weights = gaussian(1);
  CHECK(decant::group_by_range({weights, rows, columns}, 64) == columns);
  // The range of 64 Gaussian weights is a good deal smaller than that of 1024: a tenth more error is not enough.
  CHECK(*decant::group_by_error({weights, rows, columns}, 8, 512) == columns);
  CHECK(*decant::group_by_error({weights, rows, columns}, 8, 64, 1.0) == columns);
  CHECK(*decant::group_by_error({weights, rows, columns}, 8, 64) < columns);
}

TEST_CASE("one weight a hundred times as large forces the smallest groups") {
  std::vector<float> weights = gaussian(2);
  weights[5 * columns + 700] *= 100;
  CHECK(decant::group_by_range({weights, rows, columns}, 64) == 64);
  CHECK(*decant::group_by_error({weights, rows, columns}, 4, 64) == 64);
}

TEST_CASE("every weight is within half a step, and codes use the whole range") {
  const std::vector<float> weights = gaussian(3);
  for (const int bits : {4, 8}) {
    for (const std::size_t group : {std::size_t{32}, std::size_t{256}, columns}) {
      CAPTURE(bits, group);
      const finequant_matrix matrix = quantised(weights, bits, group);
      int wrong = 0;
      for (std::size_t first = 0; first < weights.size(); first += group) {
        float greatest = 0;
        for (std::size_t i = first; i < first + group; ++i) greatest = std::max(greatest, std::fabs(weights[i]));
        const float step = 2 * greatest / static_cast<float>((1 << bits) - 1);
        // Rounding the scale to binary16 moves the ends of the range by up to 2^-11 of it.
        const float bound = step * 0.5F + greatest * 0x1p-10F;
        for (std::size_t i = first; i < first + group; ++i) {
          wrong += std::fabs(matrix.value(i) - weights[i]) <= bound ? 0 : 1;
        }
      }
      CHECK(wrong == 0);
      CHECK(matrix.bits_per_weight() == bits + 16.0 / static_cast<double>(group));
    }
  }
  CHECK(quantised(weights, 4, 64).relative_error(weights) < quantised(weights, 4, columns).relative_error(weights));
  CHECK(quantised(weights, 8, 64).relative_error(weights) < 0.01);
}

TEST_CASE("blocks have the values of the matrix, and the packed kernels multiply with them") {
  const std::vector<float> weights = gaussian(4);
  for (const int bits : {4, 8}) {
    CAPTURE(bits);
    const finequant_matrix matrix = quantised(weights, bits, 128);
    const std::vector<std::byte> bytes = matrix.blocks();
    std::vector<float> values(weights.size());
    decant::dequantise(matrix.block_type(), bytes, values);
    int wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) wrong += values[i] == matrix.value(i) ? 0 : 1;
    CHECK(wrong == 0);

    const decant::gguf_tensor tensor{"w", matrix.block_type(), 2, {columns, rows, 1, 1}, 0, bytes};
    const auto packed = decant::packed_matrix::pack(tensor);
    REQUIRE(packed.has_value());
    decant::activation_rows input;
    REQUIRE(input.allocate(1, columns).has_value());
    decant_test::random_source random(5);
    for (std::size_t k = 0; k < columns; ++k) input.row(0)[k] = static_cast<float>(random.normal());
    for (const decant::instruction_set set : decant::every_instruction_set) {
      if (!decant::runs(set)) continue;
      const decant::cpu::kernel_table& kernels = decant::cpu::kernels_of(set);
      input.quantise(kernels, 0);
      std::vector<float> out(32);
      packed->multiply(kernels, input.view(), 1, out.data(), 32, false, 0, 2, decant::activation_kind::floats);
      std::vector<float> fused(32);
      packed->multiply(kernels, input.view(), 1, fused.data(), 32, false, 0, 2);
      for (std::size_t r = 0; r < rows; ++r) {
        double exact = 0;
        double size = 0;
        for (std::size_t k = 0; k < columns; ++k) {
          const double term = static_cast<double>(matrix.value(r * columns + k)) * static_cast<double>(input.row(0)[k]);
          exact += term;
          size += term * term;
        }
        CHECK(decant_test::near(static_cast<double>(out[r]), exact, 1e-5 * std::sqrt(size)));
        CHECK(decant_test::near(static_cast<double>(fused[r]), exact, 0.05 * std::sqrt(size)));  // int8 activations
      }
    }
  }
}

TEST_CASE("groups divide the columns, and what cannot be quantised is refused") {
  CHECK(decant::finequant_groups(576, 64) == std::vector<std::size_t>{576, 192, 64});
  CHECK(decant::finequant_groups(576, 32) == std::vector<std::size_t>{576, 288, 192, 96, 64, 32});
  CHECK(decant::finequant_groups(100, 32).empty());
  std::vector<float> weights(64, 0.0F);
  const auto zeros = finequant_matrix::quantise({weights, 1, 64}, 4, 64);
  REQUIRE(zeros.has_value());
  CHECK(zeros->relative_error(weights) == 0);
  CHECK(zeros->value(3) == 0);
  CHECK_FALSE(finequant_matrix::quantise({weights, 1, 64}, 3, 64).has_value());
  CHECK_FALSE(finequant_matrix::quantise({weights, 1, 64}, 4, 48).has_value());
  CHECK_FALSE(finequant_matrix::quantise({weights, 2, 64}, 4, 64).has_value());
  CHECK_FALSE(decant::group_by_error({weights, 1, 64}, 4, 0).has_value());
  CHECK_FALSE(decant::group_by_error({weights, 1, 64}, 4, 96).has_value());
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(), 1e30F}) {
    weights[7] = bad;
    CHECK_FALSE(finequant_matrix::quantise({weights, 1, 64}, 8, 64).has_value());
  }
}
