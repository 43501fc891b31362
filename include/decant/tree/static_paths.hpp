// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tree of fixed rank paths: the path (r1, ..., rd) is the child of choice rd below the path (r1, ..., rd-1), choice 0
// being the first. Medusa (arXiv 2401.10774) and Hydra with ranked children, EAGLE (arXiv 2401.15077) and Sequoia
// (arXiv 2402.12374) with children drawn without replacement, where choice r is the r-th draw.
// Grows level by level: one draft pass per level.
#ifndef DECANT_TREE_STATIC_PATHS_HPP
#define DECANT_TREE_STATIC_PATHS_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/children.hpp>

#include <initializer_list>

namespace decant::inline DECANT_ABI {

/// A value; two shapes are equal when they hold the same paths, in whatever order they were listed.
template <class Draw>
class static_paths {
 public:
  static_assert(RankedChildDraw<Draw>,
                "static_paths: choices need an order, so the drawing policy must be ranked or "
                "without_replacement");
  static constexpr tree_class produces = Draw::produces;
  static constexpr bool chains_only = false;

  static_paths() = default;
  /// `static_paths<ranked>({{0}, {1}, {0, 0}})`. O(paths log paths); see `check`.
  explicit static_paths(std::initializer_list<std::initializer_list<std::int32_t>> paths, Draw children = {})
      : children_(std::move(children)) {
    std::vector<path> list;
    for (const auto& ranks : paths) list.emplace_back(ranks);
    plan(std::move(list));
  }
  explicit static_paths(std::vector<std::vector<std::int32_t>> paths, Draw children = {})
      : children_(std::move(children)) {
    plan(std::move(paths));
  }

  /// Why the list is no tree: an empty path, a rank outside [0, 256), a path listed twice, a path whose beginning is
  /// not listed; with drawn children also a rank whose lower neighbour is not listed, since every draw must be
  /// verified. A shape that is refused drafts nothing.
  [[nodiscard]] result<void> check() const { return fault_; }

  /// Number of paths, that is of drafted nodes; 0 for a refused shape.
  [[nodiscard]] std::size_t size() const noexcept { return plan_.size() - 1; }

  template <class Real>
  struct work {
    std::vector<node_id> placed{};          ///< tree node of each planned node, `no_node` while there is none
    std::vector<node_id> wanted{};          ///< the nodes whose rows are wanted, all of one depth
    std::vector<std::int32_t> expanding{};  ///< the planned nodes behind `wanted`
    std::int32_t admitted = 0;              ///< planned nodes within the node limit, root included
    std::int32_t depth = 0;                 ///< depth limit
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state.placed.assign(plan_.size(), no_node);
    state.placed[0] = 0;
    state.admitted = static_cast<std::int32_t>(std::min(size(), index(std::max(0, limits.nodes)))) + 1;
    state.depth = limits.depth;
    want(state, 0, 1);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.wanted;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    for (const std::int32_t parent : state.expanding) place_children(state, draft, parent, root_position, chance);
    const std::int32_t first = plan_[index(state.expanding.front())].first_child;
    const std::int32_t last = end_of_children(state, state.expanding.back());
    want(state, first, last);
  }

  friend bool operator==(const static_paths& a, const static_paths& b) {
    return a.plan_ == b.plan_ && a.fault_.code() == b.fault_.code() && a.children_ == b.children_;
  }

 private:
  using path = std::vector<std::int32_t>;

  /// A planned node. Nodes are planned level by level, children of one parent side by side in rank order.
  struct planned {
    std::int32_t rank = 0;
    std::int32_t depth = 0;
    std::int32_t first_child = 0;
    std::int32_t child_count = 0;

    friend bool operator==(const planned&, const planned&) = default;
  };

  static bool level_order(const path& a, const path& b) {
    if (a.size() != b.size()) return a.size() < b.size();
    return a < b;
  }

  void plan(std::vector<path> paths) {
    std::sort(paths.begin(), paths.end(), level_order);
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const char* fault = add(paths, i);
      if (fault == nullptr) continue;
      fault_ = error{error_code::invalid_argument, fault};
      plan_.assign(1, planned{});
      return;
    }
  }

  /// Plans path `i` of the sorted list; returns what is wrong with it, or nullptr.
  [[nodiscard]] const char* add(const std::vector<path>& paths, std::size_t i) {
    const path& self = paths[i];
    if (self.empty()) return "static_paths: a path is empty";
    const std::int32_t rank = self.back();
    if (rank < 0 || index(rank) >= max_children) return "static_paths: a rank is not in [0, 256)";
    if (i > 0 && paths[i - 1] == self) return "static_paths: a path is listed twice";
    const path above(self.begin(), self.end() - 1);
    std::size_t parent = 0;
    if (!above.empty()) {
      const auto found = std::lower_bound(paths.begin(), paths.end(), above, level_order);
      if (found == paths.end() || *found != above) return "static_paths: the beginning of a path is not listed";
      parent = static_cast<std::size_t>(found - paths.begin()) + 1;
    }
    planned& parent_plan = plan_[parent];
    if (produces != tree_class::deterministic && rank != parent_plan.child_count) {
      return "static_paths: drawn children need every lower rank beside them";
    }
    if (parent_plan.child_count++ == 0) parent_plan.first_child = static_cast<std::int32_t>(i) + 1;
    plan_.push_back({rank, static_cast<std::int32_t>(self.size()), 0, 0});
    return nullptr;
  }

  template <class Real>
  [[nodiscard]] std::int32_t end_of_children(const work<Real>& state, std::int32_t parent) const noexcept {
    const planned& above = plan_[index(parent)];
    return std::min(above.first_child + above.child_count, state.admitted);
  }

  /// Names the placed nodes among the planned [first, last) that will have children.
  template <class Real>
  void want(work<Real>& state, std::int32_t first, std::int32_t last) const {
    state.expanding.clear();
    state.wanted.clear();
    for (std::int32_t i = first; i < last; ++i) {
      const planned& self = plan_[index(i)];
      const bool grows = self.child_count > 0 && self.first_child < state.admitted && self.depth < state.depth;
      if (!grows || state.placed[index(i)] == no_node) continue;
      state.expanding.push_back(i);
      state.wanted.push_back(state.placed[index(i)]);
    }
  }

  template <class Real, class Chance>
  void place_children(work<Real>& state, token_draft<Real>& draft, std::int32_t parent, std::uint64_t root_position,
                      Chance& chance) const {
    const node_id above = state.placed[index(parent)];
    const std::int32_t row = draft.row_after(above);
    const distribution_view<Real> law = draft.rows.row(row);
    const std::int32_t end = end_of_children(state, parent);
    std::array<token, max_children> chosen;  // NOLINT: only what `choose` writes is read
    const std::span<token> room(chosen.data(), index(plan_[index(end) - 1].rank) + 1);
    const std::size_t found = children_.choose(law, draft_key(root_position, above), chance, room);
    for (std::int32_t i = plan_[index(parent)].first_child; i < end; ++i) {
      const std::size_t rank = index(plan_[index(i)].rank);
      if (rank >= found) break;
      state.placed[index(i)] = detail::append_child(draft, above, chosen[rank], children_.edge_of(row), law);
    }
  }

  std::vector<planned> plan_ = std::vector<planned>(1);
  Draw children_{};
  result<void> fault_{};
};

static_assert(TreeBuilder<static_paths<ranked>> && TreeBuilder<static_paths<without_replacement>>);

}  // namespace decant::inline DECANT_ABI

#endif
