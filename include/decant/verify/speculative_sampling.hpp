// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speculative sampling on a chain (arXiv 2211.17192, arXiv 2302.01318): accept x ~ q with probability min(1,
// p(x)/q(x)); at the first rejection emit a draw from norm(relu(p - q)); after full acceptance emit a draw from the
// last row. It is recursive rejection on a tree of width one, and runs as that. What it adds is the check at compile
// time that the draft really is a chain of drawn tokens: an argmax draft tested by p/q is the field's most common bias.
// Guarantee: exact in law. Needs: sampled edge laws, a chain. Complexity: one residual pass per step.
// Expected tokens for i.i.d. acceptance a and length g: (1 - a^(g+1)) / (1 - a). Worked example (V = 4,
// p = (.4,.3,.2,.1), q = (.1,.4,.2,.3)): 1.7, 2.25, 2.667 tokens a step for g = 1, 2, 3.
#ifndef DECANT_VERIFY_SPECULATIVE_SAMPLING_HPP
#define DECANT_VERIFY_SPECULATIVE_SAMPLING_HPP

#include <decant/verify/recursive_rejection.hpp>

namespace decant::inline DECANT_ABI {

struct speculative_sampling {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::sampled_laws;
  static constexpr shape_needs shape = shape_needs::chain;
  template <class Real>
  using work = recursive_rejection::work<Real>;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    DECANT_PRECONDITION(draft.tree.is_chain());
    return recursive_rejection{}.verify(draft, target, chance, root_position, scratch, out);
  }

  friend constexpr bool operator==(speculative_sampling, speculative_sampling) { return true; }
};

static_assert(Verifier<speculative_sampling>);

}  // namespace decant::inline DECANT_ABI

#endif
