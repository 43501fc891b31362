// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected tokens per step of the drawn tree builders, against values computed elsewhere. Toy A has exact ties, so its
// DySpec values are those of rationals.
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/stochastic_beam.hpp>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

namespace decant_test {
namespace {

#ifdef DECANT_TEST_HAS_GMP
using exact = rational;
#else
using exact = double;
#endif

template <class Real, class D, class V>
void check_drafter(const proof::toy<Real>& world, const D& drafter, const V& verifier, double expected,
                   double tolerance = 1e-11) {
  const auto report = proof::prove_drafter(world, drafter, verifier);
  INFO("toy " << world.name << ", expected " << expected << ": " << report.describe());
  CHECK(report.exact());
  CHECK(near(report.expected_emitted(), expected, tolerance));
}

/// Under recursive rejection and under traversal.
template <class Real, class Builder>
void check_tokens(const proof::toy<Real>& world, const Builder& builder, double by_rejection, double by_traversal) {
  check_drafter(world, proof::drafter_of(world, builder), recursive_rejection{}, by_rejection);
  check_drafter(world, proof::drafter_of(world, builder), traversal{}, by_traversal);
}

}  // namespace

TEST_CASE("DySpec of fixed size emits the golden number of tokens") {
  const auto b = proof::toy_b<double>();
  check_tokens(b, dyspec_heap{.nodes = 3}, 1.877857142857, 1.892857142857);
  const auto a = proof::toy_a<double>();
  check_tokens(a, dyspec_heap{.nodes = 2}, 1.745238095238, 1.745238095238);
#ifdef DECANT_TEST_HAS_GMP
  const auto exact_a = proof::toy_a<exact>();
  check_tokens(exact_a, dyspec_heap{.nodes = 3}, 1.981666666667, 1.998333333333);
  check_tokens(exact_a, dyspec_heap{.nodes = 4}, 2.074666666667, 2.110606060606);
  check_tokens(exact_a, dyspec_heap{.nodes = 4, .batch = 1, .row_block = 2}, 2.074666666667, 2.110606060606);
#endif
}

TEST_CASE("DySpec with a threshold emits the golden number of tokens") {
  const auto rejected = [](const auto& world, double threshold, double expected) {
    proof::proof_options two_levels;
    two_levels.limits.depth = 2;
    for (const std::int32_t block : {1, 256}) {
      const auto report = proof::prove_steps(world, dyspec_threshold{.threshold = threshold, .row_block = block},
                                             recursive_rejection{}, two_levels);
      INFO("toy " << world.name << ", threshold " << threshold << ": " << report.describe());
      CHECK(report.exact());
      CHECK(near(report.expected_emitted(), expected, 1e-11));
    }
  };
  rejected(proof::toy_a<double>(), 0.25, 2.168333333333);
  rejected(proof::toy_a<double>(), 0.22, 2.174345238095);
  rejected(proof::toy_b<double>(), 0.25, 2.284642857143);
}

TEST_CASE("the stochastic beam emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  check_tokens(a, stochastic_beam{.width = 2, .depth = 2}, 2.328776077108, 2.376133026619);
  check_tokens(a, stochastic_beam{.width = 2, .depth = 2, .row_block = 3}, 2.328776077108, 2.376133026619);
}

TEST_CASE("two unmerged draft models emit the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  const two_law_drafter<double> unmerged(a.draft, second_draft_law<double>(), duplicate_rule::keep_both, 2);
  check_drafter(a, unmerged, recursive_rejection{}, 2.403, 5e-4);
  check_drafter(a, unmerged, traversal{}, 2.453, 5e-4);
}

}  // namespace decant_test
