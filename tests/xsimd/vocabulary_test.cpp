// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels on xsimd: every case that the other sets pass. The program is compiled for the processor at
// hand, and xsimd takes its architecture from the flags.
#include <decant/kernels/vocabulary.hpp>

#include <vector>

#include "support/test_kit.hpp"

#if DECANT_HAS_XSIMD()

namespace {

std::vector<const decant::cpu::vocabulary_kernels*> vocabulary_sets() {
  using decant::instruction_set;
  return {&decant::cpu::vocabulary_kernels_of(instruction_set::scalar),
          &decant::cpu::vocabulary_kernels_of(instruction_set::xsimd)};
}

}  // namespace

#include "kernels/law_cases.hpp"
#include "kernels/vocabulary_cases.hpp"

TEST_CASE("the set of xsimd is built and runs, and is the best one where no other is") {
  using decant::instruction_set;
  static_assert(decant::is_built(instruction_set::xsimd) && decant::is_promised(instruction_set::xsimd));
  static_assert(decant::static_instruction_set >= instruction_set::xsimd);
  static_assert(DECANT_HAS_X86_KERNELS() || decant::static_instruction_set == instruction_set::xsimd);
  CHECK(decant::runs(instruction_set::xsimd));
  CHECK(vocabulary_sets().front() != vocabulary_sets().back());
}

#else

TEST_CASE("there are kernels on xsimd where operations are fused") {
  DECANT_SKIP("the target flags promise no fused operations");
}

#endif
