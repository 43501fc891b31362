// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafter-invariant verification by Gumbel coupling: the target's token after each node is the winner of a race
//   y = argmax over v of log p(v) + G(position, v),   G the Gumbel noise of the position (Gumbel-max),
// and the walk follows the child that carries it. The noise belongs to the position and the token alone, so the text is
// a function of the target and the seed: the same for every drafter, tree, batch and thread count, also without a
// draft. `coupled_draws` lets the drafter run the same race on its own row: for a single child both agree with
// probability sum over x of 1 / sum over y of max(p(y) / p(x), q(y) / q(x)), at least (1 - TV) / (1 + TV), where a
// coupling verifier reaches 1 - TV.
// Why sharing the noise is sound: the tree decides only how many tokens a step emits. Each emitted token is the winner
// of its own position's race under the target's law, whatever was drafted, and every position is emitted once.
// Guarantee: exact in law, and the text for a seed is the same for every drafter. It is not that of plain sampling with
// the same seed (`match` is), which draws by other noise; it is that of this verifier with `no_drafter`.
// Needs: target law of visited nodes, nothing of the tree. Complexity: one race over the row per emitted token. In
// floating point the text is the same as long as the target's rows are, bit for bit, whatever else is in the pass.
// Worked example (p = (.5,.3,.2), q = (.2,.5,.3)): one coupled child is accepted with probability 0.6935, the bound is
// 0.538, and the best coupling accepts 0.7.
#ifndef DECANT_VERIFY_DRAFTER_INVARIANT_HPP
#define DECANT_VERIFY_DRAFTER_INVARIANT_HPP

#include <decant/verify/target_walk.hpp>

namespace decant::inline DECANT_ABI {

struct drafter_invariant {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    return follow_target(draft, target, out, [&](distribution_view<Real> law) {
      token winner = no_token;
      [[maybe_unused]] const std::size_t found =
          chance.ordered_sample(sample_key(root_position + out.path.size()), law, std::span<token>(&winner, 1));
      DECANT_PRECONDITION(found == 1);
      return winner;
    });
  }

  friend constexpr bool operator==(drafter_invariant, drafter_invariant) { return true; }
};

static_assert(Verifier<drafter_invariant>);

}  // namespace decant::inline DECANT_ABI

#endif
