// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy verification (blockwise parallel decoding, arXiv 1811.03115; every engine at temperature 0): walk from the
// root to the child that carries the most probable token of each law, until there is none; emit that token. Guarantee:
// greedy identical (ties: lowest id). Needs nothing of the tree. Draws nothing. Complexity: one processed row per
// emitted token. Example: laws argmax 7 then 9, draft 7 -> 8: accepts 7, emits 9.
#ifndef DECANT_VERIFY_GREEDY_HPP
#define DECANT_VERIFY_GREEDY_HPP

#include <decant/verify/target_walk.hpp>

namespace decant::inline DECANT_ABI {

struct greedy {
  static constexpr guarantee promises = guarantee::greedy_identical;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance&, std::uint64_t, no_work<Real>&,
                                  verdict& out) const {
    return follow_target(draft, target, out, [](distribution_view<Real> law) { return argmax(law); });
  }

  friend constexpr bool operator==(greedy, greedy) { return true; }
};

static_assert(Verifier<greedy>);

}  // namespace decant::inline DECANT_ABI

#endif
