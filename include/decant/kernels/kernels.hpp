// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_KERNELS_KERNELS_HPP
#define DECANT_KERNELS_KERNELS_HPP

#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/kernels_avx2.hpp>
#include <decant/kernels/kernels_avx512.hpp>
#include <decant/kernels/kernels_scalar.hpp>

namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET {

/// The kernels of an instruction set. Precondition: `runs(set)`.
[[nodiscard]] inline const kernel_table& kernels_of(instruction_set set) noexcept {
  DECANT_PRECONDITION(runs(set));
#if DECANT_HAS_X86_KERNELS()
  if (set == instruction_set::avx2) return avx2::kernels();
  if (set == instruction_set::avx512) return avx512::kernels();
#endif
  static_cast<void>(set);
  return scalar::kernels();
}

}  // namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET

#endif
