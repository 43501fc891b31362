// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/kernels/float16.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

// The value of a binary16 pattern straight from its definition.
double defined_value(std::uint16_t bits) {
  const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
  const int exponent = bits >> 10 & 31;
  const double fraction = (bits & 1023U) / 1024.0;
  if (exponent == 0) return sign * std::ldexp(fraction, -14);
  return sign * std::ldexp(1.0 + fraction, exponent - 15);
}

bool is_special(std::uint16_t bits) { return (bits & 0x7C00U) == 0x7C00U; }

}  // namespace

TEST_CASE("every binary16 pattern has its defined value and survives the round trip") {
  int wrong_values = 0;
  int wrong_trips = 0;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    if (is_special(bits)) continue;
    wrong_values += static_cast<double>(decant::half_to_float(bits)) == defined_value(bits) ? 0 : 1;
    wrong_trips += decant::float_to_half(decant::half_to_float(bits)) == bits ? 0 : 1;
  }
  CHECK(wrong_values == 0);
  CHECK(wrong_trips == 0);
}

TEST_CASE("binary16 infinities and NaNs convert to their kind") {
  CHECK(decant::half_to_float(0x7C00) == std::numeric_limits<float>::infinity());
  CHECK(decant::half_to_float(0xFC00) == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(decant::half_to_float(0x7E01)));
  CHECK(decant::float_to_half(std::numeric_limits<float>::infinity()) == 0x7C00);
  CHECK(decant::float_to_half(-std::numeric_limits<float>::infinity()) == 0xFC00);
  CHECK((decant::float_to_half(std::nanf("")) & 0x7C00U) == 0x7C00U);
  CHECK((decant::float_to_half(std::nanf("")) & 0x03FFU) != 0);
}

TEST_CASE("binary16 rounds to nearest, ties to even") {
  CHECK(decant::float_to_half(1.0F + 0x1p-11F) == 0x3C00);      // tie, down to even
  CHECK(decant::float_to_half(1.0F + 3 * 0x1p-11F) == 0x3C02);  // tie, up to even
  CHECK(decant::float_to_half(1.0F + 0x1.002p-11F) == 0x3C01);  // just above a tie
  CHECK(decant::float_to_half(65519.0F) == 0x7BFF);
  CHECK(decant::float_to_half(65520.0F) == 0x7C00);
  CHECK(decant::float_to_half(0x1p-24F) == 0x0001);
  CHECK(decant::float_to_half(0x1p-25F) == 0x0000);  // tie, down to even
  CHECK(decant::float_to_half(0x1.8p-25F) == 0x0001);
  CHECK(decant::float_to_half(-0.0F) == 0x8000);

  decant_test::random_source random(16);
  int not_nearest = 0;
  for (int i = 0; i < 200000; ++i) {
    const auto x = static_cast<float>(std::ldexp(random.uniform(-1, 1), static_cast<int>(random.between(0, 44)) - 28));
    const std::uint16_t half = decant::float_to_half(x);
    const double error = std::abs(defined_value(half) - static_cast<double>(x));
    for (const int step : {-1, 1}) {
      const auto neighbour = static_cast<std::uint16_t>(half + step);
      if (is_special(neighbour) || is_special(half)) continue;
      if (std::abs(defined_value(neighbour) - static_cast<double>(x)) < error) ++not_nearest;
    }
  }
  CHECK(not_nearest == 0);
}

TEST_CASE("bfloat16 is the upper half of a float, rounded to nearest even") {
  CHECK(decant::bfloat16_to_float(0x3F80) == 1.0F);
  CHECK(decant::bfloat16_to_float(0xC040) == -3.0F);
  CHECK(decant::float_to_bfloat16(1.0F + 0x1p-8F) == 0x3F80);      // tie, down to even
  CHECK(decant::float_to_bfloat16(1.0F + 3 * 0x1p-8F) == 0x3F82);  // tie, up to even
  CHECK(decant::float_to_bfloat16(std::numeric_limits<float>::max()) == 0x7F80);
  CHECK(std::isnan(decant::bfloat16_to_float(decant::float_to_bfloat16(std::bit_cast<float>(0x7F800001U)))));
}
