// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafter-invariant verification has the target's law with any tree that is drawn by noise of its own. (Trees coupled
// to the verifier share its noise, which the enumerator reports as a key used twice, rightly for every other verifier;
// that the law does not depend on the tree at all is shown in tests/verify/drafter_invariant_test.cpp.)
#include "tests/proof/exact_law_checks.hpp"

namespace decant_test {

TEST_CASE("drafter-invariant verification has the target's law with any tree") {
  check_exact(drafter_invariant_cases<double>(), 350);
}

}  // namespace decant_test
