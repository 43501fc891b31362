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

#include <decant/verify/edge_laws.hpp>
#include <decant/verify/verifier.hpp>

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
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      if (draft.tree.first_child(out.end()) == no_node) {
        finish(out, chance.pick(sample_key(root_position + out.path.size()), law->view()), draft.tree,
               last_token_kind::correction);
        return error_code::none;
      }
      const node_id accepted = test_draws(draft, law->view(), chance, root_position, scratch, out.end());
      if (accepted == no_node) {
        const auto residual = scratch.residual.law();
        finish(out, chance.pick(sample_key(root_position + out.path.size()), residual), draft.tree,
               last_token_kind::correction);
        return error_code::none;
      }
      out.path.push_back(accepted);
    }
  }

  friend constexpr bool operator==(recursive_rejection, recursive_rejection) { return true; }

 private:
  /// The first accepted draw below `n`, or `no_node`; then the residual is ready to be drawn from.
  template <class Real, class Chance>
  [[nodiscard]] static node_id test_draws(const token_draft<Real>& draft, distribution_view<Real> law, Chance& chance,
                                          std::uint64_t root_position, work<Real>& scratch, node_id n) {
    scratch.residual.reset(law);
    scratch.edges.reset();
    node_id accepted = no_node;
    draft.tree.for_each_draw(n, [&](const tree_draw& draw) {
      const proposal<Real> drawn = scratch.edges.next(draft, draw.child, draw.edge);
      if (drawn.impossible()) return false;
      if (test(chance, accept_key(root_position, draw.coin), drawn, scratch.residual.law())) {
        accepted = draw.child;
        return true;
      }
      reject(drawn, scratch.residual);
      return false;
    });
    return accepted;
  }

  template <class Real, class Chance>
  [[nodiscard]] static bool test(Chance& chance, chance_key key, const proposal<Real>& drawn,
                                 distribution_view<Real> running) {
    const auto weight = static_cast<mass_t<Real>>(running.weight_of(drawn.id));
    if (drawn.point_mass) return chance.accept(key, weight, running.mass());
    return chance.accept(key, weight * drawn.mass, static_cast<mass_t<Real>>(drawn.weight) * running.mass());
  }

  template <class Real>
  static void reject(const proposal<Real>& drawn, running_residual<Real>& residual) {
    if (drawn.point_mass) {
      residual.remove(drawn.id);
    } else {
      residual.subtract(drawn.row, drawn.mass);
    }
  }
};

static_assert(Verifier<recursive_rejection>);

}  // namespace decant::inline DECANT_ABI

#endif
