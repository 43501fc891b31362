// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every shipped builder, drafter and verifier by type. Visiting all pairings of types would take minutes to compile:
// `for_each_typed_...` visits a selection for that, and all pairings are tested type-erased.
#ifndef DECANT_TESTS_SUPPORT_PAIRINGS_HPP
#define DECANT_TESTS_SUPPORT_PAIRINGS_HPP

#include <decant/tree/block_tree.hpp>
#include <decant/tree/calibrated_paths.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/sequoia.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>
#include <decant/tree/uniform_tail.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include "tests/support/decoding.hpp"

namespace decant_test {

// --- Builders and drafters ---

/// Calls `visit(name, builder)` for the builders whose pairings are also tested by type.
template <class Visit>
void for_each_typed_builder(Visit&& visit) {
  using namespace decant;
  visit("chain ranked", chain<ranked>{5});
  visit("chain independent", chain<independent>{5});
  visit("chain without replacement", chain<without_replacement>{4, 0.05f, 3.0f});
  visit("widths ranked", static_widths<ranked>{{3, 2, 1}});
  visit("widths independent", static_widths<independent>{{3, 2, 1}});
  visit("widths without replacement", static_widths<without_replacement>{{2, 2, 1}});
  visit("paths ranked", static_paths<ranked>({{0}, {2}, {0, 0}, {0, 1}, {2, 0}, {0, 0, 1}}));
  visit("paths without replacement", static_paths<without_replacement>({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {0, 0, 0}}));
  visit("pruned", pruned<static_widths<ranked>, min_acceptance>{{{3, 2, 2}}, {0.02f}});
  visit("reranked", reranked<static_widths<without_replacement>>{{{3, 2, 2}}, 5, 20});
  visit("dyspec heap", dyspec_heap{8, 3});
}

/// Calls `visit(name, builder)` for every shipped builder.
template <class Visit>
void for_each_builder(Visit&& visit) {
  using namespace decant;
  for_each_typed_builder(visit);
  visit("dyspec threshold", dyspec_threshold{0.05, 9});
  visit("stochastic beam", stochastic_beam{3, 3});
  visit("opt tree", opt_tree{9, 0.2, 4});
  visit("expanded and reranked", expand_and_rerank{9, 3, 2});
  const std::vector<std::vector<std::int32_t>> paths{{0}, {1}, {0, 0}, {1, 0}, {0, 0, 0}, {0, 0, 0, 0}};
  visit("block tree ranked", block_tree<ranked>{static_paths<ranked>(paths), 2});
  visit("block tree without replacement", block_tree<without_replacement>{static_paths<without_replacement>(paths), 2});
  const rank_acceptance by_rank{{0.5, 0.1, 0.2}, {0.4, 0.2}, {0.4, 0.1}, {0.3}};
  visit("calibrated paths ranked", calibrated_paths<ranked>(by_rank, 8));
  visit("calibrated paths without replacement", calibrated_paths<without_replacement>(by_rank, 8));
  visit("sequoia", sequoia_trees({0.5, 0.2, 0.1}, 9, 4).tree(9, 4));
  visit("widths uniform tail", static_widths<uniform_tail>{{3, 2, 1}});
  visit("widths greedy multi-draft", static_widths<greedy_multi_draft>{{2, 2, 1}});
  visit("widths coupled", static_widths<coupled_draws>{{2, 2, 1}});
  visit("chain coupled", chain<coupled_draws>{5});
}

namespace detail {

/// Drafters made from the builders that `visit_builders(visit)` visits, and those that need no builder.
template <class VisitBuilders, class Visit>
void for_each_drafter_of(VisitBuilders&& visit_builders, Visit&& visit) {
  using namespace decant;
  constexpr prompt_lookup_settings lookup{.min_match = 1, .index_bits = 6};
  visit("none", [](boxed_model&) { return no_drafter{}; });
  visit("lookup", [=](boxed_model&) { return prompt_lookup<>(lookup); });
  visit("lookup tree", [=](boxed_model&) { return prompt_lookup<3>(lookup); });
  visit_builders([&](const char* name, auto builder) {
    visit(name, [builder](boxed_model& model) { return make_model_drafter(model, builder, penalised()); });
  });
}

}  // namespace detail

/// Calls `visit(name, make)` for every shipped drafter; `make(draft model)` is one, which the draft model must outlive.
template <class Visit>
void for_each_drafter(Visit&& visit) {
  detail::for_each_drafter_of([](auto&& each) { for_each_builder(each); }, visit);
}

/// The same for those whose pairings are also tested by type.
template <class Visit>
void for_each_typed_drafter(Visit&& visit) {
  detail::for_each_drafter_of([](auto&& each) { for_each_typed_builder(each); }, visit);
}

/// The drafter that a `make` of `for_each_drafter` makes.
template <class Make>
using made_by = std::invoke_result_t<Make, boxed_model&>;

// --- Verifiers ---

template <class D, class V>
inline constexpr bool fits = decant::check_pairing(D::produces, D::chains_only, V::needs,
                                                   V::shape) == decant::pairing_verdict::fits;

/// Calls `visit(name, verifier)` for every exact verifier.
template <class Visit>
void for_each_exact_verifier(Visit&& visit) {
  using namespace decant;
  visit("greedy", greedy{});
  visit("match", match{});
  visit("speculative sampling", speculative_sampling{});
  visit("block verification", block_verification{});
  visit("recursive rejection", recursive_rejection{});
  visit("traversal", traversal{});
  visit("k-seq", k_seq{});
  visit("random order", random_order{});
  visit("membership", membership{});
  visit("canonical decomposition", canonical_decomposition{});
  visit("drafter-invariant", drafter_invariant{});
}

/// Calls `visit(name, verifier)` for the exact verifiers that fit a drafter and are tested with it by type: those of
/// several draws taken together with one drafter only.
template <class D, class Visit>
void for_each_typed_verifier(Visit&& visit) {
  using namespace decant;
  using drafter_of_all = model_drafter<boxed_model&, static_widths<independent>, chain_sampler>;
  visit("greedy", greedy{});
  visit("match", match{});
  if constexpr (fits<D, speculative_sampling>) visit("speculative sampling", speculative_sampling{});
  if constexpr (fits<D, block_verification>) visit("block verification", block_verification{});
  if constexpr (fits<D, recursive_rejection>) visit("recursive rejection", recursive_rejection{});
  if constexpr (fits<D, traversal>) visit("traversal", traversal{});
  if constexpr (std::is_same_v<D, drafter_of_all>) {
    visit("k-seq", k_seq{});
    visit("random order", random_order{});
    visit("membership", membership{});
    visit("canonical decomposition", canonical_decomposition{});
    visit("drafter-invariant", drafter_invariant{});
  }
}

/// Hidden rows for judges without a model: one number, whose sign alternates from node to node.
struct alternating_rows {
  std::array<float, 2> values{1.0f, -1.0f};

