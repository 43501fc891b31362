// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The verifiers of several drafts for one position have the target's law with every tree they accept.
#include "tests/proof/exact_law_checks.hpp"

namespace decant_test {

TEST_CASE("membership has the target's law with every tree of true edge laws") {
  check_exact(membership_cases<double>(), 1000);
}
TEST_CASE("K-SEQ has the target's law with every counted tree") { check_exact(k_seq_cases<double>(), 750); }
TEST_CASE("random-order rejection has the target's law with every counted tree") {
  check_exact(random_order_cases<double>(), 750);
}
TEST_CASE("the canonical decomposition has the target's law with every counted tree") {
  check_exact(canonical_decomposition_cases<double>(), 750);
}

}  // namespace decant_test
