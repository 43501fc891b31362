// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The builders that choose their tokens, and Falcon's block tree also where it draws them: every verifier that takes
// their trees keeps the target's law, and match accepts what the path probabilities say.
#include "tests/proof/chosen_builder_cases.hpp"
#include "tests/proof/exact_law_checks.hpp"
#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

namespace decant_test {
namespace {

template <class Real, class V>
std::vector<exact_case> chosen_cases(const char* name) {
  auto list = list_for<Real, V>(name);
  add_chosen_trees(list);
  return list.take();
}
template <class Real, class V>
std::vector<exact_case> drawn_cases(const char* name) {
  auto list = list_for<Real, V>(name);
  add_drawn_shapes(list);
  return list.take();
}

/// Draws nothing: a chosen tree asks for no chance.
struct no_chance {
  bool accept(chance_key, double, double) { return fail(); }
  token pick(chance_key, distribution_view<double>) { return fail() ? 0 : 1; }
  std::size_t ordered_sample(chance_key, distribution_view<double>, std::span<token>) { return fail() ? 0 : 1; }
  static bool fail() {
    FAIL("a builder that chooses its tokens has drawn one");
    return false;
  }
};

/// The draft that a builder makes of a toy's draft law.
template <class Builder>
token_draft<double> drafted_by(const proof::toy<double>& world, const Builder& builder) {
  auto drafter = proof::drafter_of(world, builder, given_law{});
  token_draft<double> draft;
  draft.reset(world.prompt.back());
  no_chance chance;
  REQUIRE(drafter.extend(world.prompt).has_value());
  REQUIRE(drafter.start(draft, {world.prompt, {64, 16}, world.vocab_size()}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
  return draft;
}

/// 1 + the sum over the nodes of a builder's tree of their path probabilities under the target.
template <class Builder>
double expected_of_match(const proof::toy<double>& world, const Builder& builder) {
  const token_draft<double> draft = drafted_by(world, builder);
  std::vector<double> reach(draft.tree.size(), 1);
  std::vector<double> row(world.vocab_size());
  double sum = 0;
  for (const node_id n : draft.tree.all()) {
    if (n > 0) {
      std::vector<token> context = world.prompt;
      std::vector<token> path;
      draft.tree.path_tokens(draft.tree.parent(n), path);
      context.insert(context.end(), path.begin(), path.end());
      world.target.weights(context, row);
      const double mass = std::accumulate(row.begin(), row.end(), 0.0);
      reach[index(n)] = reach[index(draft.tree.parent(n))] * row[index(draft.tree.token_of(n))] / mass;
    }
    sum += reach[index(n)];
  }
  return sum;
}

template <class Builder>
void check_own_estimates(const Builder& builder) {
  for (const auto& world : proof::standard_toys<double>(4)) {
    INFO(world.name);
    const proof::toy<double> self{world.name, world.target, world.target};
    const auto report = proof::prove_steps(self, builder, match{});
    const token_tree tree = drafted_by(self, builder).tree;
    double sum = 0;
    for (const node_id n : tree.all()) sum += static_cast<double>(tree.acceptance(n));
    CHECK(report.expected_emitted() == Approx(sum).epsilon(1e-6));
  }
}

template <class Builder>
void check_expected_of_match(const Builder& builder) {
  for (const auto& world : proof::standard_toys<double>(5)) {
    INFO(world.name);
    const auto report = proof::prove_steps(world, builder, match{});
    CHECK(report.exact());
    CHECK(report.expected_emitted() == Approx(expected_of_match(world, builder)).epsilon(1e-12));
  }
}

}  // namespace

TEST_CASE("match has the target's law with every builder that chooses its tokens") {
  check_exact(chosen_cases<double, match>("match"), 150);
}
TEST_CASE("recursive rejection and traversal have the target's law with every builder that chooses its tokens") {
  check_exact(chosen_cases<double, recursive_rejection>("recursive_rejection"), 150);
  check_exact(chosen_cases<double, traversal>("traversal"), 150);
}
TEST_CASE("every verifier has the target's law with block trees and Sequoia's trees of drawn tokens") {
  check_exact(drawn_cases<double, match>("match"), 40);
  check_exact(drawn_cases<double, recursive_rejection>("recursive_rejection"), 40);
  check_exact(drawn_cases<double, traversal>("traversal"), 40);
}

TEST_CASE("match emits one token more than the path probabilities of a chosen tree sum to") {
  check_expected_of_match(opt_tree{6, 0.1, 3});
  check_expected_of_match(expand_and_rerank{7, 2, 2});
  check_expected_of_match(block_tree<ranked>{static_paths<ranked>(paths_from("0 1 00 10 000")), 2, 0});
  check_expected_of_match(calibrated_paths({{0.5, 0.3}, {0.6, 0.1}}, 4));
  check_expected_of_match(cut_to_cost<expand_and_rerank>{{9, 3, 2}, cost_curve{{{1, 1.0}, {4, 1.5}}}, 0.1});
}

TEST_CASE("where the draft is the target, a builder's own estimates sum to what match emits") {
  check_own_estimates(expand_and_rerank{7, 3, 2});
  check_own_estimates(opt_tree{7, 0.2, 3});
}

#ifdef DECANT_TEST_HAS_GMP
TEST_CASE("the same in rationals, without any difference") {
  check_exact(chosen_cases<rational, match>("match"), 100);
  check_exact(chosen_cases<rational, traversal>("traversal"), 100);
  check_exact(drawn_cases<rational, recursive_rejection>("recursive_rejection"), 25);
}
#endif

}  // namespace decant_test
