// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is tested by sampling: every exact verifier with builders of every kind it takes, on vocabularies of 1,000 and
// 32,000, with dense and sparse laws.
#ifndef DECANT_TESTS_SAMPLED_SAMPLED_CASES_HPP
#define DECANT_TESTS_SAMPLED_SAMPLED_CASES_HPP

#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>
#include <decant/tree/uniform_tail.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/sampled/support/sampled_text.hpp"

namespace decant_test {

/// Worlds by number: 0 to 2 with 1,000 tokens, 3 and 4 with 32,000.
[[nodiscard]] inline std::vector<sampled_world> sampled_worlds() {
  return {make_world(1'000, dense_rows(), 1), make_world(1'000, sparse_rows(), 2), make_world(1'000, mixed_rows(), 3),
          make_world(32'000, dense_rows(), 4), make_world(32'000, sparse_rows(), 5)};
}

/// Steps of one text in the default suite, by the number of its world: what a step costs decides.
inline constexpr std::array<std::size_t, 5> usual_passes{5'000, 8'000, 3'000, 1'200, 6'000};
/// The world in which a step may cost milliseconds.
inline constexpr std::size_t large_dense_world = 3;

/// Whether a case is left to the nightly run in the world where it is slow.
enum class when_slow { usual, nightly };

/// Collects the cases of one verifier on all worlds.
class sampled_list {
 public:
  template <class V>
  void add(const char* verifier, V verify_by, const char* builder, const sampled_builder& build_by,
           when_slow slow = when_slow::usual) {
    for (std::size_t world = 0; world < usual_passes.size(); ++world) {
      const bool nightly = slow == when_slow::nightly && world == large_dense_world;
      cases_.push_back({verifier, builder, verify_by, build_by, world, usual_passes[world], nightly});
    }
  }
  /// Once more on a small vocabulary and on the large one, with the samplers at work in every step.
  template <class V>
  void add_processed(const char* verifier, V verify_by, const char* builder, const sampled_builder& build_by) {
    cases_.push_back({verifier, builder, verify_by, build_by, 2, 2'000, false, true});
    cases_.push_back({verifier, builder, verify_by, build_by, 4, 1'000, false, true});
  }
  [[nodiscard]] std::vector<sampled_case> take() { return std::move(cases_); }

 private:
  std::vector<sampled_case> cases_;
};

[[nodiscard]] inline std::vector<sampled_case> sampled_cases() {
  using enum when_slow;
  const chain<independent> drawn_chain{3};
  const static_widths<independent> iid{{2, 2}};
  const static_widths<without_replacement> distinct{{3, 1}};
  const dyspec_heap dyspec{.nodes = 6, .batch = 2};
  const stochastic_beam beam{.width = 3, .depth = 2};

  sampled_list list;
  list.add("match", match{}, "DySpec", dyspec);
  list.add("match", match{}, "OPT-Tree", opt_tree{6, 0.05, 3});
  list.add("drafter_invariant", drafter_invariant{}, "coupled chain", chain<coupled_draws>{2}, nightly);
  list.add("drafter_invariant", drafter_invariant{}, "beam", beam);
  list.add("speculative_sampling", speculative_sampling{}, "chain", drawn_chain);
  list.add("block_verification", block_verification{}, "chain", drawn_chain);
  list.add("recursive_rejection", recursive_rejection{}, "ranked", static_widths<ranked>{{3, 2}}, nightly);
  list.add("recursive_rejection", recursive_rejection{}, "distinct", distinct, nightly);
  list.add("recursive_rejection", recursive_rejection{}, "DySpec", dyspec);
  list.add("recursive_rejection", recursive_rejection{}, "beam", beam);
  list.add("recursive_rejection", recursive_rejection{}, "uniform tail", static_widths<uniform_tail>{{3, 1}}, nightly);
  list.add("traversal", traversal{}, "iid", iid);
  list.add("traversal", traversal{}, "distinct", distinct, nightly);
  list.add("traversal", traversal{}, "DySpec", dyspec, nightly);
  list.add("traversal", traversal{}, "beam", beam, nightly);
  list.add("membership", membership{}, "distinct", distinct, nightly);
  list.add("membership", membership{}, "DySpec", dyspec);
  list.add("k_seq", k_seq{}, "iid", iid);
  list.add("random_order", random_order{}, "iid", iid);
  list.add("random_order", random_order{}, "distinct", distinct, nightly);
  list.add("canonical_decomposition", canonical_decomposition{}, "iid", iid);
  list.add("canonical_decomposition", canonical_decomposition{}, "top and a draw",
           static_widths<greedy_multi_draft>{{2, 2}}, nightly);

  list.add_processed("speculative_sampling", speculative_sampling{}, "chain", drawn_chain);
  list.add_processed("traversal", traversal{}, "beam", beam);
  return list.take();
}

/// The largest probability with which one test may fail by chance. With fewer than 1,000 tests in the suite it raises
/// no false alarm with a probability above 1e-6.
inline constexpr double sampled_alpha = 1e-9;

}  // namespace decant_test

#endif
