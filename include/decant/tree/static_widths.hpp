// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tree of fixed widths: every node of level i gets widths[i] children.
//   static_widths<independent>          SpecInfer's expansion <k_1, ..., k_m> (arXiv 2305.09781)
//   static_widths<without_replacement>  RSD-C, constant branching by Gumbel-top-k (arXiv 2402.14160)
//   static_widths<ranked>               a plain top-k tree
// Published shapes: tree/published_widths.hpp.
// Grows level by level: one draft pass per level. The node limit counts draws, so it never depends on what was drawn;
// the last level it reaches is cut from the right.
#ifndef DECANT_TREE_STATIC_WIDTHS_HPP
#define DECANT_TREE_STATIC_WIDTHS_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

template <class Draw>
struct static_widths {
  static_assert(ChildDraw<Draw>,
                "static_widths: the parameter must be a drawing policy: ranked, independent or "
                "without_replacement");
  static constexpr tree_class produces = Draw::produces;
  static constexpr bool chains_only = false;
  static constexpr std::size_t max_levels = 16;

  /// Children per node, level by level from the root; the first 0 ends the tree.
  std::array<std::int32_t, max_levels> widths{4, 2, 2};
  Draw children{};

  /// `invalid_argument` when a width is negative or above `max_children`, or follows a 0.
  [[nodiscard]] result<void> check() const {
    bool ended = false;
    for (const std::int32_t width : widths) {
      if (width < 0 || index(width) > max_children) {
        return error{error_code::invalid_argument, "static_widths: a width is not in [0, 256]"};
      }
      if (ended && width > 0) {
        return error{error_code::invalid_argument, "static_widths: a width follows the 0 that ends the tree"};
      }
      ended = width == 0;
    }
    return {};
  }

  template <class Real>
  struct work {
    std::vector<node_id> level{};  ///< the nodes whose rows are wanted, all of one depth
    draft_limits limits{};
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>& draft, const draft_limits& limits) const {
    state.limits = limits;
    state.level.assign(1, 0);
    admit(state, draft.tree);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.level;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const auto first_new = static_cast<node_id>(draft.tree.size());
    const std::int32_t width = width_below(draft.tree.depth(state.level.front()), state.limits);
    for (const node_id n : state.level) {
      children.draw(draft, n, std::min(width, draws_left(state, draft.tree)), root_position, chance);
    }
    const node_span added = draft.tree.all().subspan(index(first_new));
    state.level.assign(added.begin(), added.end());
    admit(state, draft.tree);
  }

  friend bool operator==(const static_widths&, const static_widths&) = default;

 private:
  [[nodiscard]] std::int32_t width_below(std::int32_t depth, const draft_limits& limits) const noexcept {
    if (depth >= limits.depth || index(depth) >= max_levels) return 0;
    return std::clamp(widths[index(depth)], 0, static_cast<std::int32_t>(max_children));
  }

  template <class Real>
  [[nodiscard]] static std::int32_t draws_left(const work<Real>& state, const token_tree& tree) noexcept {
    return std::max(0, state.limits.nodes - detail::draw_count(tree));
  }

  /// Cuts the level down to the nodes that will have children: rows of leaves are not wanted.
  template <class Real>
  void admit(work<Real>& state, const token_tree& tree) const {
    if (state.level.empty()) return;
    const std::int32_t width = width_below(tree.depth(state.level.front()), state.limits);
    const std::int32_t left = draws_left(state, tree);
    const std::size_t parents = width == 0 ? 0 : index(left / width + (left % width != 0));
    if (parents < state.level.size()) state.level.resize(parents);
  }
};

static_assert(TreeBuilder<static_widths<ranked>> && TreeBuilder<static_widths<independent>> &&
              TreeBuilder<static_widths<without_replacement>>);

}  // namespace decant::inline DECANT_ABI

#endif
