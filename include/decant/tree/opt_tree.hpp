// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// OPT-Tree (arXiv 2406.17276): in every step the tree of the N nodes with the largest path probability under the draft,
// and no deeper than pays. Layer by layer, every node's likeliest children compete for the N places of the tree;
// E = sum of the path probabilities of the N best so far. Once a layer raises E by no more than `min_growth` the tree
// is ready. E + 1 is the expected number of tokens of a step if the draft's rows are right: with match it is exact. A
// next layer costs one draft pass, so the rule of the paper is draft pass / target pass < min_growth < 1.
//
// Guarantee: the verifier's; nothing is drawn, so verify with match or greedy. Needs: draft rows.
// Complexity: one draft pass per layer over the nodes that hold a place in the newest layer, at most N rows.
// Differs from the released code in what cannot change the choice among the same layers: nodes without a place get no
// row; and the newest layer takes part in the choice, so the last draft pass is never for nothing.
//
// Example, N = 3: root row (.6 .4); below the first (.9 .1), below the second (.5 .5). Layer 1: .6 .4, E = 1.
// Layer 2: .54 .06 .2 .2; the best three of all are .6 .54 .4, E = 1.54, and .54 is the only new node with a place.
#ifndef DECANT_TREE_OPT_TREE_HPP
#define DECANT_TREE_OPT_TREE_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/likeliest_nodes.hpp>

namespace decant::inline DECANT_ABI {

struct opt_tree {
  static constexpr tree_class produces = tree_class::deterministic;
  static constexpr bool chains_only = false;

  std::int32_t nodes = 50;      ///< drafted nodes, at most the node limit
  double min_growth = 0.5;      ///< grow on while the last layer raised E by more than this
  std::int32_t max_depth = 10;  ///< longest path below the root, at most the depth limit

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (nodes < 0) return error{error_code::invalid_argument, "opt_tree: nodes is negative"};
    if (!(min_growth >= 0)) return error{error_code::invalid_argument, "opt_tree: min_growth is negative"};
    if (max_depth < 0) return error{error_code::invalid_argument, "opt_tree: max_depth is negative"};
    return {};
  }

  template <class Real>
  struct work {
    detail::likeliest_nodes best{};
    std::vector<node_id> layer{};  ///< the nodes whose rows are wanted
    std::int32_t width = 0;        ///< children considered below a node
    std::int32_t layers_left = 0;
    double expected = 0;  ///< E before the newest layer
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state.width = std::max(0, std::min(nodes, limits.nodes));
    state.layers_left = std::min(max_depth, limits.depth);
    state.expected = 0;
    state.best.start(index(state.width));
    state.layer.clear();
    if (state.width > 0 && state.layers_left > 0) state.layer.push_back(0);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.layer;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t, Chance&) const {
    for (const node_id n : state.layer) state.best.propose(draft, n, state.width);
    state.best.admit(draft);
    const double growth = state.best.sum() - state.expected;
    state.expected = state.best.sum();
    state.layer.clear();
    if (--state.layers_left > 0 && growth > min_growth) {
      state.layer.assign(state.best.newest().begin(), state.best.newest().end());
    }
    if (state.layer.empty()) state.best.finish(draft);
  }

  friend bool operator==(const opt_tree&, const opt_tree&) = default;
};

static_assert(TreeBuilder<opt_tree>);

}  // namespace decant::inline DECANT_ABI

#endif
