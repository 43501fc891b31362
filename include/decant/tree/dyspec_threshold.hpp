// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DySpec with a threshold (arXiv 2410.11744, Algorithm 2): level by level, a node is given children, drawn without
// replacement, as long as the value of the next draw
//   v = (draft probability of the node's path) * (share of its row that is not drawn yet)
// exceeds the threshold. Children whose own value does not stay in the tree; they are only not expanded (to drop them
// after they were drawn would bias the output).
// The paper prints the condition as v < t: a misprint. Its size is not bounded, hence the node limit here, which cuts
// the last level from the right; with a threshold near 1 / nodes it seldom does. The fixed-size form
// (tree/dyspec_heap.hpp) uses its budget better, this one needs only one draft pass per level.
// Guarantee: exact with every verifier of drawn trees: whether a draw is made depends on earlier draws alone.
// Needs: a draft row per expanded node. Complexity: O(nodes), and the draws (tree/single_draws.hpp).
// Example: threshold .25 and row (.1 .4 .2 .3) at the root. Token 1 comes first, say: .6 > .25 is left, so a second
// draw is made, token 3 say; .3 > .25 is left, a third one; then nothing is. Tokens 1 and 3 are expanded.
#ifndef DECANT_TREE_DYSPEC_THRESHOLD_HPP
#define DECANT_TREE_DYSPEC_THRESHOLD_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/single_draws.hpp>

namespace decant::inline DECANT_ABI {

struct dyspec_threshold {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  double threshold = 0.001;                  ///< a draw is made when its value exceeds this
  std::int32_t nodes = 768;                  ///< drafted nodes, at most
  std::int32_t row_block = usual_row_block;  ///< see tree/single_draws.hpp; another block draws other tokens

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (!(threshold >= 0 && threshold < 1)) {
      return error{error_code::invalid_argument, "dyspec_threshold: threshold is not in [0, 1)"};
    }
    if (nodes < 0) return error{error_code::invalid_argument, "dyspec_threshold: nodes is negative"};
    if (row_block < 1) return error{error_code::invalid_argument, "dyspec_threshold: row_block is not positive"};
    return {};
  }

  template <class Real>
  class work {
    friend dyspec_threshold;

    std::vector<node_id> level_;               // the nodes whose rows are wanted
    std::vector<mass_t<Real>> probabilities_;  // by node: of its path
    single_draws<Real> draws_;
    draft_limits limits_{};
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state.limits_ = {std::max(0, std::min(nodes, limits.nodes)), limits.depth};
    state.draws_.start(1, std::max(1, row_block));
    state.level_.reserve(index(state.limits_.nodes) + 1);
    state.probabilities_.reserve(index(state.limits_.nodes) + 1);
    state.probabilities_.assign(1, mass_t<Real>(1));
    state.level_.clear();
    if (expands(state, 0, 0)) state.level_.push_back(0);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.level_;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    const auto first_new = static_cast<node_id>(draft.tree.size());
    for (const node_id n : state.level_) draw_below(state, draft, n, root_position, chance);
    state.level_.clear();
    for (const node_id n : draft.tree.all().subspan(index(first_new))) {
      if (state.level_.size() < draws_left(state) && expands(state, n, draft.tree.depth(n))) state.level_.push_back(n);
    }
  }

  friend bool operator==(const dyspec_threshold&, const dyspec_threshold&) = default;

 private:
  template <class Real>
  [[nodiscard]] static std::size_t draws_left(const work<Real>& state) noexcept {
    return index(state.limits_.nodes) + 1 - state.probabilities_.size();
  }
  template <class Real>
  [[nodiscard]] bool exceeds(const mass_t<Real>& value) const {
    return value > mass_t<Real>(0) && as_double(value) > threshold;
  }
  /// Whether the first draw below a node would be made.
  template <class Real>
  [[nodiscard]] bool expands(const work<Real>& state, node_id n, std::int32_t depth) const {
    return depth < state.limits_.depth && draws_left(state) > 0 && exceeds<Real>(state.probabilities_[index(n)]);
  }

  template <class Real, class Chance>
  void draw_below(work<Real>& state, token_draft<Real>& draft, node_id n, std::uint64_t root_position,
                  Chance& chance) const {
    const mass_t<Real> probability = state.probabilities_[index(n)];
    state.draws_.close_all();
    const std::size_t row = state.draws_.open(draft, n);
    while (draws_left(state) > 0 && exceeds<Real>(probability * state.draws_.share_left(row))) {
      const node_id child = state.draws_.draw(draft, row, root_position, chance);
      state.probabilities_.push_back(probability * state.draws_.share_of(draft, row, draft.tree.token_of(child)));
    }
  }
};

static_assert(TreeBuilder<dyspec_threshold> && TreeBuilder<dyspec_threshold, double>);

}  // namespace decant::inline DECANT_ABI

#endif
