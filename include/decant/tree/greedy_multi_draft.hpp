// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy multi-draft (arXiv 2502.18779): of n children the n - 1 most probable tokens of the row are taken as they are,
// the last one is drawn from the row without them. Made for `membership`, which is optimal for this draft: it accepts
//   p(T) + sum over the other tokens of min(p, q'),   T the tokens taken, q' = norm(q without T).
// For n = 2 the set of tokens is that of SpecHub (arXiv 2411.05289) as reconstructed: there x is drawn from q and the
// second draft is the top token a, or, where x is a itself, a draw from q without a; either way the set is {a, y} with
// y ~ norm(q without a), so the best acceptance is the same, and `membership` has it. Good at low temperature; where
// the row is flat, draws without replacement are better.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3)) by membership: n = 2, 3 give 1.7667 and 1.9333 tokens a
// step.
// The row without T is stored beside the node's own. O(row size).
#ifndef DECANT_TREE_GREEDY_MULTI_DRAFT_HPP
#define DECANT_TREE_GREEDY_MULTI_DRAFT_HPP

#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

struct greedy_multi_draft {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    DECANT_PRECONDITION(count >= 0 && index(count) <= max_children && draft.row_after(parent) >= 0);
    const std::int32_t row = draft.row_after(parent);
    const chance_key key = draft_key(root_position, parent);
    std::array<token, max_children> chosen;  // NOLINT: only what `choose` writes is read
    const std::size_t found =
        ranked{}.choose(draft.rows.row(row), key, chance, std::span<token>(chosen).first(index(count)));
    if (found == 0) return;
    const std::span<token> top = std::span<token>(chosen).first(found - 1);
    for (const token id : top) detail::append_child(draft, parent, id, {}, draft.rows.row(row));
    const tree_edge edge{edge_law::independent, add_rest(draft, row, top)};
    detail::append_child(draft, parent, chance.pick(key, draft.row_of(edge)), edge, draft.rows.row(row));
  }

  friend constexpr bool operator==(greedy_multi_draft, greedy_multi_draft) { return true; }

 private:
  /// Stores a row without some tokens, which are not all of it; returns the id of the rest.
  template <class Real>
  [[nodiscard]] static std::int32_t add_rest(token_draft<Real>& draft, std::int32_t row, std::span<token> without) {
    distribution<Real>& rest = draft.rows.add();
    const distribution_view<Real> law = draft.rows.row(row);  // after `add`, which may move rows
    if (law.sparse()) {
      std::sort(without.begin(), without.end());
      rest.begin_sparse(law.vocab_size());
      for (std::size_t i = 0; i < law.size(); ++i) {
        if (!std::binary_search(without.begin(), without.end(), law.id(i))) rest.push(law.id(i), law.weight(i));
      }
    } else {
      const std::span<Real> weights = rest.begin_dense(law.vocab_size());
      std::copy(law.weights().begin(), law.weights().end(), weights.begin());
      for (const token id : without) weights[index(id)] = Real(0);
    }
    [[maybe_unused]] const error_code status = rest.finish();
    DECANT_PRECONDITION(status == error_code::none);
    return static_cast<std::int32_t>(draft.rows.size()) - 1;
  }
};

static_assert(ChildDraw<greedy_multi_draft>);

}  // namespace decant::inline DECANT_ABI

#endif
