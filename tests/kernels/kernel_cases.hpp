// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every set of kernels must pass: against float64, against the scalar set bit for bit, and for every width of a
// batch. Test cases, for programs that define before this `kernel_sets()`, the sets to test, the scalar one first.
#ifndef DECANT_TESTS_REFERENCE_KERNEL_CASES_HPP
#define DECANT_TESTS_REFERENCE_KERNEL_CASES_HPP

#include <decant/kernels/activation_rows.hpp>
#include <decant/kernels/kernels.hpp>
#include <decant/reference/packed_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "reference/random_tensor.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::activation_kind;
using decant::packed_matrix;
using decant::tensor_type;
using decant_test::random_tensor;
namespace cpu = decant::cpu;

decant::activation_rows random_activations(std::size_t rows, std::size_t length, std::uint64_t seed) {
  decant::activation_rows activations;
  REQUIRE(activations.allocate(rows, length).has_value());
  decant_test::random_source random(seed);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t k = 0; k < length; ++k) activations.row(r)[k] = static_cast<float>(random.normal());
    activations.quantise(*kernel_sets().front(), r);
  }
  return activations;
}

packed_matrix packed(const random_tensor& source) {
  auto matrix = packed_matrix::pack(source.tensor);
  REQUIRE(matrix.has_value());
  return std::move(*matrix);
}

// The product of a packed matrix as a vector, `rows padded to 16` values a column.
std::vector<float> product(const cpu::kernel_table& kernels, const packed_matrix& matrix,
                           const decant::activation_rows& input, activation_kind kind, std::size_t columns,
                           float start = 0, bool accumulate = false) {
  const std::size_t stride = matrix.groups() * cpu::group_rows;
  std::vector<float> out(columns * stride, start);
  matrix.multiply(kernels, input.view(), columns, out.data(), stride, accumulate, 0, matrix.groups(), kind);
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Activation element k of row r as a kind of product sees it.
double seen(const decant::activation_rows& input, activation_kind kind, std::size_t r, std::size_t k) {
  const cpu::activation_view view = input.view();
  if (kind == activation_kind::floats) return static_cast<double>(view.values[r * view.stride + k]);
  const cpu::activation_block& block = view.blocks[r * view.block_stride + k / 32];
  return static_cast<double>(block.scale) * static_cast<double>(block.codes[k % 32]);
}

// The largest error of a product relative to the sum of the magnitudes of its terms.
double error_of(const std::vector<float>& out, const random_tensor& source, const packed_matrix& matrix,
                const decant::activation_rows& input, activation_kind kind, std::size_t columns) {
  double worst = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t r = 0; r < matrix.rows(); ++r) {
      double exact = 0;
      double size = 1e-9;
      for (std::size_t k = 0; k < matrix.columns(); ++k) {
        const double weight = static_cast<double>(source.values[r * matrix.columns() + k]);
        const double term = weight * seen(input, kind, c, k);
        exact += term;
        size += std::abs(term);
      }
      const double got = static_cast<double>(out[c * matrix.groups() * cpu::group_rows + r]);
      worst = std::max(worst, std::abs(got - exact) / size);
    }
  }
  return worst;
}

constexpr activation_kind every_kind[] = {activation_kind::int8_blocks, activation_kind::floats};

}  // namespace

TEST_CASE("products equal float64 on the activations they see, at tile edges") {
  for (const tensor_type type : decant_test::every_type) {
    const std::size_t step = decant_test::smallest_row(type);
    for (const std::size_t rows : {std::size_t{1}, std::size_t{15}, std::size_t{16}, std::size_t{33}}) {
      for (const std::size_t length : {step, 3 * step}) {
        const random_tensor source(type, rows, length, rows * length);
        const packed_matrix matrix = packed(source);
        const decant::activation_rows input = random_activations(5, length, 9);
        for (const activation_kind kind : every_kind) {
          if (kind == activation_kind::int8_blocks && !matrix.takes_codes(kind)) continue;
          for (const cpu::kernel_table* kernels : kernel_sets()) {
            CAPTURE(decant::traits_of(type).name, rows, length, static_cast<int>(kind));
            const std::vector<float> out = product(*kernels, matrix, input, kind, 5);
            CHECK(error_of(out, source, matrix, input, kind, 5) < 2e-6);
          }
        }
      }
    }
  }
}

