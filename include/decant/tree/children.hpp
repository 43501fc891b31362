// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drawing policies: how one draft row becomes the children of a node. Each adds edges that carry the very law the token
// had when it was drawn, so that a coupling verifier can test it.
//   ranked               top-k by weight, no draw        deterministic edges
//   independent          k draws with replacement        SpecInfer, arXiv 2305.09781
//   without_replacement  k distinct draws in draw order  Gumbel-top-k / exponential race (arXiv 1903.06059); RSD,
//                                                        arXiv 2402.14160; Sequoia, arXiv 2402.12374
// How many children are drawn depends on the row and on the count alone, never on a drawn token.
#ifndef DECANT_TREE_CHILDREN_HPP
#define DECANT_TREE_CHILDREN_HPP

#include <decant/core/chance.hpp>
#include <decant/core/guarantee.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/verify/verifier.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// Largest number of children drawn below one node.
inline constexpr std::size_t max_children = 256;

/// Requirements: `produces`, the class of its trees, and `draw(draft, parent, count, root_position, chance)`, which
/// adds up to `count` children to `parent`, whose row is stored. It draws `count` times, less often only when the row
/// has fewer tokens of positive weight.
template <class D, class Real = float>
concept ChildDraw = requires(const D& policy, token_draft<Real>& draft, detail::any_chance& chance) {
  { D::produces } -> std::convertible_to<tree_class>;
  policy.draw(draft, node_id{}, std::int32_t{}, std::uint64_t{}, chance);
};

/// A drawing policy with an order of choice: `choose(law, key, chance, out)` writes distinct tokens, first choice
/// first, and returns how many; `edge_of(row)` is the edge of each. Rank r then means the r-th choice.
template <class D, class Real = float>
concept RankedChildDraw = ChildDraw<D, Real> && requires(const D& policy, distribution_view<Real> law, chance_key key,
                                                         detail::any_chance& chance, std::span<token> out) {
  { policy.choose(law, key, chance, out) } -> std::same_as<std::size_t>;
  { policy.edge_of(std::int32_t{}) } -> std::same_as<tree_edge>;
};

namespace detail {

/// Draws made in a tree so far: its drafted nodes, and the draws that repeated a token.
[[nodiscard]] inline std::int32_t draw_count(const token_tree& tree) noexcept {
  return static_cast<std::int32_t>(tree.size() - 1 + tree.repeats().size());
}

/// Number of tokens of positive weight, counted no further than `limit`.
template <class Real>
[[nodiscard]] std::size_t support_size(distribution_view<Real> law, std::size_t limit) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < law.size() && count < limit; ++i) count += law.weight(i) > Real(0);
  return count;
}

/// Appends a child, estimated to be accepted with the probability of its path under the draft laws.
template <class Real>
node_id append_child(token_draft<Real>& draft, node_id parent, token id, tree_edge edge, distribution_view<Real> law) {
  const auto probability = static_cast<float>(law.probability(id));
  return draft.tree.append(parent, id, edge, {draft.tree.acceptance(parent) * probability, 0});
}

/// The children of a policy that chooses them all at once.
template <class Draw, class Real, class Chance>
void draw_chosen(const Draw& policy, token_draft<Real>& draft, node_id parent, std::int32_t count,
                 std::uint64_t root_position, Chance& chance) {
  DECANT_PRECONDITION(count >= 0 && index(count) <= max_children && draft.row_after(parent) >= 0);
  const std::int32_t row = draft.row_after(parent);
  const distribution_view<Real> law = draft.rows.row(row);
  std::array<token, max_children> chosen;  // NOLINT: only what `choose` writes is read
  const std::span<token> room(chosen.data(), index(count));
  const std::size_t found = policy.choose(law, draft_key(root_position, parent), chance, room);
  for (const token id : room.first(found)) append_child(draft, parent, id, policy.edge_of(row), law);
}

/// The `room` entries of largest weight, the first among equals: a list in falling order that entries enter one by one.
/// Stretches in which nothing exceeds the last of a full list are passed over without a look at single entries (the
/// ten likeliest of 32,000: 3.5 us with block masses, 8.5 us without, 11 us entry by entry; GCC 12 -O2).
template <class Real>
class heaviest_entries {
 public:
  /// Only entries above `bar` enter.
  heaviest_entries(std::span<const Real> weights, std::size_t room, const Real& bar = Real(0))
      : weights_(weights), room_(room), bar_(bar) {}

  /// Enters all entries. `block_masses`: as in `distribution_view`; no entry weighs more than its block.
  void enter_all(std::span<const mass_t<Real>> block_masses) {
    for (std::size_t first = 0; first < weights_.size(); first += law_block) {
      if (!block_masses.empty() && !(static_cast<mass_t<Real>>(bar_) < block_masses[first / law_block])) continue;
      enter_block(first, std::min(first + law_block, weights_.size()));
    }
  }
  [[nodiscard]] std::span<const std::size_t> entries() const noexcept { return {best_.data(), count_}; }

