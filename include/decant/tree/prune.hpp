// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Removing nodes from a finished draft. A deterministic tree may lose any nodes. A sampled tree may not: which tokens
// are left then depends on their values, so the edge laws of the others are no longer true, and coupling verifiers
// (rejection sampling) would give text with another law than the target's. Such a tree has to be called arbitrary and
// verified with match, which asks nothing of its edges. All of this is checked by type.
#ifndef DECANT_TREE_PRUNE_HPP
#define DECANT_TREE_PRUNE_HPP

#include <decant/tree/builder.hpp>

namespace decant::inline DECANT_ABI {

/// What a tree is once a rule that sees its tokens has removed some.
[[nodiscard]] constexpr tree_class class_after_pruning(tree_class before) noexcept {
  return before == tree_class::deterministic ? tree_class::deterministic : tree_class::arbitrary;
}

/// Removes every node `n` but the root for which `keep(n)` is false, with everything below it. `Class` is what the tree
/// is taken for: `deterministic` when no token of it was drawn, else `arbitrary`. Nodes are renumbered,
/// `draft.drafted_as(n)` is the old id. O(nodes).
template <tree_class Class, class Real, class Keep>
void prune(token_draft<Real>& draft, Keep&& keep) {
  static_assert(Class == tree_class::deterministic || Class == tree_class::arbitrary,
                "prune: which tokens are left of a sampled tree depends on their values, so its edge laws would no "
                "longer be true; call it prune<tree_class::arbitrary> and verify the tree with match");
  draft.retain(keep);
}

/// Lists the drafted nodes, those most likely to be accepted first, the lower id among equals: as estimates fall along
/// a path, the nodes at the front are a tree, however many are taken. O(nodes log nodes).
inline void rank_by_acceptance(const token_tree& tree, std::vector<node_id>& order) {
  order.clear();
  for (const node_id n : tree.all().subspan(1)) {
    if (tree.kind(n) == node_kind::drafted) order.push_back(n);
  }
  std::sort(order.begin(), order.end(), [&tree](node_id a, node_id b) {
    const float x = tree.acceptance(a);
    const float y = tree.acceptance(b);
    return x != y ? x > y : a < b;
  });
}

/// Keeps the first `count` of the listed nodes and removes all other drafted ones with everything below them; probes
/// stay with their parents. `Class` as in `prune`. Reorders the list.
template <tree_class Class, class Real>
void keep_first(token_draft<Real>& draft, std::vector<node_id>& order, std::size_t count) {
  if (count >= draft.tree.size() - 1) return;
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
  std::sort(order.begin(), end);
  prune<Class>(draft, [&](node_id n) {
    return draft.tree.kind(n) == node_kind::probe || std::binary_search(order.begin(), end, n);
  });
}

/// A rule for `pruned`: keeps nodes whose estimated probability of being accepted is not below `value`.
struct min_acceptance {
  float value = 0;

  template <class Real>
  [[nodiscard]] bool operator()(const token_draft<Real>& draft, node_id n) const noexcept {
    return draft.tree.acceptance(n) >= value;
  }

  friend constexpr bool operator==(min_acceptance, min_acceptance) = default;
};

/// A builder whose finished tree is pruned: `rule(draft, node)` says which nodes stay.
template <class Builder, class Rule>
struct pruned {
  static constexpr tree_class produces = class_after_pruning(Builder::produces);
  static constexpr bool chains_only = Builder::chains_only;
  template <class Real>
  using work = typename Builder::template work<Real>;

  Builder builder{};
  Rule rule{};

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    builder.start(state, draft, limits);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const {
    return builder.wanted(state);
  }
  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    builder.grow(state, draft, root_position, chance);
    if (!node_span(builder.wanted(state)).empty()) return;
    const token_draft<Real>& finished = draft;
    prune<produces>(draft, [&](node_id n) { return rule(finished, n); });
  }

  friend bool operator==(const pruned&, const pruned&) = default;
};

/// A builder that drafts more than is verified and keeps the nodes most likely to be accepted: the last step of
/// OPT-Tree (arXiv 2406.17276) and EAGLE-2 (arXiv 2406.16858). Estimates fall along a path, so what is kept is a tree.
template <class Builder>
struct reranked {
  static constexpr tree_class produces = class_after_pruning(Builder::produces);
  static constexpr bool chains_only = Builder::chains_only;

  Builder builder{};
  std::int32_t keep = 60;         ///< drafted nodes kept, the lower id among equal estimates; at most the node limit
  std::int32_t candidates = 200;  ///< drafted nodes to choose from; the node limit, where that is below `keep`

  template <class Real>
  struct work {
    typename Builder::template work<Real> inner{};
    std::size_t keep = 0;
    std::vector<node_id> order{};
  };

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    state.keep = index(std::clamp(keep, 0, std::max(0, limits.nodes)));
    draft_limits wide = limits;
    if (limits.nodes >= keep) wide.nodes = keep <= 0 ? 0 : std::max(keep, candidates);
    builder.start(state.inner, draft, wide);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const {
    return builder.wanted(state.inner);
  }
  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    builder.grow(state.inner, draft, root_position, chance);
    if (!node_span(builder.wanted(state.inner)).empty()) return;
    rank_by_acceptance(draft.tree, state.order);
    keep_first<produces>(draft, state.order, state.keep);
  }

  friend bool operator==(const reranked&, const reranked&) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