TEST_CASE("float products of lengths that are no blocks equal float64") {
  for (const tensor_type type : {tensor_type::f32, tensor_type::f16, tensor_type::bf16}) {
    for (const std::size_t length : {1U, 2U, 3U, 4U, 30U, 257U}) {
      const random_tensor source(type, 23, length, length);
      const packed_matrix matrix = packed(source);
      const decant::activation_rows input = random_activations(3, length, 2);
      for (const cpu::kernel_table* kernels : kernel_sets()) {
        CAPTURE(decant::traits_of(type).name, length);
        const std::vector<float> out = product(*kernels, matrix, input, activation_kind::floats, 3);
        CHECK(error_of(out, source, matrix, input, activation_kind::floats, 3) < 1e-6);
        CHECK(same_bits(out, product(*kernels, matrix, input, activation_kind::int8_blocks, 3)));
      }
    }
  }
}

TEST_CASE("products with float activations have the bits of a product with the weights as floats") {
  for (const tensor_type type : decant_test::every_type) {
    const std::size_t length = 2 * decant_test::smallest_row(type);
    const random_tensor source(type, 20, length, 4);
    const random_tensor plain(source);
    const packed_matrix matrix = packed(source);
    const packed_matrix floats = packed(plain);
    const decant::activation_rows input = random_activations(3, length, 8);
    CAPTURE(decant::traits_of(type).name);
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      CHECK(same_bits(product(*kernels, matrix, input, activation_kind::floats, 3),
                      product(*kernels, floats, input, activation_kind::floats, 3)));
    }
  }
}

TEST_CASE("products have the same bits on every instruction set, for every batch and every split") {
  constexpr std::size_t widest = 33;
  constexpr std::size_t rows = 37;
  for (const tensor_type type : decant_test::every_type) {
    const std::size_t length = decant_test::smallest_row(type) == 256 ? 512 : 160;
    const random_tensor source(type, rows, length, 5);
    const packed_matrix matrix = packed(source);
    const decant::activation_rows input = random_activations(widest, length, 6);
    const std::size_t stride = matrix.groups() * cpu::group_rows;
    for (const activation_kind kind : every_kind) {
      CAPTURE(decant::traits_of(type).name, static_cast<int>(kind));
      const std::vector<float> whole = product(*kernel_sets().front(), matrix, input, kind, widest);
      for (const cpu::kernel_table* kernels : kernel_sets()) {
        int wrong = 0;
        for (std::size_t columns = 1; columns <= widest; ++columns) {
          const std::vector<float> part = product(*kernels, matrix, input, kind, columns);
          wrong += std::memcmp(part.data(), whole.data(), part.size() * sizeof(float)) == 0 ? 0 : 1;
        }
        CHECK(wrong == 0);
        std::vector<float> pieces(widest * stride);
        for (std::size_t g = 0; g < matrix.groups(); ++g) {
          matrix.multiply(*kernels, input.view(), widest, pieces.data(), stride, false, g, g + 1, kind);
        }
        CHECK(same_bits(pieces, whole));
      }
    }
  }
}

TEST_CASE("accumulating adds the product once to what is there") {
  for (const cpu::kernel_table* kernels : kernel_sets()) {
    for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::q6_k, tensor_type::f32}) {
      const random_tensor source(type, 20, 256, 8);
      const packed_matrix matrix = packed(source);
      const decant::activation_rows input = random_activations(3, 256, 3);
      for (const activation_kind kind : every_kind) {
        std::vector<float> expected = product(*kernels, matrix, input, kind, 3);
        for (float& x : expected) x = 0.75F + x;
        CHECK(same_bits(product(*kernels, matrix, input, kind, 3, 0.75F, true), expected));
      }
    }
  }
}

