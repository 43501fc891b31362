// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dynamic tree of EAGLE-2 (arXiv 2406.16858): expand, then re-rank. The first layer is the `top_k` likeliest tokens
// after the root; `depth` times the `top_k` likeliest nodes of the newest layer get `top_k` children each; of all
// nodes of all layers the `total - 1` likeliest stay, by path probability, among equals the earlier (so a parent stays
// with its child). EAGLE-3 drafts the same way with depth 5.
//
// Guarantee: the verifier's; nothing is drawn, so verify with match or greedy. Children that are drawn and then
// re-ranked
// (`reranked` of a sampled tree) would be biased under a coupling verifier, which refuses them.
// Needs: draft rows. Complexity: depth + 1 draft passes over at most top_k nodes. Nodes that have already lost their
// place among the total - 1 likeliest get no row; that changes nothing in the result.
//
// Example, total 4, top_k 2, depth 1: root row (.5 .3 .2), below the first (.6 .4), below the second (.9 .1).
// Layers: .5 .3 | .3 .2 .27 .03; kept: .5, .3 (depth 1), .3 (depth 2).
#ifndef DECANT_TREE_EXPAND_AND_RERANK_HPP
#define DECANT_TREE_EXPAND_AND_RERANK_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/likeliest_nodes.hpp>

namespace decant::inline DECANT_ABI {

struct expand_and_rerank {
  static constexpr tree_class produces = tree_class::deterministic;
  static constexpr bool chains_only = false;

  std::int32_t total = 60;  ///< nodes of the tree, root included; total - 1 is at most the node limit
  std::int32_t top_k = 10;  ///< nodes expanded per layer, and children of each
  std::int32_t depth = 7;   ///< layers below the first

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (total < 1) return error{error_code::invalid_argument, "expand_and_rerank: total is below 1"};
    if (top_k < 1 || index(top_k) > max_children) {
      return error{error_code::invalid_argument, "expand_and_rerank: top_k is not in [1, 256]"};
    }
    if (depth < 0) return error{error_code::invalid_argument, "expand_and_rerank: depth is negative"};
    return {};
  }

  template <class Real>
  struct work {
    detail::likeliest_nodes best{};
    std::vector<node_id> layer{};  ///< the nodes whose rows are wanted
    std::int32_t layers_left = 0;
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    const std::int32_t places = std::min(total - 1, limits.nodes);
    state.layers_left = std::min(depth, limits.depth - 1) + 1;
    state.best.start(index(std::max(0, places)));
    state.layer.clear();
    if (places > 0 && state.layers_left > 0 && top_k > 0) state.layer.push_back(0);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.layer;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t, Chance&) const {
    for (const node_id n : state.layer) state.best.propose(draft, n, top_k);
    state.best.admit(draft);
    state.layer.clear();
    if (--state.layers_left > 0) {
      const node_span newest = state.best.newest();
      const node_span expanded = newest.first(std::min(newest.size(), index(top_k)));
      state.layer.assign(expanded.begin(), expanded.end());
    }
    if (state.layer.empty()) state.best.finish(draft);
  }

  friend constexpr bool operator==(const expand_and_rerank&, const expand_and_rerank&) = default;
};

static_assert(TreeBuilder<expand_and_rerank>);

}  // namespace decant::inline DECANT_ABI

#endif
