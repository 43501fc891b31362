// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/quantisation.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "reference/random_tensor.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::tensor_type;

// The block of the golden vectors: bytes (37 k + 11) mod 256, then the scale 0.25 and, where there is one, the
// minimum -0.5.
std::vector<std::byte> golden_block(tensor_type type) {
  std::vector<std::byte> block(decant::traits_of(type).block_bytes);
  for (std::size_t k = 0; k < block.size(); ++k) block[k] = static_cast<std::byte>((37 * k + 11) % 256);
  const bool scale_at_end = type == tensor_type::q6_k;
  decant::block::store_u16(block.data() + (scale_at_end ? 208 : 0), 0x3400);
  const bool has_minimum =
      type == tensor_type::q4_1 || type == tensor_type::q5_1 || type == tensor_type::q4_k || type == tensor_type::q5_k;
  if (has_minimum) decant::block::store_u16(block.data() + 2, 0xB800);
  return block;
}

std::vector<float> dequantised(tensor_type type, const std::vector<std::byte>& bytes) {
  const decant::tensor_type_traits traits = decant::traits_of(type);
  std::vector<float> values(bytes.size() / traits.block_bytes * traits.block_elements);
  decant::dequantise(type, bytes, values);
  return values;
}

struct golden {
  tensor_type type;
  float first[4];
  float sixteenth;
  float last;
  double sum;
  double weighted_sum;
};

struct point {
  tensor_type type;
  std::size_t element;
  float value;
};

}  // namespace

TEST_CASE("dequantisation reproduces the golden vectors") {
  const golden vectors[] = {
      {tensor_type::q4_0, {-0.75F, 0.5F, 1.75F, -1}, -0.75F, 0, -5.25, -129.5},
      {tensor_type::q4_1, {3.25F, 0.5F, 1.75F, 3}, 1.75F, 2.5F, 45.25, 731.75},
      {tensor_type::q5_0, {2.25F, -0.5F, 0.75F, -2}, 3.5F, 0.25F, 3.75, 28},
      {tensor_type::q5_1, {4.25F, 5.5F, 6.75F, 4}, 4.25F, 0.75F, 110.25, 1711.25},
      {tensor_type::q8_0, {21.25F, 30.5F, -24.25F, -15}, -22.75F, -12, -44, -2020},
      {tensor_type::q4_k, {110.75F, 25.5F, 64.25F, 103}, 110.75F, 34, 18890, 2487850},
      {tensor_type::q5_k, {234.75F, 25.5F, 188.25F, 103}, 234.75F, 49, 34334, 4601502},
      {tensor_type::q6_k, {-357.75F, 424, 145.75F, -132.5F}, -108, -15, 1153, 196105},
  };
  for (const golden& expected : vectors) {
    CAPTURE(decant::traits_of(expected.type).name);
    const std::vector<float> y = dequantised(expected.type, golden_block(expected.type));
    double sum = 0;
    double weighted_sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += static_cast<double>(y[i]);
      weighted_sum += static_cast<double>(i + 1) * static_cast<double>(y[i]);
    }
    for (std::size_t i = 0; i < 4; ++i) CHECK(y[i] == expected.first[i]);
    CHECK(y[16] == expected.sixteenth);
    CHECK(y.back() == expected.last);
    CHECK(sum == expected.sum);
    CHECK(weighted_sum == expected.weighted_sum);
  }
}

TEST_CASE("dequantisation of the 256-element types reproduces points in every group") {
  const point points[] = {
      {tensor_type::q4_k, 32, 17},       {tensor_type::q4_k, 64, 143.25F}, {tensor_type::q4_k, 96, 69.5F},
      {tensor_type::q4_k, 128, 113.25F}, {tensor_type::q4_k, 160, 150},    {tensor_type::q4_k, 224, 22},
      {tensor_type::q5_k, 32, 43},       {tensor_type::q5_k, 96, 104.5F},  {tensor_type::q5_k, 128, 269.25F},
      {tensor_type::q5_k, 160, 60},      {tensor_type::q5_k, 224, 37},     {tensor_type::q6_k, 32, 57.75F},
      {tensor_type::q6_k, 64, -760},     {tensor_type::q6_k, 96, -217.5F}, {tensor_type::q6_k, 128, -87.75F},
      {tensor_type::q6_k, 160, 167.75F}, {tensor_type::q6_k, 224, 211.5F},
  };
  for (const point& expected : points) {
    CAPTURE(decant::traits_of(expected.type).name, expected.element);
    CHECK(dequantised(expected.type, golden_block(expected.type))[expected.element] == expected.value);
  }
}

