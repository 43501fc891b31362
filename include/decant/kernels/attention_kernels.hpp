// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_KERNELS_ATTENTION_KERNELS_HPP
#define DECANT_KERNELS_ATTENTION_KERNELS_HPP

#include <decant/kernels/kernels.hpp>

namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET {

/// The attention kernels of an instruction set. Precondition: `runs(set)`.
[[nodiscard]] inline const attention_table& attention_kernels_of(instruction_set set) noexcept {
  DECANT_PRECONDITION(runs(set));
#if DECANT_HAS_X86_KERNELS()
  if (set == instruction_set::avx2) return avx2::attention_kernels();
  if (set == instruction_set::avx512) return avx512::attention_kernels();
#endif
  static_cast<void>(set);
  return scalar::attention_kernels();
}

}  // namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET

#endif
