// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every exact verifier, with every kind of tree it accepts, has the target's law: to 1e-12 in double, for the joint law
// of one and of two whole steps.
#include "tests/proof/exact_law_checks.hpp"

namespace decant_test {

TEST_CASE("match has the target's law with any tree") { check_exact(match_cases<double>(), 150); }
TEST_CASE("greedy has the law of a target at temperature 0 with any tree") { check_exact(greedy_cases<double>(), 150); }
TEST_CASE("speculative sampling has the target's law with drawn chains") {
  check_exact(speculative_sampling_cases<double>(), 150);
}

}  // namespace decant_test
