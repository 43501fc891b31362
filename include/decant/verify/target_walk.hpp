// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The walk that greedy and match share: let the target choose a token after each node, follow the child that carries
// it, and end with the choice that no child carries.
#ifndef DECANT_VERIFY_TARGET_WALK_HPP
#define DECANT_VERIFY_TARGET_WALK_HPP

#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

/// `choose(law)` is the target's token after the node at the end of `out.path`. One processed row per emitted token.
template <class Real, class Laws, class Choose>
[[nodiscard]] error_code follow_target(const token_draft<Real>& draft, Laws& target, verdict& out, Choose&& choose) {
  out.reset();
  for (;;) {
    const distribution<Real>* law = target.law(out.end());
    if (law == nullptr) return target.status();
    const token chosen = choose(law->view());
    const node_id child = draft.tree.child_with(out.end(), chosen);
    if (child == no_node) {
      finish(out, chosen, draft.tree, last_token_kind::sample);
      return error_code::none;
    }
    out.path.push_back(child);
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
