// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The proposal law of each draw below one node, as the coupling verifiers need it: the weight of the drawn token, and
// the mass that was left in its row when it was drawn.
#ifndef DECANT_VERIFY_EDGE_LAWS_HPP
#define DECANT_VERIFY_EDGE_LAWS_HPP

#include <decant/core/residual.hpp>
#include <decant/core/token_draft.hpp>

namespace decant::inline DECANT_ABI {

/// A proposal: token `id` had probability weight / mass under `row` without the tokens drawn before it.
template <class Real>
struct proposal {
  token id = no_token;
  bool point_mass = false;  ///< deterministic edge; the other members are unused
  distribution_view<Real> row{};
  Real weight{0};
  mass_t<Real> mass{0};

  /// An edge whose own law could not have produced its token (filler, exhausted row). It is dropped: not tested, no
  /// residual update, which keeps the law.
  [[nodiscard]] bool impossible() const { return !point_mass && !(weight > Real(0) && mass > mass_t<Real>(0)); }
};

/// Follows the draws below one node in draw order. Reused from node to node.
template <class Real>
class edge_laws {
 public:
  /// Forgets the draws of the previous node.
  void reset() noexcept { drawn_.clear(); }

  /// The proposal of the next draw. O(1) amortised for rows used in runs, O(earlier siblings) otherwise.
  [[nodiscard]] proposal<Real> next(const token_draft<Real>& draft, node_id child, tree_edge edge) {
    const token id = draft.tree.token_of(child);
    if (edge.law == edge_law::deterministic) return {id, true, {}, Real(0), mass_t<Real>(0)};
    const distribution_view<Real> row = draft.row_of(edge);
    const Real weight = row.weight_of(id);
    if (edge.law == edge_law::independent) return {id, false, row, weight, row.mass()};
    drawn_from& state = state_of(edge.row, row);
    if (state.contains(id)) return {id, false, row, Real(0), state.mass};
    const proposal<Real> result{id, false, row, weight, state.mass};
    state.take(id, weight, row);
    return result;
  }

 private:
  /// What has been drawn without replacement from one row.
  struct drawn_from {
    std::int32_t row = -1;
    mass_t<Real> mass{0};
    std::vector<token> tokens{};  // ascending

    [[nodiscard]] bool contains(token id) const { return std::binary_search(tokens.begin(), tokens.end(), id); }

    void take(token id, const Real& weight, distribution_view<Real> law) {
      tokens.insert(std::lower_bound(tokens.begin(), tokens.end(), id), id);
      const mass_t<Real> before = mass;
      mass -= static_cast<mass_t<Real>>(weight);
      // A difference of nearly equal masses has lost its digits: sum what is left afresh.
      if (mass * mass_t<Real>(1000) < before) mass = mass_without(law, tokens);
    }
  };

  drawn_from& state_of(std::int32_t row, distribution_view<Real> law) {
    for (std::size_t i = 0; i < used(); ++i) {
      if (states_[i].row == row) return states_[i];
    }
    if (used() == states_.size()) states_.emplace_back();
    drawn_from& fresh = states_[used()];
    drawn_.push_back(row);
    fresh.row = row;
    fresh.mass = law.mass();
    fresh.tokens.clear();
    return fresh;
  }
  [[nodiscard]] std::size_t used() const noexcept { return drawn_.size(); }

  std::vector<drawn_from> states_;
  std::vector<std::int32_t> drawn_;
};

}  // namespace decant::inline DECANT_ABI

#endif
