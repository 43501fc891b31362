// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequoia's optimal static tree (arXiv 2402.12374). Positional assumption: child number j of any node is the accepted
// one with a fixed probability a[j], independent of where the node is. The tree of m nodes and given depth with the
// largest expected number of tokens is found by dynamic programming; with T(m, d, b) the best value of trees of m
// nodes, root included, of depth at most d, whose root has exactly b children, and M(m, d) = max over b of T(m, d, b):
//   T(1, d, 0) = 1,   T(m, d, b) = max over y in [1, m) of T(y, d, b - 1) + a[b - 1] M(m - y, d - 1).
// Where a never rises, best-first choice of the largest path products gives the same value (`sequoia_best_first`).
// Size and depth are chosen by measured cost: the smallest (d t_draft + t_target(m)) / M(m, d).
//
// Guarantee: the verifier's; the children are drawn without replacement, in the order their acceptance was counted in.
// Needs: the vector a (`acceptance_by_rank::by_rank`). Offline: O(m^2 d |a|) time, O(m d |a|) memory.
// Counts here include the root: m is the number of nodes of a target pass, d the number of draft passes. The released
// code also forwards the leaves through the draft model, so its depth is d + 1.
//
// Example, a = (.5 .2 .1): M = 1, 1.5, 1.75, 1.95, 2.075, 2.175 for m = 1 to 6 without a limit of depth; M(8, 2) = 2.3.
#ifndef DECANT_TREE_SEQUOIA_HPP
#define DECANT_TREE_SEQUOIA_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/tree/calibrated_paths.hpp>

namespace decant::inline DECANT_ABI {

/// A size and depth, and what they give.
struct sequoia_choice {
  std::size_t size = 1;       ///< nodes, root included
  std::size_t depth = 0;      ///< longest path below the root
  double tokens = 1;          ///< expected tokens of a step
  double time_per_token = 1;  ///< in plain target passes; below 1 is faster than plain decoding

  friend constexpr bool operator==(const sequoia_choice&, const sequoia_choice&) = default;
};

/// The optimal trees of all sizes and depths up to a limit.
class sequoia_trees {
 public:
  /// `acceptance[j]` in [0, 1]: how often child j of a node is the accepted one; entries beyond `max_children` are not
  /// used. Precondition: max_size >= 1.
  sequoia_trees(std::vector<double> acceptance, std::size_t max_size, std::size_t max_depth)
      : acceptance_(std::move(acceptance)), max_size_(max_size), max_depth_(max_depth) {
    DECANT_PRECONDITION(max_size >= 1);
    if (acceptance_.size() > max_children) acceptance_.resize(max_children);
    while (!acceptance_.empty() && !(acceptance_.back() > 0)) acceptance_.pop_back();
    table_.assign(max_size_ * (max_depth_ + 1) * (widest() + 1), cell{});
    best_.assign(max_size_ * (max_depth_ + 1), 0);
    for (std::size_t depth = 0; depth <= max_depth_; ++depth) fill(depth);
  }

  /// M(size, depth): expected tokens of a step with the best tree of exactly that size, minus infinity where there is
  /// none (depth 0 has one node only; without a positive acceptance there is no other tree).
  [[nodiscard]] double expected_tokens(std::size_t size, std::size_t depth) const {
    return at(size, depth, best_width(size, depth)).value;
  }

  /// The paths of that tree, level by level; none where there is no such tree.
  [[nodiscard]] rank_paths paths(std::size_t size, std::size_t depth) const {
    rank_paths found;
    if (expected_tokens(size, depth) > 0) add_children(size, depth, best_width(size, depth), {}, found);
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    return found;
  }

  /// The tree itself, its children drawn without replacement.
  template <class Draw = without_replacement>
  [[nodiscard]] static_paths<Draw> tree(std::size_t size, std::size_t depth, Draw children = {}) const {
    return static_paths<Draw>(paths(size, depth), std::move(children));
  }

