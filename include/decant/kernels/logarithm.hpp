// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A natural logarithm that does not depend on a C library: the same bits from every compiler, instruction set and
// optimisation level, so that what races decide is a function of the seed and the weights alone.
// Method (the one of FDLIBM's e_log.c): x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), s = f / (2 + f),
//   log(1 + f) = f - (f^2 / 2 - s (f^2 / 2 + R(s^2))),   R the minimax polynomial of degree 7 there,
// and k log(2) is added in two parts. The error is below 1 unit in the last place, also next to 1 (at most 0.76 in ten
// million tries).
// Every product that is added to something is an explicit fma: there is nothing left to contract.
#ifndef DECANT_KERNELS_LOGARITHM_HPP
#define DECANT_KERNELS_LOGARITHM_HPP

#include <decant/config.hpp>

#include <cstdint>

namespace decant::inline DECANT_ABI::cpu {

/// log(x) to less than 1 unit in the last place, for a positive, finite, normal x. Inlined, so that kernels get it for
/// their instruction set; without an fma of the processor it calls that of the C library.
[[nodiscard, gnu::always_inline]] inline double natural_logarithm(double x) noexcept {
  constexpr std::uint64_t lowest = 0x3FE6A09E667F3BCD;  // sqrt(1/2)
  const auto bits = __builtin_bit_cast(std::uint64_t, x);
  const auto exponent = static_cast<std::int64_t>(bits - lowest) >> 52;
  const double f = __builtin_bit_cast(double, bits - (static_cast<std::uint64_t>(exponent) << 52)) - 1.0;
  const auto k = static_cast<double>(static_cast<std::int32_t>(exponent));

  const double s = f / (2.0 + f);
  const double z = s * s;
  double p = __builtin_fma(1.479819860511658591e-01, z, 1.531383769920937332e-01);
  p = __builtin_fma(p, z, 1.818357216161805012e-01);
  p = __builtin_fma(p, z, 2.222219843214978396e-01);
  p = __builtin_fma(p, z, 2.857142874366239149e-01);
  p = __builtin_fma(p, z, 3.999999999940941908e-01);
  p = __builtin_fma(p, z, 6.666666666666735130e-01);
  const double half = 0.5 * f;
  const double inner = __builtin_fma(half, f, z * p);
  const double rest = __builtin_fma(s, inner, 1.90821492927058770002e-10 * k);
  return __builtin_fma(k, 6.93147180369123816490e-01, f - __builtin_fma(half, f, -rest));
}

}  // namespace decant::inline DECANT_ABI::cpu

#endif
