// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drawing coupled to the verifier: children are the first tokens of the race on the draft row under the noise of the
// position they would take, the noise with which `drafter_invariant` later chooses the target's token there. Where the
// two laws are alike the same token wins.
// The draws share their noise with the verification and with all nodes of their depth, so their laws, given what the
// verifier does, are not the row's: the trees are `arbitrary`, and every verifier that divides by an edge law refuses
// them. Other verifiers that need nothing of the tree stay exact only with a chance source whose races and picks of one
// key are independent; pair it with `drafter_invariant`.
// One pass over the row: O(row size + count log count).
#ifndef DECANT_TREE_COUPLED_DRAWS_HPP
#define DECANT_TREE_COUPLED_DRAWS_HPP

#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

struct coupled_draws {
  static constexpr tree_class produces = tree_class::arbitrary;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    DECANT_PRECONDITION(count >= 0 && index(count) <= max_children && draft.row_after(parent) >= 0);
    const distribution_view<Real> law = draft.rows.row(draft.row_after(parent));
    const auto position = root_position + static_cast<std::uint64_t>(draft.tree.depth(parent)) + 1;
    std::array<token, max_children> chosen;  // NOLINT: only what the race writes is read
    const std::span<token> room(chosen.data(), index(count));
    const std::size_t found = chance.ordered_sample(sample_key(position), law, room);
    for (const token id : room.first(found)) detail::append_child(draft, parent, id, {}, law);
  }

  friend constexpr bool operator==(coupled_draws, coupled_draws) { return true; }
};

static_assert(ChildDraw<coupled_draws>);

}  // namespace decant::inline DECANT_ABI

#endif
