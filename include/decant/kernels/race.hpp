// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The race kernels of every instruction set, and the ones that this machine runs.
#ifndef DECANT_KERNELS_RACE_HPP
#define DECANT_KERNELS_RACE_HPP

#include <decant/kernels/race_avx2.hpp>
#include <decant/kernels/race_avx512.hpp>
#include <decant/kernels/race_scalar.hpp>

namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET {

/// The kernels of an instruction set. Precondition: `runs(set)`.
[[nodiscard]] inline const race_kernels& race_kernels_of(instruction_set set) noexcept {
  DECANT_PRECONDITION(runs(set));
#if DECANT_HAS_X86_KERNELS()
  if (set == instruction_set::avx2) return avx2::race();
  if (set == instruction_set::avx512) return avx512::race();
#endif
  static_cast<void>(set);
  return scalar::race();
}

/// The fastest kernels of this machine.
[[nodiscard]] inline const race_kernels& best_race_kernels() noexcept { return best_of<race_kernels_of>(); }

}  // namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET

#endif
