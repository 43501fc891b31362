// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX-512 kernels on a machine that need not have AVX-512: every case that the other sets pass, on emulated
// instructions.
#include "avx512_emulation/emulated_avx512.hpp"

#include <decant/kernels/kernels.hpp>

#include <vector>

#include "support/test_kit.hpp"

#if DECANT_HAS_X86_KERNELS()

namespace {

// The emulation is AVX2 code; without AVX2 the cases compare the scalar set with itself.
std::vector<const decant::cpu::kernel_table*> kernel_sets() {
  std::vector<const decant::cpu::kernel_table*> sets{&decant::cpu::kernels_of(decant::instruction_set::scalar)};
  if (decant::runs(decant::instruction_set::avx2)) sets.push_back(&decant::cpu::avx512::kernels());
  return sets;
}

}  // namespace

#include "kernels/kernel_cases.hpp"

#else

TEST_CASE("the emulated kernels are for x86 processors") { DECANT_SKIP("this is not an x86 processor"); }

#endif
