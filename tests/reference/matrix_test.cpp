// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packed matrices and kernels: against float64, against each other bit for bit, and for every width of a batch.
#include <decant/reference/activation_rows.hpp>
#include <decant/reference/kernels.hpp>
#include <decant/reference/packed_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::instruction_set;
using decant::packed_matrix;
using decant::tensor_type;
namespace cpu = decant::cpu;

std::vector<const cpu::kernel_table*> kernel_sets() {
  std::vector<const cpu::kernel_table*> sets{&cpu::kernels_of(instruction_set::scalar)};
  if (decant::runs(instruction_set::avx2)) sets.push_back(&cpu::kernels_of(instruction_set::avx2));
  return sets;
}

// A random tensor of {columns, rows} with its bytes and its exact values.
struct random_tensor {
  std::vector<std::byte> bytes;
  std::vector<float> values;
  decant::gguf_tensor tensor;

  random_tensor(tensor_type type, std::size_t rows, std::size_t columns, std::uint64_t seed)
      : bytes(decant::row_bytes(type, columns) * rows), values(rows * columns) {
    decant_test::random_source random(seed);
    decant::quantise(type, random.logits<float>(values.size(), 0.5), bytes);
    decant::dequantise(type, bytes, values);
    tensor.name = "t";
    tensor.type = type;
    tensor.dimensions = {columns, rows, 1, 1};
    tensor.bytes = bytes;
  }
  random_tensor(const random_tensor&) = delete;
};

decant::activation_rows random_activations(const cpu::kernel_table& kernels, std::size_t rows, std::size_t length,
                                           std::uint64_t seed) {
  decant::activation_rows activations;
  REQUIRE(activations.allocate(rows, length).has_value());
  decant_test::random_source random(seed);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < length; ++k) activations.row(r)[k] = static_cast<float>(random.normal());
    activations.quantise(kernels, r);
  }
  return activations;
}

// The product of a packed matrix as a vector, `rows padded to 16` values a column.
std::vector<float> product(const cpu::kernel_table& kernels, const packed_matrix& matrix,
                           const decant::activation_rows& input, std::size_t columns, float start = 0,
                           bool accumulate = false) {
  const std::size_t stride = matrix.groups() * cpu::group_rows;
  std::vector<float> out(columns * stride, start);
  matrix.multiply(kernels, input.view(), columns, out.data(), stride, accumulate, 0, matrix.groups());
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Activation element k of row r as the quantised kernels see it.
double seen_by_integers(const decant::activation_rows& input, std::size_t r, std::size_t k) {
  const cpu::activation_view view = input.view();
  const double scale = static_cast<double>(view.scales[r * view.block_stride + k / 32]);
  return scale * static_cast<double>(view.codes[r * view.stride + k]);
}

const tensor_type every_type[] = {tensor_type::f32,  tensor_type::f16,  tensor_type::bf16, tensor_type::q4_0,
                                  tensor_type::q4_1, tensor_type::q5_0, tensor_type::q5_1, tensor_type::q8_0};

}  // namespace

TEST_CASE("packing keeps every value of every type") {
  for (const tensor_type type : every_type) {
    for (const std::size_t rows : {std::size_t{1}, std::size_t{16}, std::size_t{19}}) {
      CAPTURE(decant::traits_of(type).name, rows);
      const random_tensor source(type, rows, 96, rows);
      const auto matrix = packed_matrix::pack(source.tensor);
      REQUIRE(matrix.has_value());
      CHECK(matrix->rows() == rows);
      CHECK(matrix->columns() == 96);
      std::vector<float> row(96);
      for (std::size_t r = 0; r < rows; ++r) {
        matrix->unpack_row(r, row.data());
        CHECK(std::equal(row.begin(), row.end(), source.values.begin() + static_cast<std::ptrdiff_t>(r * 96)));
      }
    }
  }
}

TEST_CASE("K types are packed as floats") {
  for (const tensor_type type : {tensor_type::q4_k, tensor_type::q5_k, tensor_type::q6_k}) {
    std::vector<std::byte> bytes(decant::row_bytes(type, 256));
    for (std::size_t k = 0; k < bytes.size(); ++k) bytes[k] = static_cast<std::byte>(37 * k % 101 & 0x3F);
    std::vector<float> values(256);
    decant::dequantise(type, bytes, values);
    decant::gguf_tensor tensor;
    tensor.type = type;
    tensor.dimensions = {256, 1, 1, 1};
    tensor.bytes = bytes;
    const auto matrix = packed_matrix::pack(tensor);
    REQUIRE(matrix.has_value());
    CHECK(matrix->format() == decant::packed_format::f32);
    std::vector<float> row(256);
    matrix->unpack_row(0, row.data());
    CHECK(row == values);
  }
}

