// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a tree builder is: given draft rows it decides which node to expand next and which children to draw. It never
// calls a model: it names the nodes whose rows it wants (a level, a prefetch batch) and is called again with them.
#ifndef DECANT_TREE_BUILDER_HPP
#define DECANT_TREE_BUILDER_HPP

#include <decant/draft/drafter.hpp>

namespace decant::inline DECANT_ABI {

/// Requirements. A builder is a value; what it remembers during one draft is its `work`.
/// - `produces`, `chains_only`: the class of its trees. A builder that draws tokens may say `sampled` only if no
/// decision
///   to draw, stop or keep ever looks at the token it is about;
/// - `start(work, draft, limits)`: begins; the draft holds the root alone;
/// - `wanted(work)`: nodes whose rows it needs next (ids ascending), empty when the tree is ready;
/// - `grow(work, draft, root_position, chance)`: called when `draft.row_after(n)` exists for every wanted node.
template <class B, class Real = float>
concept TreeBuilder = requires(const B& builder, typename B::template work<Real>& work,
                               const typename B::template work<Real>& seen, token_draft<Real>& draft,
                               const draft_limits& limits, detail::any_chance& chance) {
  { B::produces } -> std::convertible_to<tree_class>;
  { B::chains_only } -> std::convertible_to<bool>;
  builder.start(work, draft, limits);
  { builder.wanted(seen) } -> std::convertible_to<node_span>;
  builder.grow(work, draft, std::uint64_t{}, chance);
};

}  // namespace decant::inline DECANT_ABI

#endif