TEST_CASE("quantising keeps values within half a step") {
  // Steps relative to the largest magnitude (or, with a minimum, to the range) of a block.
  struct format {
    tensor_type type;
    bool has_minimum;
    double steps;
  };
  const format formats[] = {{tensor_type::q4_0, false, 8},
                            {tensor_type::q4_1, true, 15},
                            {tensor_type::q5_0, false, 16},
                            {tensor_type::q5_1, true, 31},
                            {tensor_type::q8_0, false, 127}};
  decant_test::random_source random(4);
  for (const format& f : formats) {
    CAPTURE(decant::traits_of(f.type).name);
    for (int trial = 0; trial < 200; ++trial) {
      const std::vector<float> x = random.logits<float>(32, random.uniform(0.01, 10));
      std::vector<std::byte> bytes(decant::row_bytes(f.type, x.size()));
      decant::quantise(f.type, x, bytes);
      const std::vector<float> y = dequantised(f.type, bytes);
      const auto [least, greatest] = std::minmax_element(x.begin(), x.end());
      const double magnitude =
          std::max(std::abs(static_cast<double>(*least)), std::abs(static_cast<double>(*greatest)));
      const double range = f.has_minimum ? static_cast<double>(*greatest) - static_cast<double>(*least) : magnitude;
      // The formats without a minimum clip the positive end by up to one step; scales are rounded to 11 bits.
      const double allowed =
          range / f.steps * (f.has_minimum || f.steps == 127 ? 0.5 : 1.0) + 1e-3 * (magnitude + range);
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
      }
      CHECK(worst <= allowed);
    }
  }
}

TEST_CASE("quantising a block of equal values or zeros is exact") {
  for (const tensor_type type : {tensor_type::q4_0, tensor_type::q4_1, tensor_type::q5_0, tensor_type::q5_1,
                                 tensor_type::q8_0, tensor_type::f16, tensor_type::bf16, tensor_type::f32}) {
    CAPTURE(decant::traits_of(type).name);
    std::vector<std::byte> bytes(decant::row_bytes(type, 32));
    decant::quantise(type, std::vector<float>(32, 0.0F), bytes);
    CHECK(dequantised(type, bytes) == std::vector<float>(32, 0.0F));
    if (type == tensor_type::q8_0) continue;  // 2 is not a multiple of 2 / 127 rounded to 11 bits
    decant::quantise(type, std::vector<float>(32, -2.0F), bytes);
    CHECK(dequantised(type, bytes) == std::vector<float>(32, -2.0F));
  }
}

TEST_CASE("quantisers choose the documented codes") {
  std::vector<float> x(32, 0.0F);
  x[0] = 127.0F;
  x[1] = 2.5F;  // half away from zero: 3
  x[2] = -2.5F;
  std::vector<std::byte> q8(34);
  decant::quantise(tensor_type::q8_0, x, q8);
  CHECK(decant::block::half_at(q8.data()) == 1.0F);
  CHECK(std::to_integer<int>(q8[2]) == 127);
  CHECK(std::to_integer<int>(q8[3]) == 3);
  CHECK(std::to_integer<int>(q8[4]) == 253);

  std::vector<float> ramp(32);
  for (std::size_t i = 0; i < 32; ++i) ramp[i] = static_cast<float>(i % 16);
  std::vector<std::byte> q4(20);
  decant::quantise(tensor_type::q4_1, ramp, q4);
  CHECK(decant::block::half_at(q4.data()) == 1.0F);
  CHECK(decant::block::half_at(q4.data() + 2) == 0.0F);
  for (std::size_t i = 0; i < 16; ++i) CHECK(std::to_integer<std::size_t>(q4[4 + i]) == i * 17);

  x.assign(32, 0.0F);
  x[5] = -8.0F;
  x[6] = 8.0F;  // the first of the largest magnitude decides the sign of the scale
  std::vector<std::byte> q40(18);
  decant::quantise(tensor_type::q4_0, x, q40);
  CHECK(decant::block::half_at(q40.data()) == 1.0F);
  CHECK(decant::block::nibble(q40.data() + 2, 5) == 0);
  CHECK(decant::block::nibble(q40.data() + 2, 6) == 15);
}

TEST_CASE("every type can be quantised, and no unknown one") {
  for (const tensor_type type : decant_test::every_type) CHECK(decant::can_quantise(type));
  CHECK_FALSE(decant::can_quantise(static_cast<tensor_type>(10)));
}
