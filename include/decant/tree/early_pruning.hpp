// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Early pruning in the middle of a target pass (ProPD, arXiv 2402.13485): after its first layers the target runs an
// early head on the hidden row of every node; a child whose token is not among the `top_k` of its parent's early law is
// dropped with everything below it, and the remaining layers run on what is left. The engine asks `choose` which nodes
// survive, compacts hidden rows, mask and the KV entries of the layers done so far by `survivors` or `new_ids`, and
// goes on; the draft given to the verifier is the pruned one. Only parents that have survived are asked about, breadth
// first.
//
// Guarantee: match is exact with any pruning, as nothing here looks at its draws. A tree of drawn tokens is arbitrary
// afterwards, as what is left depends on the tokens: a coupling verifier would be biased, so verify it with match.
// Needs: an engine that can drop nodes between two layers; a trained early head. Complexity: O(V) per parent that has
// survived, O(nodes) for the rest; nothing is allocated once warm.
// Layer and k of the paper were not available; both are the engine's to choose, `top_k` here is a plain default.
//
// Example, top_k 1: children {4 5} of the root, {6} of 4, {7} of 5; the early law after the root prefers 5, that after
// 5 prefers 7: nodes 0, 2 (token 5) and 4 (token 7) survive, as 0, 1, 2.
#ifndef DECANT_TREE_EARLY_PRUNING_HPP
#define DECANT_TREE_EARLY_PRUNING_HPP

#include <decant/tree/children.hpp>
#include <decant/tree/prune.hpp>

namespace decant::inline DECANT_ABI {

struct early_pruning {
  std::int32_t top_k = 16;  ///< tokens admitted below a node

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (top_k >= 0 && index(top_k) <= max_children) return {};
    return error{error_code::invalid_argument, "early_pruning: top_k is not in [0, 256]"};
  }

  /// Reusable: which nodes survived the last pruning.
  struct work {
    std::vector<node_id> survivors{};  ///< by new id: the id before. What a gather of rows needs
    std::vector<node_id> new_ids{};    ///< by old id: the id after, or `no_node`
    std::vector<char> admitted{};      ///< by old id
  };

  /// Prunes by early laws: `law(n)` gives the `distribution_view` of the early head after node n, nodes ascending, only
  /// for surviving parents. `Class` is what the tree is from now on: `deterministic` when no token of it was drawn,
  /// else `arbitrary`. Probes stay with their parents.
  template <tree_class Class, class Real, class Law>
  void choose(token_draft<Real>& draft, work& state, Law&& law) const {
    prune_by<Class>(draft, state, [&](node_id parent) {
      const distribution_view<Real> early = law(parent);
      std::array<token, max_children> best;  // NOLINT: only what `choose` writes is read
      struct {
      } chance;  // `ranked` draws nothing
      const std::span<token> room(best.data(), index(top_k));
      const token_span admitted = room.first(ranked{}.choose(early, chance_key{}, chance, room));
      admit(draft.tree, parent, admitted, state.admitted);
    });
  }

  /// The same where the engine has the admitted tokens already: `tokens(n)` gives them in any order; `top_k` plays no
  /// part.
  template <tree_class Class, class Real, class Tokens>
  static void choose_among(token_draft<Real>& draft, work& state, Tokens&& tokens) {
    prune_by<Class>(draft, state, [&](node_id parent) { admit(draft.tree, parent, tokens(parent), state.admitted); });
  }

  friend constexpr bool operator==(early_pruning, early_pruning) = default;

 private:
  static void admit(const token_tree& tree, node_id parent, token_span tokens, std::vector<char>& admitted) {
    for (node_id child = tree.first_child(parent); child != no_node; child = tree.next_sibling(child)) {
      admitted[index(child)] = std::find(tokens.begin(), tokens.end(), tree.token_of(child)) != tokens.end();
    }
  }

  /// `judge(parent)` says which children of a surviving parent are admitted.
  template <tree_class Class, class Real, class Judge>
  static void prune_by(token_draft<Real>& draft, work& state, Judge&& judge) {
    const token_tree& tree = draft.tree;
    state.admitted.assign(tree.size(), 0);
    state.admitted[0] = 1;
    state.new_ids.assign(tree.size(), no_node);
    state.survivors.clear();
    for (const node_id n : tree.all()) {
      const bool above = n == 0 || state.new_ids[index(tree.parent(n))] != no_node;
      const bool stays = state.admitted[index(n)] != 0 || tree.kind(n) == node_kind::probe;
      if (!above || !stays) continue;
      state.new_ids[index(n)] = static_cast<node_id>(state.survivors.size());
      state.survivors.push_back(n);
      if (tree.kind(n) == node_kind::drafted && tree.first_child(n) != no_node) judge(n);
    }
    if (state.survivors.size() == tree.size()) return;
    prune<Class>(draft, [&state](node_id n) { return state.new_ids[index(n)] != no_node; });
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
