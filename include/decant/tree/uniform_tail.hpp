// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequoia's drawing (arXiv 2402.12374): children are drawn without replacement from the row and, once every token of
// the row has been drawn, without replacement from the uniform law over the others. So trees may be wide although the
// draft model runs at low temperature or truncated.
// The tail is a row of its own: tokens the node's row gives no weight, one each. It does not depend on what was drawn,
// so the tail's edges carry their true law like all others; `recursive_rejection` and `traversal` verify both exactly.
// Two passes over the vocabulary where the tail is reached, else one over the row.
#ifndef DECANT_TREE_UNIFORM_TAIL_HPP
#define DECANT_TREE_UNIFORM_TAIL_HPP

#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

struct uniform_tail {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    DECANT_PRECONDITION(count >= 0 && index(count) <= max_children && draft.row_after(parent) >= 0);
    const std::int32_t row = draft.row_after(parent);
    const std::size_t drawn = draw_from(draft, parent, row, index(count), draft_key(root_position, parent), chance);
    if (drawn == index(count)) return;
    const std::int32_t tail = add_tail(draft, row);
    if (tail < 0) return;
    draw_from(draft, parent, tail, index(count) - drawn, draft_key(root_position, parent + tail_keys), chance);
  }

  friend constexpr bool operator==(uniform_tail, uniform_tail) { return true; }

 private:
  /// Ids of nodes stay below this, so the tail of a node has a key of its own.
  static constexpr node_id tail_keys = 1 << 23;

  template <class Real, class Chance>
  static std::size_t draw_from(token_draft<Real>& draft, node_id parent, std::int32_t row, std::size_t count,
                               chance_key key, Chance& chance) {
    const distribution_view<Real> law = draft.rows.row(row);
    std::array<token, max_children> chosen;  // NOLINT: only what `choose` writes is read
    const std::span<token> room(chosen.data(), count);
    const std::size_t found = chance.ordered_sample(key, law, room);
    const tree_edge edge = without_replacement::edge_of(row);
    for (const token id : room.first(found)) detail::append_child(draft, parent, id, edge, law);
    return found;
  }

  /// Stores the uniform law over the tokens that a row gives no weight; -1 when there are none.
  template <class Real>
  [[nodiscard]] static std::int32_t add_tail(token_draft<Real>& draft, std::int32_t row) {
    const std::size_t vocab_size = draft.rows.row(row).vocab_size();
    if (detail::support_size(draft.rows.row(row), vocab_size) == vocab_size) return -1;
    distribution<Real>& tail = draft.rows.add();
    const distribution_view<Real> law = draft.rows.row(row);  // after `add`, which may move rows
    const std::span<Real> weights = tail.begin_dense(vocab_size);
    std::fill(weights.begin(), weights.end(), Real(1));
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (law.weight(i) > Real(0)) weights[index(law.id(i))] = Real(0);
    }
    [[maybe_unused]] const error_code status = tail.finish();
    DECANT_PRECONDITION(status == error_code::none);
    return static_cast<std::int32_t>(draft.rows.size()) - 1;
  }
};

static_assert(ChildDraw<uniform_tail>);

}  // namespace decant::inline DECANT_ABI

#endif
