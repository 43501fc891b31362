// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX-512 race kernels on a machine that need not have AVX-512: every case that the other sets pass, on emulated
// instructions.
#include "avx512_emulation/emulated_avx512.hpp"

#include <decant/kernels/race.hpp>

#include <vector>

#include "support/test_kit.hpp"

#if DECANT_HAS_X86_KERNELS()

namespace {

// The emulation is AVX2 code; without AVX2 the cases compare the scalar set with itself.
std::vector<const decant::cpu::race_kernels*> race_sets() {
  std::vector<const decant::cpu::race_kernels*> sets{&decant::cpu::scalar::race()};
  if (decant::runs(decant::instruction_set::avx2)) sets.push_back(&decant::cpu::avx512::race());
  return sets;
}

}  // namespace

#include "kernels/race_cases.hpp"

#endif