TEST_CASE("a tensor with a scale that is not finite is refused by name") {
  for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::q5_0, tensor_type::f32}) {
    random_tensor source(type, 3, 64, 1);
    std::byte* last_row = source.bytes.data() + 2 * decant::row_bytes(type, 64);
    if (type == tensor_type::f32) {
      const float nan = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(last_row, &nan, sizeof nan);
    } else {
      decant::block::store_u16(last_row, 0x7C00);
    }
    source.tensor.name = "poisoned";
    const auto matrix = packed_matrix::pack(source.tensor);
    REQUIRE(matrix.code() == decant::error_code::file_malformed);
    CHECK(std::strstr(matrix.error().message().c_str(), "poisoned") != nullptr);
  }
}

TEST_CASE("quantised products equal float64 on the same codes at tile edges") {
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::q4_0, tensor_type::q5_0}) {
      for (const std::size_t rows :
           {std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{17}, std::size_t{40}}) {
        for (const std::size_t length : {std::size_t{32}, std::size_t{96}, std::size_t{576}}) {
          CAPTURE(decant::traits_of(type).name, rows, length);
          const random_tensor source(type, rows, length, rows * length);
          const auto matrix = packed_matrix::pack(source.tensor);
          REQUIRE(matrix.has_value());
          const decant::activation_rows input = random_activations(*kernels, 5, length, 9);
          const std::vector<float> out = product(*kernels, *matrix, input, 5);
          double worst = 0;
          for (std::size_t c = 0; c < 5; ++c) {
            for (std::size_t r = 0; r < rows; ++r) {
              double exact = 0;
              double size = 0;
              for (std::size_t k = 0; k < length; ++k) {
                const double term = static_cast<double>(source.values[r * length + k]) * seen_by_integers(input, c, k);
                exact += term;
                size += std::abs(term);
              }
              const double got = static_cast<double>(out[c * matrix->groups() * 16 + r]);
              worst = std::max(worst, std::abs(got - exact) / (size + 1e-9));
            }
          }
          CHECK(worst < 2e-6);
        }
      }
    }
  }
}

TEST_CASE("float products equal float64 at tile edges") {
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (const std::size_t rows : {std::size_t{1}, std::size_t{16}, std::size_t{23}}) {
      for (const std::size_t length :
           {std::size_t{1}, std::size_t{3}, std::size_t{4}, std::size_t{30}, std::size_t{257}}) {
        CAPTURE(rows, length);
        const random_tensor source(tensor_type::f32, rows, length, rows + length);
        const auto matrix = packed_matrix::pack(source.tensor);
        REQUIRE(matrix.has_value());
        const decant::activation_rows input = random_activations(*kernels, 3, length, 2);
        const std::vector<float> out = product(*kernels, *matrix, input, 3);
        double worst = 0;
        for (std::size_t c = 0; c < 3; ++c) {
          for (std::size_t r = 0; r < rows; ++r) {
            double exact = 0;
            double size = 0;
            for (std::size_t k = 0; k < length; ++k) {
              const double term = static_cast<double>(source.values[r * length + k]) *
                                  static_cast<double>(input.view().values[c * input.stride() + k]);
              exact += term;
              size += std::abs(term);
            }
            const double got = static_cast<double>(out[c * matrix->groups() * 16 + r]);
            worst = std::max(worst, std::abs(got - exact) / (size + 1e-9));
          }
        }
        CHECK(worst < 1e-6);
      }
    }
  }
}

TEST_CASE("products have the same bits on every instruction set, for every batch and every split") {
  constexpr std::size_t widest = 64;
  constexpr std::size_t rows = 37;
  for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::f32}) {
    CAPTURE(decant::traits_of(type).name);
    const random_tensor source(type, rows, 160, 5);
    const auto matrix = packed_matrix::pack(source.tensor);
    REQUIRE(matrix.has_value());
    const cpu::kernel_table& scalar = cpu::kernels_of(instruction_set::scalar);
    const decant::activation_rows input = random_activations(scalar, widest, 160, 6);
    const std::vector<float> whole = product(scalar, *matrix, input, widest);
    const std::size_t stride = matrix->groups() * cpu::group_rows;
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      for (std::size_t columns = 1; columns <= widest; ++columns) {
        CAPTURE(columns);
        const std::vector<float> part = product(*kernels, *matrix, input, columns);
        CHECK(std::memcmp(part.data(), whole.data(), part.size() * sizeof(float)) == 0);
      }
      std::vector<float> pieces(widest * stride);
      for (std::size_t g = 0; g < matrix->groups(); ++g) {
        matrix->multiply(*kernels, input.view(), widest, pieces.data(), stride, false, g, g + 1);
      }
      CHECK(same_bits(pieces, whole));
    }
  }
}

