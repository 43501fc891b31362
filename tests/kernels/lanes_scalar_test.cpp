// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The operation of the scalar lanes that is not plain C++: what no other set can be compared with.
#include <decant/kernels/lanes_scalar.hpp>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "support/random.hpp"
#include "support/test_kit.hpp"

TEST_CASE("a fused operation made of others is rounded once") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  constexpr float largest = std::numeric_limits<float>::max();
  decant_test::random_source random(5);
  const std::vector<float> special = {0.0F,         -0.0F,      1.0F,      -1.0F,        inf,      -inf,
                                      not_a_number, 1.5F,       0x1p-126F, 0x1p-149F,    0x1p-75F, 0x1.000002p0F,
                                      largest,      -0x1p-149F, 0x1p24F,   0x1.fffffep0F};
  const auto sign = [&] { return random.coin() ? 1.0F : -1.0F; };
  const auto any_float = [&] {
    if (random.coin(0.1)) return special[random.below(special.size())];
    const auto exponent = static_cast<int>(random.below(270)) - 150;
    return sign() * std::ldexp(static_cast<float>(random.bits() >> 40), random.coin() ? exponent - 20 : exponent / 20);
  };
  int wrong = 0;
  int unlike_two_roundings = 0;
  const auto check = [&](float a, float b, float c) {
    const float expected = std::fma(a, b, c);
    const float found = decant::cpu::scalar::exact_fma(a, b, c);
    wrong += std::memcmp(&found, &expected, sizeof found) == 0 || (std::isnan(found) && std::isnan(expected)) ? 0 : 1;
    const double twice = static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c);
    unlike_two_roundings += static_cast<float>(twice) != expected && !std::isnan(expected) ? 1 : 0;
  };
  for (int trial = 0; trial < 100000; ++trial) {
    check(any_float(), any_float(), any_float());
    // A product in the middle between two floats, or not far from there, and something small.
    const auto a = static_cast<float>(random.between(4096, 8191) | 1U);
    const auto b = static_cast<float>(random.between(2048, 4095) | 1U);
    check(sign() * a, b, std::ldexp(sign(), -static_cast<int>(random.below(100))));
    check(a, std::ldexp(b, -160), std::ldexp(sign(), -static_cast<int>(random.between(140, 149))));
  }
  CHECK(wrong == 0);
  CHECK(unlike_two_roundings > 100);
}
