// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recursive rejection sampling over edge laws, the generic coupling verifier (SpecInfer, arXiv 2305.09781, with
// independent children; Sequoia, arXiv 2402.12374, and RSD, arXiv 2402.14160, without replacement; mixed and repeated
// draws). At each node the draws are tested in draw order against a running residual R of the target law:
// accept x with probability min(1, R(x)/Q(x)); on rejection R <- norm(relu(R - Q)); none accepted: emit a draw from R.
// Guarantee: exact in law for trees whose edges carry their true laws and whose growth never looked at a token before
// keeping it (docs/guarantees.md, "predictable trees"). Proved by enumeration.
// Needs: target law of visited nodes, edge laws. Complexity: one residual pass per rejected draw on the accepted path.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two children without replacement): 1.745238 tokens a
// step.
#ifndef DECANT_VERIFY_RECURSIVE_REJECTION_HPP
#define DECANT_VERIFY_RECURSIVE_REJECTION_HPP

#include <decant/verify/rejection_walk.hpp>

namespace decant::inline DECANT_ABI {

struct recursive_rejection {
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
    return detail::walk_by_rejection(draft, target, chance, root_position, scratch.residual, out,
                                     [&](node_id n) { return test_draws(draft, chance, root_position, scratch, n); });
  }

  friend constexpr bool operator==(recursive_rejection, recursive_rejection) { return true; }

 private:
  /// The first accepted draw below `n`, or `no_node`; then the residual is ready to be drawn from.
  template <class Real, class Chance>
  [[nodiscard]] static node_id test_draws(const token_draft<Real>& draft, Chance& chance, std::uint64_t root_position,
                                          work<Real>& scratch, node_id n) {
    scratch.edges.reset();
    node_id accepted = no_node;
    draft.tree.for_each_draw(n, [&](const tree_draw& draw) {
      const proposal<Real> drawn = scratch.edges.next(draft, draw.child, draw.edge);
      if (drawn.impossible()) return false;
      accepted = detail::test_draw<Real>(chance, root_position, {draw, drawn}, scratch.residual);
      return accepted != no_node;
    });
    return accepted;
  }
};

static_assert(Verifier<recursive_rejection>);

}  // namespace decant::inline DECANT_ABI

#endif
