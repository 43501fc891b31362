// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The library's own logarithm against long double where that has more digits, and against known bits.
#include <decant/kernels/logarithm.hpp>

#include "support/random.hpp"
#include "support/test_kit.hpp"

#include <bit>
#include <limits>

namespace {

using decant::cpu::natural_logarithm;
using decant_test::random_source;

/// The error of natural_logarithm(x) in units in the last place of the result.
double error_at(double x) {
  const long double exact = std::log(static_cast<long double>(x));
  const double made = natural_logarithm(x);
  const double size = std::abs(static_cast<double>(exact));
  const double unit = std::nextafter(size, std::numeric_limits<double>::infinity()) - size;
  return static_cast<double>(std::abs(static_cast<long double>(made) - exact) / static_cast<long double>(unit));
}

}  // namespace

TEST_CASE("the logarithm is within one unit in the last place") {
  random_source random(711);
  double worst = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::uint64_t bits = random.bits();
    const auto high = static_cast<std::uint32_t>(bits >> 32);
    const auto low = static_cast<std::uint32_t>(bits);
    const double u = decant::open_unit_interval(high, low);
    worst = std::max(worst, error_at(u));  // what a race asks for
    worst = std::max(worst, error_at(std::ldexp(u + 0.5, static_cast<int>(low % 2040) - 1020)));  // any size
    worst = std::max(worst, error_at(1 - std::ldexp(u, -static_cast<int>(high % 52))));           // next to 1
  }
  for (int k = 1; k <= 53; ++k) {
    for (double x : {std::ldexp(1.0, -k), 1 - std::ldexp(1.0, -k), std::ldexp(0.5, 1 - k) + std::ldexp(1.0, -53)}) {
      worst = std::max(worst, error_at(x));
    }
  }
  for (double x = std::sqrt(0.5) - 0x1p-45; x < std::sqrt(0.5) + 0x1p-45; x += 0x1p-53) {
    worst = std::max(worst, error_at(x));
  }
  CAPTURE(worst);
  CHECK(worst < 1);
  CHECK(worst > 0.4);  // the measure measures
}

TEST_CASE("the logarithm has its values at the ends of a race's numbers") {
  CHECK(natural_logarithm(1.0) == 0);
  CHECK(natural_logarithm(1 - 0x1p-53) == -0x1p-53);
  CHECK(natural_logarithm(0x1p-53) == -0x1.25e4f7b2737fap+5);
  CHECK(natural_logarithm(0.5) == -0x1.62e42fefa39efp-1);
  CHECK(natural_logarithm(std::numeric_limits<double>::min()) == -0x1.6232bdd7abcd2p+9);
  CHECK(natural_logarithm(std::numeric_limits<double>::max()) == 0x1.62e42fefa39efp+9);
}

TEST_CASE("the bits of the logarithm are pinned") {
  random_source random(712);
  std::uint64_t hash = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t bits = random.bits();
    const double u =
        decant::open_unit_interval(static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits));
    hash = (hash ^ std::bit_cast<std::uint64_t>(natural_logarithm(u))) * 0x100000001B3U;
  }
  CHECK(hash == 0x429163CB7E5F0CD1U);
}