TEST_CASE("accumulating adds the product once to what is there") {
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::f32}) {
      const random_tensor source(type, 20, 64, 8);
      const auto matrix = packed_matrix::pack(source.tensor);
      REQUIRE(matrix.has_value());
      const decant::activation_rows input = random_activations(*kernels, 3, 64, 3);
      std::vector<float> expected = product(*kernels, *matrix, input, 3);
      for (float& x : expected) x = 0.75F + x;
      CHECK(same_bits(product(*kernels, *matrix, input, 3, 0.75F, true), expected));
    }
  }
}

TEST_CASE("extreme codes do not saturate") {
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (const bool eight_bits : {false, true}) {
      const tensor_type type = eight_bits ? tensor_type::q8_0 : tensor_type::q4_1;
      random_tensor source(type, 16, 64, 1);
      for (std::byte& b : source.bytes) b = eight_bits ? std::byte{0x80} : std::byte{0xFF};
      const std::size_t block_bytes = decant::traits_of(type).block_bytes;
      for (std::size_t b = 0; b < source.bytes.size(); b += block_bytes) {
        decant::block::store_u16(source.bytes.data() + b, 0x3C00);
        if (!eight_bits) decant::block::store_u16(source.bytes.data() + b + 2, 0);
      }
      const auto matrix = packed_matrix::pack(source.tensor);
      REQUIRE(matrix.has_value());
      for (const float x : {1.0F, -1.0F}) {
        decant::activation_rows input;
        REQUIRE(input.allocate(1, 64).has_value());
        for (std::size_t k = 0; k < 64; ++k) input.row(0)[k] = 127.0F * x;
        input.quantise(*kernels, 0);
        const double code = eight_bits ? -128 : 15;
        for (const float y : product(*kernels, *matrix, input, 1)) {
          CHECK(static_cast<double>(y) == 64 * 127 * code * static_cast<double>(x));
        }
      }
    }
  }
}

TEST_CASE("activation quantisation rounds to nearest even, marks poison and is the same on every set") {
  decant_test::random_source random(77);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<float> x = random.logits<float>(32, std::exp(random.uniform(-20, 20)));
    if (trial == 0) std::fill(x.begin(), x.end(), 0.0F);
    if (trial == 1) x[7] = std::numeric_limits<float>::infinity();
    if (trial == 2) x[31] = std::numeric_limits<float>::quiet_NaN();
    if (trial == 3) std::fill(x.begin(), x.end(), 1e-33F);
    if (trial == 4) x = {std::vector<float>(32, 0.5F)}, x[0] = 127.0F, x[1] = 1.5F, x[2] = -2.5F;
    std::int8_t first_codes[32] = {};
    float first_scale = 0;
    float first_sum = 0;
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      std::int8_t codes[32];
      float scale = 0;
      float sum = 0;
      kernels->quantise(x.data(), 1, codes, &scale, &sum);
      if (trial == 1 || trial == 2) {
        CHECK(std::isnan(scale));
        continue;
      }
      int total = 0;
      for (std::size_t i = 0; i < 32; ++i) {
        total += codes[i];
        const double error = std::abs(static_cast<double>(scale) * codes[i] - static_cast<double>(x[i]));
        CHECK(error <= 0.5001 * static_cast<double>(scale) + 1e-30);
      }
      CHECK(sum == scale * static_cast<float>(total));
      if (trial == 4) CHECK((codes[0] == 127 && codes[1] == 2 && codes[2] == -2 && codes[3] == 0));
      if (kernels == kernel_sets().front()) {
        std::memcpy(first_codes, codes, 32);
        first_scale = scale;
        first_sum = sum;
      }
      CHECK(std::memcmp(codes, first_codes, 32) == 0);
      CHECK(scale == first_scale);
      CHECK(sum == first_sum);
    }
  }
}

