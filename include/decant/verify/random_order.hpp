// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Multi-step speculative sampling of SpecInfer (arXiv 2305.09781): recursive rejection in which the next draw to be
// tested is picked uniformly among those below the node that may come next. Independent draws and point masses may come
// at any time. Draws without replacement from one row keep their order among themselves, because the law of each is
// what the earlier ones left of the row; testing them in another order is biased.
// The order is picked without a look at the tokens, so the law stays the target's. Among independent draws of one row
// it makes no difference to the number of accepted tokens either, and `recursive_rejection` saves the picks; it matters
// where draws come from several rows, of which the first is otherwise always tested first.
// Guarantee: exact in law for counted trees with true edge laws: neither a point mass nor the number of draws below a
// node may depend on the tokens drawn there.
// Needs: target law of visited nodes, edge laws. Complexity: as recursive rejection, and one pick for every tested draw
// that had an alternative.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two independent draws): 1.73 tokens a step, as in draw
// order.
#ifndef DECANT_VERIFY_RANDOM_ORDER_HPP
#define DECANT_VERIFY_RANDOM_ORDER_HPP

#include <decant/verify/rejection_walk.hpp>

namespace decant::inline DECANT_ABI {

struct random_order {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::counted_laws;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  struct work {
    running_residual<Real> residual;
    detail::draw_list<Real> draws;
    std::vector<std::size_t> untested{};  ///< into the list of draws, ascending
    std::vector<std::size_t> eligible{};  ///< into `untested`
    std::vector<Real> ones{};             ///< weights of a uniform law
    std::uint32_t picks = 0;              ///< so far in this step
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    scratch.picks = 0;
    return detail::walk_by_rejection(draft, target, chance, root_position, scratch.residual, out, [&](node_id n) {
      scratch.draws.read(draft, n);
      return test_draws(chance, root_position, scratch);
    });
  }

  friend constexpr bool operator==(random_order, random_order) { return true; }

 private:
  template <class Real, class Chance>
  [[nodiscard]] static node_id test_draws(Chance& chance, std::uint64_t root_position, work<Real>& scratch) {
    const auto draws = scratch.draws.all();
    scratch.untested.resize(draws.size());
    for (std::size_t i = 0; i < draws.size(); ++i) scratch.untested[i] = i;
    while (!scratch.untested.empty()) {
      list_eligible(scratch);
      const std::size_t place = scratch.eligible[pick_one(chance, root_position, scratch)];
      const node_id accepted =
          detail::test_draw(chance, root_position, draws[scratch.untested[place]], scratch.residual);
      if (accepted != no_node) return accepted;
      scratch.untested.erase(scratch.untested.begin() + static_cast<std::ptrdiff_t>(place));
    }
    return no_node;
  }

  /// A draw without replacement waits for the untested ones of its row before it.
  template <class Real>
  static void list_eligible(work<Real>& scratch) {
    const auto draws = scratch.draws.all();
    scratch.eligible.clear();
    for (std::size_t place = 0; place < scratch.untested.size(); ++place) {
      const tree_edge edge = draws[scratch.untested[place]].draw.edge;
      const auto earlier = scratch.untested.begin() + static_cast<std::ptrdiff_t>(place);
      const bool waits = edge.law == edge_law::without_replacement &&
                         std::any_of(scratch.untested.begin(), earlier,
                                     [&](std::size_t other) { return draws[other].draw.edge == edge; });
      if (!waits) scratch.eligible.push_back(place);
    }
  }

  template <class Real, class Chance>
  [[nodiscard]] static std::size_t pick_one(Chance& chance, std::uint64_t root_position, work<Real>& scratch) {
    const std::size_t count = scratch.eligible.size();
    if (count == 1) return 0;
    if (scratch.ones.size() < count) scratch.ones.resize(count, Real(1));
    const distribution_view<Real> uniform(std::span<const Real>(scratch.ones).first(count),
                                          mass_t<Real>(static_cast<int>(count)));
    return index(chance.pick({root_position, chance_purpose::other, scratch.picks++}, uniform));
  }
};

static_assert(Verifier<random_order>);

}  // namespace decant::inline DECANT_ABI

#endif