  [[nodiscard]] std::span<const float> hidden(decant::node_id n) const {
    return std::span<const float>(values).subspan(decant::index(n) % 2, 1);
  }
};

/// Calls `visit(name, verifier)` for every relaxed verifier that can do without a model's attention.
template <class Visit>
void for_each_relaxed_verifier(Visit&& visit) {
  using namespace decant;
  static const alternating_rows rows;
  visit("lenience", lenient_verification<>{});
  visit("mentored", mentored_decoding<>{{0.2}, {}, {}, true});
  visit("cascade", speculative_cascade<>{{cascade_rule::token_v3, 0.4}, {}, {}, true});
  visit("divergence gate", fuzzy_verification<>{});
  visit("top-k acceptance", top_k_acceptance<>{});
  visit("top-k acceptance or rejection", top_k_acceptance<standard_test::rejection>{});
  visit("margin acceptance", margin_acceptance<>{});
  visit("typical acceptance", typical_acceptance{});
  visit("typical walk", typical_walk<>{});
  visit("judge", judge<standard_test::rejection, alternating_rows>{{{{1.0f}, 0}, 0.5, {&rows}}});
  visit("loose window", loose_speculation{{2, 0.0}});
}

/// The verifiers that a `for_each_..._verifier` visits, type-erased.
template <class VisitVerifiers>
[[nodiscard]] std::vector<shipped_verifier> erased(VisitVerifiers&& visit_verifiers) {
  std::vector<shipped_verifier> list;
  visit_verifiers([&](const char* name, auto verifier) { list.push_back({name, std::move(verifier)}); });
  return list;
}

}  // namespace decant_test

#endif
