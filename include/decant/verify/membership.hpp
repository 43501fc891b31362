// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Test one draw, then membership: at each node only the first drawn child is tested against its own law; after a
// rejection a token is drawn from the residual, and the walk goes on at the child that carries it, tested or not. A
// node without drawn children is matched: the token is drawn from the target's law.
//   x ~ q accepted with probability min(1, p(x) / q(x)); else y ~ norm(relu(p - q)), and on at the child y.
// With the trees of `greedy_multi_draft` (top tokens as they are, the last one drawn) this is the greedy multi-draft
// verification of arXiv 2502.18779, optimal for that draft; with two draft tokens the set it drafts has the law of
// SpecHub's (arXiv 2411.05289: the top token, and one drawn from the others), as far as that was reconstructed. With
// nothing drawn it is match, with one drawn child speculative sampling.
// Guarantee: exact in law for trees with true edge laws: y has the residual's law whatever the siblings are, and going
// on or stopping after y is free.
// Needs: target law of visited nodes, edge laws. Complexity: at most one residual pass and one draw per visited node:
// cheaper than recursive rejection for a little less.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two children without replacement on two levels): 2.3664
// tokens a step, where recursive rejection has 2.3866.
#ifndef DECANT_VERIFY_MEMBERSHIP_HPP
#define DECANT_VERIFY_MEMBERSHIP_HPP

#include <decant/verify/rejection_walk.hpp>

namespace decant::inline DECANT_ABI {

struct membership {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::true_laws;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  struct work {
    running_residual<Real> residual;
    edge_laws<Real> edges;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      // A position is either decided by the coin or drawn here, once.
      const chance_key key = sample_key(root_position + out.path.size());
      const auto tested = first_drawn(draft, scratch.edges, out.end());
      node_id next = no_node;
      token drawn = no_token;
      if (tested.draw.child == no_node) {
        drawn = chance.pick(key, law->view());
      } else {
        scratch.residual.reset(law->view());
        next = detail::test_draw(chance, root_position, tested, scratch.residual);
        if (next == no_node) drawn = chance.pick(key, scratch.residual.law());
      }
      if (next == no_node) next = draft.tree.child_with(out.end(), drawn);
      if (next == no_node) {
        finish(out, drawn, draft.tree,
               tested.draw.child == no_node ? last_token_kind::sample : last_token_kind::correction);
        return error_code::none;
      }
      out.path.push_back(next);
    }
  }

  friend constexpr bool operator==(membership, membership) { return true; }

 private:
  /// The first draw below `n` that is no point mass and that its law could have given; its child is `no_node` when
  /// there is none.
  template <class Real>
  [[nodiscard]] static detail::listed_draw<Real> first_drawn(const token_draft<Real>& draft, edge_laws<Real>& edges,
                                                             node_id n) {
    detail::listed_draw<Real> first{{no_node, {}, no_node}, {}};
    edges.reset();
    draft.tree.for_each_draw(n, [&](const tree_draw& draw) {
      const proposal<Real> drawn = edges.next(draft, draw.child, draw.edge);
      if (drawn.point_mass || drawn.impossible()) return false;
      first = {draw, drawn};
      return true;
    });
    return first;
  }
};

static_assert(Verifier<membership>);

}  // namespace decant::inline DECANT_ABI

#endif