TEST_CASE("norm, gate, soft-max and conversions agree with float64 and between sets") {
  decant_test::random_source random(12);
  for (const std::size_t count : {std::size_t{8}, std::size_t{24}, std::size_t{576}}) {
    const std::vector<float> x = random.logits<float>(count, 3);
    const std::vector<float> w = random.logits<float>(count, 1);
    std::vector<std::vector<float>> norms;
    std::vector<std::vector<float>> gates;
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      std::vector<float> out(count);
      kernels->rms_norm(x.data(), w.data(), count, count, 1e-5F, out.data());
      double mean = 1e-5;
      for (const float v : x) mean += static_cast<double>(v) * static_cast<double>(v) / static_cast<double>(count);
      for (std::size_t i = 0; i < count; ++i) {
        const double exact = static_cast<double>(x[i]) / std::sqrt(mean) * static_cast<double>(w[i]);
        CHECK(decant_test::near(static_cast<double>(out[i]), exact, 1e-6 * (std::abs(exact) + 1e-3)));
      }
      norms.push_back(out);
      std::vector<float> gate = x;
      gate[0] = -200.0F;
      gate[1] = 200.0F;
      kernels->silu_multiply(gate.data(), w.data(), count);
      CHECK(std::abs(gate[0]) < 1e-30F);
      CHECK(gate[1] == 200.0F * w[1]);
      for (std::size_t i = 2; i < count; ++i) {
        const double z = static_cast<double>(x[i]);
        const double exact = z / (1 + std::exp(-z)) * static_cast<double>(w[i]);
        CHECK(decant_test::near(static_cast<double>(gate[i]), exact, 1e-6 * (std::abs(exact) + 1e-3)));
      }
      gates.push_back(gate);
    }
    CHECK(same_bits(norms.front(), norms.back()));
    CHECK(same_bits(gates.front(), gates.back()));
  }
  for (std::size_t count = 1; count <= 40; ++count) {
    const std::vector<float> scores = random.logits<float>(count, 10);
    std::vector<std::vector<float>> results;
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      std::vector<float> p = scores;
      p.resize(48, 1e9F);  // what lies behind must not count
      const double inverse = static_cast<double>(kernels->soft_max(p.data(), count));
      double total = 0;
      const double top = static_cast<double>(*std::max_element(scores.begin(), scores.end()));
      for (const float s : scores) total += std::exp(static_cast<double>(s) - top);
      for (std::size_t i = 0; i < count; ++i) {
        const double exact = std::exp(static_cast<double>(scores[i]) - top) / total;
        CHECK(decant_test::near(static_cast<double>(p[i]) * inverse, exact, 1e-6 * exact + 1e-12));
      }
      p.push_back(static_cast<float>(inverse));
      results.push_back(p);
    }
    CHECK(same_bits(results.front(), results.back()));
  }
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    const float x[8] = {0, 1, -2, 1e6F, -1e6F, 65504, 1e-8F, 0.1F};
    std::uint16_t halves[8];
    kernels->to_half(x, 8, halves);
    CHECK(halves[3] == 0x7BFF);
    CHECK(halves[4] == 0xFBFF);
    for (const std::size_t i : {0U, 1U, 2U, 5U, 6U, 7U}) CHECK(halves[i] == decant::float_to_half(x[i]));
  }
}

TEST_CASE("attention kernels give one chain per result on every set and for every number of rows") {
  constexpr std::size_t dimension = 48;
  constexpr std::size_t blocks = 3;
  constexpr std::size_t keys = blocks * cpu::key_block;
  decant_test::random_source random(3);
  std::vector<std::uint16_t> cached(keys * dimension);
  for (std::uint16_t& half : cached) half = decant::float_to_half(static_cast<float>(random.normal()));
  const std::vector<float> queries = random.logits<float>(cpu::attention_rows * dimension, 1);
  std::vector<const float*> rows;
  for (std::size_t r = 0; r < cpu::attention_rows; ++r) rows.push_back(queries.data() + r * dimension);

  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (std::size_t count = 1; count <= cpu::attention_rows; ++count) {
      std::vector<float> scores(count * keys);
      kernels->score_f16({cached.data(), blocks, dimension, rows.data(), count, scores.data(), keys});
      std::vector<float> sums(count * dimension, 0.5F);
      kernels->mix_f16({cached.data(), keys, dimension, scores.data(), keys, count, sums.data()});
      int wrong = 0;
      for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t t = 0; t < keys; ++t) {
          float chain = 0;
          for (std::size_t d = 0; d < dimension; ++d) {
            const std::size_t at =
                t / cpu::key_block * cpu::key_block * dimension + d * cpu::key_block + t % cpu::key_block;
            chain = std::fma(rows[r][d], decant::half_to_float(cached[at]), chain);
          }
          wrong += chain == scores[r * keys + t] ? 0 : 1;
        }
        for (std::size_t d = 0; d < dimension; ++d) {
          float chain = 0.5F;
          for (std::size_t t = 0; t < keys; ++t) {
            chain = std::fma(scores[r * keys + t], decant::half_to_float(cached[t * dimension + d]), chain);
          }
          wrong += chain == sums[r * dimension + d] ? 0 : 1;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("the exponential is accurate to a few units in the last place") {
  double worst = 0;
  for (int i = 0; i <= 200000; ++i) {
    const float x = -86.0F + static_cast<float>(i) * (86.0F + 88.0F) / 200000.0F;
    float lanes[8] = {x, x, x, x, x, x, x, x};
    cpu::scalar::store(lanes, cpu::scalar::exponential(cpu::scalar::load(lanes)));
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(lanes[0]) - exact) / exact);
  }
  CHECK(worst < 3e-7);
}
