// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels of every instruction set, and the ones that this machine runs.
#ifndef DECANT_KERNELS_VOCABULARY_HPP
#define DECANT_KERNELS_VOCABULARY_HPP

#include <decant/kernels/vocabulary_avx2.hpp>
#include <decant/kernels/vocabulary_avx512.hpp>
#include <decant/kernels/vocabulary_scalar.hpp>
#include <decant/kernels/vocabulary_xsimd.hpp>

#include <cmath>

namespace decant::inline DECANT_ABI::cpu {

/// Whether `weight_rule_of` can express a soft-max: logits far from 0 or extreme temperatures it cannot.
[[nodiscard]] inline bool has_weight_rule(float top, double divisor) noexcept {
  return divisor >= 0x1p-20 && divisor <= 0x1p20 && std::abs(static_cast<double>(top)) < 0x1p16 * divisor;
}

/// The rule of weights exp((l - top) / divisor). Precondition: `has_weight_rule(top, divisor)`.
[[nodiscard]] inline weight_rule weight_rule_of(float top, double divisor) noexcept {
  constexpr double round_to_integer = 0x1.8p52;
  const double steepness = 1.4426950408889634 / divisor;
  weight_rule rule;
  rule.top = top;
  rule.floor = static_cast<float>(static_cast<double>(top) - 160.0 / steepness);
  rule.hi = static_cast<float>(steepness);
  rule.lo = static_cast<float>(steepness - static_cast<double>(rule.hi));
  // What the kernels get for the best logit, whose weight then is 1 exactly. Products of two floats are exact in
  // double.
  const double exponent = static_cast<double>(top) * static_cast<double>(rule.hi);
  const double power = (exponent * 16.0 + round_to_integer - round_to_integer) / 16.0;
  rule.power = static_cast<float>(power);
  rule.shift = static_cast<float>(exponent - power + static_cast<double>(top) * static_cast<double>(rule.lo));
  return rule;
}

}  // namespace decant::inline DECANT_ABI::cpu

namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET {

/// The kernels of an instruction set. Precondition: `runs(set)`.
[[nodiscard]] inline const vocabulary_kernels& vocabulary_kernels_of(instruction_set set) noexcept {
  DECANT_PRECONDITION(runs(set));
#if DECANT_HAS_X86_KERNELS()
  if (set == instruction_set::avx2) return avx2::vocabulary();
  if (set == instruction_set::avx512) return avx512::vocabulary();
#endif
#if DECANT_HAS_XSIMD()
  if (set == instruction_set::xsimd) return xsimd_set::vocabulary();
#endif
  static_cast<void>(set);
  return scalar::vocabulary();
}

/// The fastest kernels of this machine.
[[nodiscard]] inline const vocabulary_kernels& best_vocabulary_kernels() noexcept {
  return best_of<vocabulary_kernels_of>();
}

}  // namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET

#endif
