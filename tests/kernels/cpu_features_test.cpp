// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which instruction set is chosen, when the program runs or when it is compiled. This program is compiled for the
// processor at hand where the compiler can do that; tests/consumers links units whose flags differ.
#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/vocabulary.hpp>

#include "support/test_kit.hpp"

namespace {

using decant::best_instruction_set;
using decant::instruction_set;
using decant::static_instruction_set;

// What flags promise is built; nothing needs no promise but the scalar set.
static_assert(decant::is_promised(instruction_set::scalar));
static_assert(decant::is_built(static_instruction_set) && decant::is_promised(static_instruction_set));
static_assert(!decant::is_promised(instruction_set::avx512) || decant::is_promised(instruction_set::avx2));
static_assert(decant::is_static_choice || DECANT_HAS_X86_KERNELS());
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__AVX512F__) && defined(__AVX512BW__) && \
    defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512VNNI__)
static_assert(decant::is_static_choice && static_instruction_set == instruction_set::avx512);
#elif defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
static_assert(!decant::is_static_choice && static_instruction_set == instruction_set::avx2);
#endif

}  // namespace

TEST_CASE("sets that flags promise run, and none that runs is faster than the best") {
  for (const instruction_set set : decant::every_instruction_set) {
    CAPTURE(decant::name_of(set));
    if (decant::is_promised(set)) CHECK(decant::runs(set));
    if (decant::runs(set)) CHECK(decant::is_built(set));
    if (decant::runs(set)) CHECK(best_instruction_set() >= set);
  }
  CHECK(decant::runs(best_instruction_set()));
  CHECK(best_instruction_set() >= static_instruction_set);
}

TEST_CASE("the best kernels are those of the best instruction set") {
  CHECK(&decant::cpu::best_vocabulary_kernels() == &decant::cpu::vocabulary_kernels_of(best_instruction_set()));
  if (decant::is_static_choice) CHECK(best_instruction_set() == static_instruction_set);
}
