// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact laws of the builders whose next draw depends on the draws before: DySpec in both forms and the stochastic beam,
// under every verifier that takes such trees, in double and, for small worlds, in rationals.
#include "tests/proof/exact_law_checks.hpp"
#include "tests/proof/sampled_builder_cases.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

namespace decant_test {
namespace {

template <class Real>
void check_all(std::size_t expected) {
  check_exact(sampled_builder_cases<Real, recursive_rejection>("recursive_rejection"), expected);
  check_exact(sampled_builder_cases<Real, traversal>("traversal"), expected);
  check_exact(sampled_builder_cases<Real, match>("match"), expected);
}

}  // namespace

TEST_CASE("DySpec and the stochastic beam have the target's law") { check_all<double>(300); }

#ifdef DECANT_TEST_HAS_GMP
TEST_CASE("DySpec and the stochastic beam have exactly the target's law in rationals") { check_all<rational>(160); }
#endif

TEST_CASE("what these builders draw fits the verifiers of sampled trees and no chain verifier") {
  static_assert(dyspec_heap::produces == tree_class::sampled && dyspec_threshold::produces == tree_class::sampled &&
                stochastic_beam::produces == tree_class::sampled);
  const suite_drafter<double> drafter(proof::drafter_of(proof::toy_a<double>(), dyspec_heap{}));
  CHECK(pairing_of(drafter, recursive_rejection{}) == pairing_verdict::fits);
  CHECK(pairing_of(drafter, traversal{}) == pairing_verdict::fits);
  CHECK(pairing_of(drafter, match{}) == pairing_verdict::fits);
  CHECK(pairing_of(drafter, speculative_sampling{}) == pairing_verdict::tree_is_no_chain);
}

TEST_CASE("a beam that holds every path is accepted to its end") {
  const auto tokens = [](const proof::toy<double>& world, const stochastic_beam& builder) {
    const auto report = proof::prove_steps(world, builder, recursive_rejection{});
    INFO(report.describe());
    CHECK(report.exact());
    return report.expected_emitted();
  };
  CHECK(near(tokens(proof::toy_a<double>(), {.width = 4, .depth = 1}), 2, 1e-12));
  CHECK(near(tokens(proof::random_toy<double>(0), {.width = 4, .depth = 2}), 3, 1e-12));
}

}  // namespace decant_test
