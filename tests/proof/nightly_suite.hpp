// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The exact configurations of a nightly run: the default suite and its deep trees (configurations.hpp), every builder
// under every verifier that takes its trees, trees of depth 3 on vocabularies up to 5, and all of it again on worlds
// that are degenerate everywhere.
#ifndef DECANT_TESTS_PROOF_NIGHTLY_SUITE_HPP
#define DECANT_TESTS_PROOF_NIGHTLY_SUITE_HPP

#include "tests/proof/chosen_builder_cases.hpp"
#include "tests/proof/sampled_builder_cases.hpp"

namespace decant_test {

/// Chosen trees of depth 3 and more: only the verifier's choices make paths, so they reach far.
template <class List>
void add_deep_chosen_trees(List& list) {
  list.add("opt_tree of 12 nodes", opt_tree{12, 0.05, 5}, long_reach);
  list.add("expand_and_rerank 10 3 3", expand_and_rerank{10, 3, 3}, {5, 3});
  list.add("expand_and_rerank 12 2 4", expand_and_rerank{12, 2, 4}, {4, 2});
  list.add("widths 3 2 1, ranked", static_widths<ranked>{{3, 2, 1}}, long_reach);
  list.add("ranked chain 5", chain<ranked>{5}, {5, 2});
  list.add("calibrated paths, 8 nodes", calibrated_paths({{0.5, 0.3}, {0.6, 0.1}, {0.4}}, 8), long_reach);
}

/// Trees of depth 3, and of width 3 on a vocabulary of 5, whose draws depend on the draws before.
template <class List>
void add_deep_sampled_trees(List& list) {
  list.add("DySpec, 3 nodes", dyspec_heap{.nodes = 3}, {5, 3});
  list.add("DySpec, 4 nodes", dyspec_heap{.nodes = 4}, {4, 2});
  list.add("DySpec, 5 nodes, at most depth 3", dyspec_heap{.nodes = 5}, {3, 2}, {64, 3});
  list.add("DySpec, threshold .2, depth 3", dyspec_threshold{.threshold = 0.2}, {3, 2}, {64, 3});
  list.add("DySpec, threshold .3, depth 3", dyspec_threshold{.threshold = 0.3}, {4, 2}, {64, 3});
  list.add("stochastic beam 2 x 2", stochastic_beam{.width = 2, .depth = 2}, {4, 2});
  list.add("stochastic beam 2 x 3", stochastic_beam{.width = 2, .depth = 3}, {3, 2});
  list.add("stochastic beam 3 x 1", stochastic_beam{.width = 3, .depth = 1}, {5, 2});
  list.add("stochastic beam 1 x 3", stochastic_beam{.width = 1, .depth = 3}, {5, 3});
}

/// Trees whose number of draws is settled, for worlds in which most paths vanish.
template <class List>
void add_degenerate_trees(List& list) {
  list.add("chain 3", chain<independent>{3}, {5, 2});
  list.add("widths 3, independent", static_widths<independent>{{3}}, {4, 2});
  list.add("widths 2 1, independent", static_widths<independent>{{2, 1}}, {4, 2});
  list.add("widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, {4, 2});
  list.add("widths 1 1 2, without replacement", static_widths<without_replacement>{{1, 1, 2}}, {4, 2});
  list.add("top 1 and a draw from the rest", static_widths<greedy_multi_draft>{{2, 1}}, {4, 2});
  list.add("distinct draws and the uniform tail", static_widths<uniform_tail>{{4}}, {4, 2});
  list.add("widths 2 2 1, ranked", static_widths<ranked>{{2, 2, 1}}, {5, 3});
}

/// Turns each toy into a world that is degenerate in every context.
template <class Real>
struct degeneration {
  const char* name;
  std::function<void(proof::toy<Real>&)> apply;
};
template <class Real>
[[nodiscard]] std::vector<degeneration<Real>> degenerations() {
  using world = proof::toy<Real>;
  return {
      {"one-hot target", [](world& w) { w.target = proof::one_hot(w.target); }},
      {"one-hot draft", [](world& w) { w.draft = proof::one_hot(w.draft); }},
      {"both one-hot",
       [](world& w) {
         w.target = proof::one_hot(w.target);
         w.draft = proof::one_hot(w.draft);
       }},
      {"equal laws", [](world& w) { w.draft = w.target; }},
      {"disjoint",
       [](world& w) {
         w.target = proof::only_parity(w.target, 1);
         w.draft = proof::only_parity(w.draft, 0);
       }},
      {"draft on half of the target's tokens", [](world& w) { w.draft = proof::only_parity(w.target, 0); }},
      {"target on half of the draft's tokens", [](world& w) { w.target = proof::only_parity(w.draft, 1); }},
      {"uniform draft",
       [](world& w) {
         w.draft = hashed_law<Real>{1, w.vocab_size(), whole_context, 0};
       }},
  };
}

/// A list of one verifier. Those that order the draws of a node anew make a path of each order: two steps only where
/// the vocabulary is small.
template <class Real, class V>
[[nodiscard]] case_list<Real> nightly_list(const char* name) {
  auto list = list_for<Real, V>(name);
  if constexpr (V::needs == edge_needs::counted_laws) list.limit_two_steps(scalar_traits<Real>::exact ? 3 : 2);
  return list;
}

/// `fill(list)` on each degenerate world.
template <class Real, class V, class Fill>
void add_degenerate_worlds(const char* name, std::vector<exact_case>& all, const Fill& fill) {
  for (const degeneration<Real>& one : degenerations<Real>()) {
    auto list = nightly_list<Real, V>(name);
    list.set_toys([one](proof::toy<Real> world) {
      world.name += std::string(", ") + one.name;
      one.apply(world);
      return world;
    });
    fill(list);
    append(all, list.take());
  }
}

/// The lists of every builder that one verifier takes, deep trees included.
template <class Real, class V>
void add_builders_under(const char* name, std::vector<exact_case>& all) {
  using List = case_list<Real>;
  if constexpr (V::shape == shape_needs::any_tree) {
    auto list = nightly_list<Real, V>(name);
    add_chosen_trees(list);
    add_deep_chosen_trees(list);
    add_drawn_shapes(list);
    append(all, list.take());
    if constexpr (V::needs != edge_needs::counted_laws) {
      append(all, sampled_builder_cases<Real, V>(name));
      auto deep = nightly_list<Real, V>(name);
      add_deep_sampled_trees(deep);
      append(all, deep.take());
    }
    add_degenerate_worlds<Real, V>(name, all, [](List& one) { add_degenerate_trees(one); });
  } else {
    add_degenerate_worlds<Real, V>(name, all, [](List& one) {
      one.add("chain 3", chain<independent>{3}, {5, 2});
      one.add("chain 4, at most 3 nodes", chain<independent>{4}, {4, 2}, {3, 16});
      one.add("chain 3, stops at unsure rows", chain<independent>{3, 0.5f}, {5, 2});
    });
  }
}

/// What the nightly run proves beside `nightly_suite`.
template <class Real>
[[nodiscard]] std::vector<exact_case> all_builders_suite() {
  std::vector<exact_case> all;
  add_builders_under<Real, match>("match", all);
  add_builders_under<Real, drafter_invariant>("drafter_invariant", all);
  add_builders_under<Real, speculative_sampling>("speculative_sampling", all);
  add_builders_under<Real, block_verification>("block_verification", all);
  add_builders_under<Real, recursive_rejection>("recursive_rejection", all);
  add_builders_under<Real, traversal>("traversal", all);
  add_builders_under<Real, membership>("membership", all);
  add_builders_under<Real, k_seq>("k_seq", all);
  add_builders_under<Real, random_order>("random_order", all);
  add_builders_under<Real, canonical_decomposition>("canonical_decomposition", all);
  return all;
}

/// Everything a nightly run proves in one scalar.
template <class Real>
[[nodiscard]] std::vector<exact_case> whole_nightly_suite() {
  std::vector<exact_case> all = nightly_suite<Real>();
  append(all, all_builders_suite<Real>());
  return all;
}

}  // namespace decant_test

#endif
