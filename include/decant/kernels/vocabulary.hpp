// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels of every instruction set, and the ones that this machine runs.
#ifndef DECANT_KERNELS_VOCABULARY_HPP
#define DECANT_KERNELS_VOCABULARY_HPP

#include <decant/kernels/vocabulary_avx2.hpp>
#include <decant/kernels/vocabulary_avx512.hpp>
#include <decant/kernels/vocabulary_scalar.hpp>

#include <cmath>

namespace decant::inline DECANT_ABI::cpu {

/// The kernels of an instruction set. Precondition: `runs(set)`.
[[nodiscard]] inline const vocabulary_kernels& vocabulary_kernels_of(instruction_set set) noexcept {
  DECANT_PRECONDITION(runs(set));
#if DECANT_HAS_X86_KERNELS()
  if (set == instruction_set::avx2) return avx2::vocabulary();
  if (set == instruction_set::avx512) return avx512::vocabulary();
#endif
  static_cast<void>(set);
  return scalar::vocabulary();
}

/// Whether `weight_rule_of` can express a soft-max: logits far from 0 or extreme temperatures it cannot.
[[nodiscard]] inline bool has_weight_rule(float top, double divisor) noexcept {
  return divisor >= 0x1p-20 && divisor <= 0x1p20 && std::abs(static_cast<double>(top)) < 0x1p16 * divisor;
}

/// The rule of weights exp((l - top) / divisor). Precondition: `has_weight_rule(top, divisor)`.
[[nodiscard]] inline weight_rule weight_rule_of(float top, double divisor) noexcept {
  const double steepness = 1.4426950408889634 / divisor;
  weight_rule rule;
  rule.top = top;
  rule.floor = static_cast<float>(static_cast<double>(top) - 160.0 / steepness);
  rule.hi = static_cast<float>(steepness);
  rule.lo = static_cast<float>(steepness - static_cast<double>(rule.hi));
  rule.power = std::nearbyint(top * rule.hi * 16.0F) / 16.0F;
  // The kernels' own operations: the best logit gets the weight 1 exactly.
  rule.shift = std::fma(top, rule.lo, std::fma(top, rule.hi, -rule.power));
  return rule;
}

/// The fastest kernels of this machine, chosen at the first call.
[[nodiscard]] inline const vocabulary_kernels& best_vocabulary_kernels() noexcept {
  static const vocabulary_kernels& best = vocabulary_kernels_of(best_instruction_set());
  return best;
}

}  // namespace decant::inline DECANT_ABI::cpu

#endif
