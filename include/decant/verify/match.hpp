// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Target match ("naive" speculative sampling of SpecInfer, arXiv 2305.09781; OPT-Tree, EAGLE-2 and llama.cpp's server
// at any temperature): sample the target after each node and follow the child that carries the sample; when there is
// none, the sample itself is emitted (never a fresh one). Guarantee: seed identical: one draw per emitted token, keyed
// by its position, so the text is that of plain sampling with the same seed. Exact for any tree, pruned and re-ranked
// ones included; optimal for deterministic trees: E[emitted] = 1 + sum over nodes of the target probability of their
// path. Needs nothing of the tree; of equal siblings only the first is ever followed. Complexity: one processed row and
// one draw per emitted token. Example: p(A) = p(B) = 0.3 with children A and B: a child is followed with probability
// 0.6.
#ifndef DECANT_VERIFY_MATCH_HPP
#define DECANT_VERIFY_MATCH_HPP

#include <decant/verify/target_walk.hpp>

namespace decant::inline DECANT_ABI {

struct match {
  static constexpr guarantee promises = guarantee::seed_identical;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    return follow_target(draft, target, out, [&](distribution_view<Real> law) {
      return chance.pick(sample_key(root_position + out.path.size()), law);
    });
  }

  friend constexpr bool operator==(match, match) { return true; }
};

static_assert(Verifier<match>);

}  // namespace decant::inline DECANT_ABI

#endif
