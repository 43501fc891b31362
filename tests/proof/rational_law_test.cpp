// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The same proofs as equalities: in rationals the distance from the target's law is 0, so no floating constant is
// hidden in a verifier, a builder or the loop.
#include "tests/proof/exact_law_checks.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"

namespace decant_test {

TEST_CASE("match has exactly the target's law in rationals") { check_exact(match_cases<rational>(), 100); }
TEST_CASE("greedy has exactly the law of a target at temperature 0 in rationals") {
  check_exact(greedy_cases<rational>(), 100);
}
TEST_CASE("speculative sampling has exactly the target's law in rationals") {
  check_exact(speculative_sampling_cases<rational>(), 100);
}
TEST_CASE("recursive rejection has exactly the target's law in rationals") {
  check_exact(recursive_rejection_cases<rational>(), 180);
}
TEST_CASE("block verification and traversal have exactly the target's law in rationals") {
  check_exact(block_verification_cases<rational>(), 100);
  check_exact(traversal_cases<rational>(), 180);
}
TEST_CASE("the verifiers of several drafts have exactly the target's law in rationals") {
  check_exact(membership_cases<rational>(), 550);
  check_exact(k_seq_cases<rational>(), 500);
  check_exact(random_order_cases<rational>(), 500);
  check_exact(canonical_decomposition_cases<rational>(), 500);
}
TEST_CASE("drafter-invariant verification has exactly the target's law in rationals") {
  check_exact(drafter_invariant_cases<rational>(), 200);
}

}  // namespace decant_test
#else
TEST_CASE("proofs in rationals need GMP") { DECANT_SKIP("GMP was not found (libgmp-dev on Debian, gmp elsewhere)"); }
#endif
