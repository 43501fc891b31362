// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Falcon's tree of a semi-autoregressive drafter (arXiv 2412.12639): one draft pass gives the rows of `block` positions
// at once. Levels therefore come in blocks: a node at a depth that is a multiple of `block` heads one, and all nodes j
// levels below it take their children from the head's row number j, whatever the path between. The shape is a list of
// rank paths as in `static_paths`.
// How the drafter is asked: below each head hang block - 1 probes in a chain, which carry `mask_token` and stand for
// the positions to come; the rows wanted are the head's and its probes'. When the tree is ready the probes are taken
// out, so the target never sees them.
//
// Guarantee: the verifier's. Ranked children: match or greedy. Children drawn without replacement: every parent draws
// for itself from the shared row, so each edge carries its true law and every coupling verifier is exact; the released
// code's sampling, which reuses one sample below all cousins and never removes earlier siblings from the row, is not.
// Needs: a drafter that evaluates probes (`mask_token` is its mask or padding token; a sampler with memory takes it for
// text). A draft that is left before it is ready keeps its probes. Complexity: depth / block draft
// passes, rounded up, of `block` rows per head.
//
// Example, block 2, paths {0} {1} {0 0} {1 0} {0 0 0}: pass 1 gives rows A and B of the root's block; A gives tokens
// a1 a2, B the same b1 below both; pass 2 gives the rows of the block headed by (a1 b1), its first one the next token.
#ifndef DECANT_TREE_BLOCK_TREE_HPP
#define DECANT_TREE_BLOCK_TREE_HPP

#include <decant/tree/static_paths.hpp>

namespace decant::inline DECANT_ABI {

template <class Draw>
struct block_tree {
  static constexpr tree_class produces = Draw::produces;
  static constexpr bool chains_only = false;

  static_paths<Draw> shape{};
  std::int32_t block = 2;  ///< positions a draft pass predicts
  token mask_token = 0;    ///< what the drafter is given in place of the tokens it is to predict

  /// `invalid_argument` when a field is out of range or the shape is no tree.
  [[nodiscard]] result<void> check() const {
    if (block < 1) return error{error_code::invalid_argument, "block_tree: block is below 1"};
    if (mask_token < 0) return error{error_code::invalid_argument, "block_tree: mask_token is negative"};
    return shape.check();
  }

  template <class Real>
  struct work {
    /// What is known of a node while the tree grows.
    struct place {
      node_id head = no_node;   ///< of the block its children are in
      node_id probe = no_node;  ///< of a head: the first of its probes
      std::int32_t row = -1;    ///< inside a block: the shared row its children come from
      bool evaluated = false;   ///< whether the drafter has been given it
    };
    typename static_paths<Draw>::template work<Real> shape{};
    std::vector<node_id> wanted{};
    std::vector<place> places{};  ///< by node
  };

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    DECANT_PRECONDITION(block >= 1);
    state.wanted.clear();
    state.places.assign(1, {});
    shape.start(state.shape, draft, limits);
    if (!shape.wanted(state.shape).empty()) want_heads(state, draft);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.wanted;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    for (const node_id n : state.wanted) {
      if (state.places[index(n)].row >= 0) draft.set_row_after(n, state.places[index(n)].row);
    }
    state.wanted.clear();
    while (!shape.wanted(state.shape).empty()) {
      const node_id first = shape.wanted(state.shape).front();  // all of them have one depth
      if (draft.tree.depth(first) % block == 0 && !state.places[index(first)].evaluated) {
        want_heads(state, draft);
        return;
      }
      share_rows(state, draft);
      shape.grow(state.shape, draft, root_position, chance);
      state.places.resize(draft.tree.size());
    }
    if (block == 1) return;
    // No drafted token goes, and nothing below a probe: this touches no edge law.
    draft.retain([&draft](node_id n) { return draft.tree.kind(n) == node_kind::drafted; });
  }

  friend bool operator==(const block_tree&, const block_tree&) = default;

 private:
  /// Asks for the rows of the heads and their probes. The drafter is also given the nodes between this block's heads
  /// and the heads of the last one, whose rows nobody reads.
  template <class Real>
  void want_heads(work<Real>& state, token_draft<Real>& draft) const {
    for (const node_id head : shape.wanted(state.shape)) {
      for (node_id n = head; n != no_node && !state.places[index(n)].evaluated; n = draft.tree.parent(n)) {
        state.places[index(n)].evaluated = true;
        state.wanted.push_back(n);
      }
      node_id last = head;
      for (std::int32_t i = 1; i < block; ++i) {
        last = draft.tree.append_probe(last, mask_token);
        if (i == 1) state.places[index(head)].probe = last;
        state.wanted.push_back(last);
      }
    }
    state.places.resize(draft.tree.size());
    std::sort(state.wanted.begin(), state.wanted.end());
  }

  /// Gives the wanted nodes inside a block the row of their level.
  template <class Real>
  void share_rows(work<Real>& state, token_draft<Real>& draft) const {
    for (const node_id n : shape.wanted(state.shape)) {
      auto& self = state.places[index(n)];
      const std::int32_t inside = draft.tree.depth(n) % block;
      self.head = inside == 0 ? n : state.places[index(draft.tree.parent(n))].head;
      if (inside == 0) continue;
      self.row = draft.row_after(state.places[index(self.head)].probe + inside - 1);
      draft.set_row_after(n, self.row);
    }
  }
};

static_assert(TreeBuilder<block_tree<ranked>> && TreeBuilder<block_tree<without_replacement>>);

}  // namespace decant::inline DECANT_ABI

#endif
