// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every shipped builder, drafter and exact verifier by type. Visiting all pairings compiles them all: few tests should.
#ifndef DECANT_TESTS_SUPPORT_PAIRINGS_HPP
#define DECANT_TESTS_SUPPORT_PAIRINGS_HPP

#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/support/decoding.hpp"

namespace decant_test {

/// Calls `visit(name, builder)` for every shipped builder.
template <class Visit>
void for_each_builder(Visit&& visit) {
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
}

/// Calls `visit(name, make)` for every shipped drafter; `make(draft model)` is one, which the draft model must outlive.
template <class Visit>
void for_each_drafter(Visit&& visit) {
  using namespace decant;
  constexpr prompt_lookup_settings lookup{.min_match = 1, .index_bits = 6};
  visit("none", [](boxed_model&) { return no_drafter{}; });
  visit("lookup", [=](boxed_model&) { return prompt_lookup<>(lookup); });
  visit("lookup tree", [=](boxed_model&) { return prompt_lookup<3>(lookup); });
  for_each_builder([&](const char* name, auto builder) {
    visit(name, [builder](boxed_model& model) { return make_model_drafter(model, builder, penalised()); });
  });
}

/// The drafter that a `make` of `for_each_drafter` makes.
template <class Make>
using made_by = std::invoke_result_t<Make, boxed_model&>;

template <class D, class V>
inline constexpr bool fits = decant::check_pairing(D::produces, D::chains_only, V::needs,
                                                   V::shape) == decant::pairing_verdict::fits;

/// Calls `visit(name, verifier)` for every exact verifier that fits a drafter.
template <class D, class Visit>
void for_each_verifier(Visit&& visit) {
  using namespace decant;
  visit("greedy", greedy{});
  visit("match", match{});
  if constexpr (fits<D, speculative_sampling>) visit("speculative sampling", speculative_sampling{});
  if constexpr (fits<D, block_verification>) visit("block verification", block_verification{});
  if constexpr (fits<D, recursive_rejection>) visit("recursive rejection", recursive_rejection{});
  if constexpr (fits<D, traversal>) visit("traversal", traversal{});
}

}  // namespace decant_test

#endif