  /// The size and depth with the least time per token; `draft_cost` is the time of a draft pass in plain target passes.
  /// The smaller one among equals. Precondition: curve.check().
  [[nodiscard]] sequoia_choice cheapest(double draft_cost, const cost_curve& curve) const {
    sequoia_choice best{1, 0, 1, curve.time(1)};
    for (std::size_t size = 2; size <= max_size_; ++size) {
      for (std::size_t depth = 1; depth <= max_depth_; ++depth) {
        const double tokens = expected_tokens(size, depth);
        const double time = (static_cast<double>(depth) * draft_cost + curve.time(size)) / tokens;
        if (tokens > 0 && time < best.time_per_token) best = {size, depth, tokens, time};
      }
    }
    return best;
  }

 private:
  struct cell {
    double value = -std::numeric_limits<double>::infinity();
    std::size_t rest = 0;  ///< y: nodes of the tree without its last child
  };

  [[nodiscard]] std::size_t widest() const noexcept { return acceptance_.size(); }
  [[nodiscard]] std::size_t place(std::size_t size, std::size_t depth) const {
    DECANT_PRECONDITION(size >= 1 && size <= max_size_ && depth <= max_depth_);
    return (size - 1) * (max_depth_ + 1) + depth;
  }
  [[nodiscard]] const cell& at(std::size_t size, std::size_t depth, std::size_t width) const {
    return table_[place(size, depth) * (widest() + 1) + width];
  }
  [[nodiscard]] std::size_t best_width(std::size_t size, std::size_t depth) const { return best_[place(size, depth)]; }

  void fill(std::size_t depth) {
    for (std::size_t size = 1; size <= max_size_; ++size) {
      cell* cells = table_.data() + place(size, depth) * (widest() + 1);
      if (size == 1) cells[0].value = 1;
      for (std::size_t width = 1; depth > 0 && width <= std::min(widest(), size - 1); ++width) {
        cells[width] = best_split(size, depth, width);
      }
      const auto better = [](const cell& a, const cell& b) { return a.value < b.value; };
      best_[place(size, depth)] = index_of(std::max_element(cells, cells + widest() + 1, better) - cells);
    }
  }

  [[nodiscard]] static std::size_t index_of(std::ptrdiff_t place) noexcept { return static_cast<std::size_t>(place); }

  [[nodiscard]] cell best_split(std::size_t size, std::size_t depth, std::size_t width) const {
    cell best;
    for (std::size_t rest = width; rest < size; ++rest) {
      const double value =
          at(rest, depth, width - 1).value + acceptance_[width - 1] * expected_tokens(size - rest, depth - 1);
      if (value > best.value) best = {value, rest};
    }
    return best;
  }

  /// Appends what is below `above`: the children of a root with `width` of them, last one first.
  void add_children(std::size_t size, std::size_t depth, std::size_t width, const std::vector<std::int32_t>& above,
                    rank_paths& found) const {
    for (; width > 0; --width) {
      const std::size_t rest = at(size, depth, width).rest;
      std::vector<std::int32_t> child = above;
      child.push_back(static_cast<std::int32_t>(width) - 1);
      found.push_back(child);
      add_children(size - rest, depth - 1, best_width(size - rest, depth - 1), child, found);
      size = rest;
    }
  }

  std::vector<double> acceptance_;
  std::size_t max_size_;
  std::size_t max_depth_;
  std::vector<cell> table_;        // by size, depth and width of the root
  std::vector<std::size_t> best_;  // by size and depth: the best width of the root
};

/// The tree of at most `size` nodes, root included, by best-first choice: optimal where `acceptance` never rises, in
/// O(size log size). `accepted` is M - 1.
[[nodiscard]] inline valued_paths sequoia_best_first(const std::vector<double>& acceptance, std::size_t size,
                                                     std::size_t depth) {
  const std::vector<std::size_t> ranks = detail::ranks_in_order(std::min(acceptance.size(), max_children));
  return detail::best_first_paths(
      std::max<std::size_t>(size, 1) - 1, depth, [&](std::size_t, std::size_t rank) { return acceptance[rank]; },
      [&](std::size_t) -> const std::vector<std::size_t>& { return ranks; });
}

}  // namespace decant::inline DECANT_ABI

#endif