TEST_CASE("extreme codes do not saturate") {
  struct extreme {
    tensor_type type;
    int byte;     // of every code
    double code;  // the value of a code under scale 1 and minimum 0
    std::size_t scale_at;
  };
  const extreme cases[] = {{tensor_type::q4_0, 0xFF, 7, 0},     {tensor_type::q4_0, 0x00, -8, 0},
                           {tensor_type::q4_1, 0xFF, 15, 0},    {tensor_type::q5_1, 0xFF, 31, 0},
                           {tensor_type::q8_0, 0x80, -128, 0},  {tensor_type::q8_0, 0x7F, 127, 0},
                           {tensor_type::q6_k, 0xFF, -31, 208}, {tensor_type::q6_k, 0x00, -32, 208}};
  for (const extreme& c : cases) {
    CAPTURE(decant::traits_of(c.type).name, c.byte);
    random_tensor source(c.type, 16, 256, 1);
    for (std::byte& b : source.bytes) b = static_cast<std::byte>(c.byte);
    const std::size_t block_bytes = decant::traits_of(c.type).block_bytes;
    const bool is_k = c.type == tensor_type::q6_k;
    for (std::size_t b = 0; b < source.bytes.size(); b += block_bytes) {
      std::byte* block = source.bytes.data() + b;
      // Scale steps of -1 where codes are greatest: 63 - 32 = 31.
      for (std::size_t s = 0; is_k && s < 16; ++s) block[192 + s] = static_cast<std::byte>(c.byte == 0 ? 1 : -1);
      decant::block::store_u16(block + c.scale_at, 0x3C00);
      if (c.type == tensor_type::q4_1 || c.type == tensor_type::q5_1) decant::block::store_u16(block + 2, 0);
    }
    const packed_matrix matrix = packed(source);
    for (const float x : {127.0F, -127.0F}) {
      decant::activation_rows input;
      REQUIRE(input.allocate(1, 256).has_value());
      std::fill_n(input.row(0), 256, x);
      input.quantise(*kernel_sets().front(), 0);
      for (const cpu::kernel_table* kernels : kernel_sets()) {
        for (const activation_kind kind : every_kind) {
          int wrong = 0;
          for (const float y : product(*kernels, matrix, input, kind, 1)) {
            wrong += static_cast<double>(y) == 256 * c.code * static_cast<double>(x) ? 0 : 1;
          }
          CHECK(wrong == 0);
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
    cpu::activation_block first;
    for (const cpu::kernel_table* kernels : kernel_sets()) {
      cpu::activation_block block;
      kernels->quantise(x.data(), 1, &block);
      if (kernels == kernel_sets().front()) first = block;
      CHECK(std::memcmp(block.codes, first.codes, sizeof block.codes) == 0);
      CHECK(std::memcmp(block.half_sums, first.half_sums, sizeof block.half_sums) == 0);
      if (trial == 1 || trial == 2) {
        CHECK(std::isnan(block.scale));
        CHECK(std::isnan(block.sum));
        continue;
      }
      CHECK(block.scale == first.scale);
      CHECK(block.sum == first.sum);
      int halves[2] = {};
      double worst = 0;
      for (std::size_t i = 0; i < 32; ++i) {
        halves[i / 16] += block.codes[i];
        const double value = static_cast<double>(block.scale) * block.codes[i];
        worst = std::max(worst, std::abs(value - static_cast<double>(x[i])));
      }
      CHECK(worst <= 0.5001 * static_cast<double>(block.scale) + 1e-30);
      CHECK((block.half_sums[0] == halves[0] && block.half_sums[1] == halves[1]));
      CHECK(block.sum == block.scale * static_cast<float>(halves[0] + halves[1]));
      if (trial == 4) {
        CHECK((block.codes[0] == 127 && block.codes[1] == 2 && block.codes[2] == -2 && block.codes[3] == 0));
      }
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
    for (const std::vector<float>& norm : norms) CHECK(same_bits(norm, norms.front()));
    for (const std::vector<float>& gate : gates) CHECK(same_bits(gate, gates.front()));
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
      p.resize(count);  // what lies behind is scratch
      p.push_back(static_cast<float>(inverse));
      results.push_back(p);
    }
    for (const std::vector<float>& result : results) CHECK(same_bits(result, results.front()));
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

#endif