 private:
  static constexpr std::size_t stretch = 64;

  void enter_block(std::size_t first, std::size_t last) {
    for (; first + stretch <= last; first += stretch) {
      if (any_above(weights_.data() + first)) enter(first, first + stretch);
    }
    enter(first, last);
  }

  /// Whether some entry of a stretch exceeds the bar; without branches, so that it becomes vector code.
  [[nodiscard]] bool any_above(const Real* weights) const {
    const Real bar = bar_;
    int above = 0;
    for (std::size_t i = 0; i < stretch; ++i) above |= static_cast<int>(bar < weights[i]);
    return above != 0;
  }

  void enter(std::size_t first, std::size_t last) {
    for (std::size_t entry = first; entry < last; ++entry) {
      if (!(bar_ < weights_[entry])) continue;
      std::size_t place = count_ < room_ ? count_++ : count_ - 1;
      for (; place > 0 && weights_[best_[place - 1]] < weights_[entry]; --place) best_[place] = best_[place - 1];
      best_[place] = entry;
      if (count_ == room_) bar_ = weights_[best_[count_ - 1]];
    }
  }

  std::span<const Real> weights_;
  std::size_t room_;
  std::array<std::size_t, max_children> best_;  // NOLINT: only the first `count_` are read
  std::size_t count_ = 0;
  Real bar_;  // what an entry must exceed: the last of a full list
};

}  // namespace detail

/// The `count` most probable tokens, the lowest id first among equals. Nothing is drawn: verify with match or greedy.
/// O(row size), plus O(count) per entry that enters the list.
struct ranked {
  static constexpr tree_class produces = tree_class::deterministic;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    detail::draw_chosen(*this, draft, parent, count, root_position, chance);
  }

  template <class Real, class Chance>
  [[nodiscard]] std::size_t choose(distribution_view<Real> law, chance_key, Chance&, std::span<token> out) const {
    DECANT_PRECONDITION(out.size() <= max_children);
    if (out.empty()) return 0;
    detail::heaviest_entries<Real> list(law.weights(), out.size());
    list.enter_all(law.block_masses());
    const std::span<const std::size_t> best = list.entries();
    for (std::size_t i = 0; i < best.size(); ++i) out[i] = law.id(best[i]);
    return best.size();
  }

  [[nodiscard]] static constexpr tree_edge edge_of(std::int32_t) noexcept { return {}; }

  friend constexpr bool operator==(ranked, ranked) { return true; }
};

/// `count` draws from the row, each whatever the others gave. A token drawn again is recorded as a repeated draw of its
/// node, so siblings carry distinct tokens and a coupling verifier still tests every draw. O(row size) per draw.
struct independent {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    DECANT_PRECONDITION(count >= 0 && index(count) <= max_children && draft.row_after(parent) >= 0);
    const tree_edge edge{edge_law::independent, draft.row_after(parent)};
    const distribution_view<Real> law = draft.rows.row(edge.row);
    const std::size_t draws = detail::support_size(law, index(count));
    for (std::size_t i = 0; i < draws; ++i) {
      const chance_key key = draft_key(root_position, detail::draw_count(draft.tree) + 1);
      const token drawn = chance.pick(key, law);
      const node_id known = draft.tree.child_with(parent, drawn);
      if (known == no_node) {
        detail::append_child(draft, parent, drawn, edge, law);
      } else {
        draft.tree.repeat(known, edge);
      }
    }
  }

  friend constexpr bool operator==(independent, independent) { return true; }
};

/// `count` distinct tokens, each drawn from what its earlier siblings left of the row; their order is the draw order.
/// One pass over the row: O(row size + count log count).
struct without_replacement {
  static constexpr tree_class produces = tree_class::counted;

  template <class Real, class Chance>
  void draw(token_draft<Real>& draft, node_id parent, std::int32_t count, std::uint64_t root_position,
            Chance& chance) const {
    detail::draw_chosen(*this, draft, parent, count, root_position, chance);
  }

  template <class Real, class Chance>
  [[nodiscard]] std::size_t choose(distribution_view<Real> law, chance_key key, Chance& chance,
                                   std::span<token> out) const {
    return chance.ordered_sample(key, law, out);
  }

  [[nodiscard]] static constexpr tree_edge edge_of(std::int32_t row) noexcept {
    return {edge_law::without_replacement, row};
  }

  friend constexpr bool operator==(without_replacement, without_replacement) { return true; }
};

static_assert(RankedChildDraw<ranked> && ChildDraw<independent> && RankedChildDraw<without_replacement>);

}  // namespace decant::inline DECANT_ABI

#endif
