// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels, over rows and over laws, of every instruction set that this machine runs.
#include <decant/kernels/vocabulary.hpp>

#include <vector>

namespace {

std::vector<const decant::cpu::vocabulary_kernels*> vocabulary_sets() {
  std::vector<const decant::cpu::vocabulary_kernels*> sets;
  for (const decant::instruction_set set : decant::every_instruction_set) {
    if (decant::runs(set)) sets.push_back(&decant::cpu::vocabulary_kernels_of(set));
  }
  return sets;
}

}  // namespace

#include "kernels/law_cases.hpp"
#include "kernels/vocabulary_cases.hpp"
