// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/guarantee.hpp>

#include "tests/support/test_kit.hpp"

#include <set>
#include <string>

namespace {

using decant::edge_needs;
using decant::guarantee;
using decant::pairing_verdict;
using decant::shape_needs;
using decant::tree_class;

template <tree_class Class, bool ChainsOnly>
struct drafter {
  static constexpr tree_class produces = Class;
  static constexpr bool chains_only = ChainsOnly;
};

template <edge_needs Needs, shape_needs Shape>
struct verifier {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = Needs;
  static constexpr shape_needs shape = Shape;
};

/// A part that knows what it is at run time only.
struct erased_drafter : drafter<tree_class::arbitrary, false> {
  tree_class actual = tree_class::arbitrary;
  bool chains = false;
  [[nodiscard]] tree_class produces_value() const { return actual; }
  [[nodiscard]] bool chains_only_value() const { return chains; }
};

using coupling = verifier<edge_needs::true_laws, shape_needs::any_tree>;

static_assert(decant::pairing<drafter<tree_class::sampled, true>, coupling>::ok);
static_assert(decant::promises_at_least<coupling, guarantee::lossy>);
static_assert(decant::promises_at_least<coupling, guarantee::exact_in_law>);
static_assert(!decant::promises_at_least<coupling, guarantee::seed_identical>);

}  // namespace

TEST_CASE("the guarantee of a whole is that of its weakest part") {
  constexpr guarantee all[] = {guarantee::lossy, guarantee::exact_in_law, guarantee::greedy_identical,
                               guarantee::seed_identical};
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) CHECK(decant::weakest(all[i], all[j]) == all[i < j ? i : j]);
  }
}

TEST_CASE("which trees fit which verifiers") {
  using enum tree_class;
  using verdict = pairing_verdict;
  const struct {
    edge_needs needs;
    verdict deterministic_tree, counted_tree, sampled_tree, arbitrary_tree;
  } table[] = {
      {edge_needs::nothing, verdict::fits, verdict::fits, verdict::fits, verdict::fits},
      {edge_needs::true_laws, verdict::fits, verdict::fits, verdict::fits, verdict::law_was_broken},
      {edge_needs::sampled_laws, verdict::tokens_were_not_drawn, verdict::fits, verdict::fits, verdict::law_was_broken},
      {edge_needs::counted_laws, verdict::fits, verdict::fits, verdict::counts_depend_on_tokens,
       verdict::law_was_broken},
  };
  for (const auto& row : table) {
    for (const bool chain : {false, true}) {
      CHECK(decant::check_pairing(deterministic, chain, row.needs, shape_needs::any_tree) == row.deterministic_tree);
      CHECK(decant::check_pairing(counted, chain, row.needs, shape_needs::any_tree) == row.counted_tree);
      CHECK(decant::check_pairing(sampled, chain, row.needs, shape_needs::any_tree) == row.sampled_tree);
      CHECK(decant::check_pairing(arbitrary, chain, row.needs, shape_needs::any_tree) == row.arbitrary_tree);
    }
  }
  CHECK(decant::check_pairing(sampled, false, edge_needs::sampled_laws, shape_needs::chain) ==
        verdict::tree_is_no_chain);
  CHECK(decant::check_pairing(sampled, true, edge_needs::sampled_laws, shape_needs::chain) == verdict::fits);
  CHECK(decant::check_pairing(arbitrary, false, edge_needs::nothing, shape_needs::chain) == verdict::tree_is_no_chain);
}

TEST_CASE("type-erased parts are judged by what they hold") {
  const coupling typed;
  CHECK(decant::pairing_of(erased_drafter{}, typed) == pairing_verdict::law_was_broken);
  CHECK(decant::pairing_of(erased_drafter{{}, tree_class::sampled, false}, typed) == pairing_verdict::fits);
  const verifier<edge_needs::sampled_laws, shape_needs::chain> chain_only;
  CHECK(decant::pairing_of(erased_drafter{{}, tree_class::sampled, false}, chain_only) ==
        pairing_verdict::tree_is_no_chain);
  CHECK(decant::pairing_of(erased_drafter{{}, tree_class::sampled, true}, chain_only) == pairing_verdict::fits);
  CHECK(decant::pairing_of(drafter<tree_class::deterministic, true>{}, chain_only) ==
        pairing_verdict::tokens_were_not_drawn);
}

TEST_CASE("every verdict and guarantee has words of its own") {
  std::set<std::string> words;
  for (const auto verdict :
       {pairing_verdict::fits, pairing_verdict::law_was_broken, pairing_verdict::tokens_were_not_drawn,
        pairing_verdict::counts_depend_on_tokens, pairing_verdict::tree_is_no_chain}) {
    words.insert(decant::sentence(verdict));
  }
  for (const auto g :
       {guarantee::lossy, guarantee::exact_in_law, guarantee::greedy_identical, guarantee::seed_identical}) {
    words.insert(decant::name(g));
  }
  for (const auto c : {tree_class::deterministic, tree_class::counted, tree_class::sampled, tree_class::arbitrary}) {
    words.insert(decant::name(c));
  }
  CHECK(words.size() == 13);
  CHECK(words.count("unknown") == 0);
}
