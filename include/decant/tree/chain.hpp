// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A chain: one child below another. Speculative sampling (arXiv 2211.17192, 2302.01318) drafts this way. The draft may
// stop early where the draft row looks unsure; both rules look at the row before anything is drawn from it, so the
// chain stays exact under every verifier (a rule that throws away the token it has drawn would not).
// One draft pass per token.
#ifndef DECANT_TREE_CHAIN_HPP
#define DECANT_TREE_CHAIN_HPP

#include <decant/core/distances.hpp>
#include <decant/tree/builder.hpp>
#include <decant/tree/children.hpp>

namespace decant::inline DECANT_ABI {

template <class Draw>
struct chain {
  static_assert(ChildDraw<Draw>,
                "chain: the parameter must be a drawing policy: ranked, independent or "
                "without_replacement");
  static constexpr tree_class produces = Draw::produces;
  static constexpr bool chains_only = true;

  std::int32_t length = 4;        ///< draft tokens
  float min_top_probability = 0;  ///< stop where the most probable draft token has less; 0 is off
  float max_entropy = 0;          ///< stop where the entropy of the draft row, in nats, is larger; 0 is off
  Draw children{};

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (length < 0) return error{error_code::invalid_argument, "chain: length is negative"};
    if (!(min_top_probability >= 0 && min_top_probability <= 1)) {
      return error{error_code::invalid_argument, "chain: min_top_probability is not in [0, 1]"};
    }
    if (!(max_entropy >= 0)) return error{error_code::invalid_argument, "chain: max_entropy is negative"};
    return {};
  }

  template <class Real>
  struct work {
    node_id end = 0;        ///< the node whose row is wanted
    std::int32_t left = 0;  ///< tokens still to be drafted
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state = {0, std::max(0, std::min({length, limits.nodes, limits.depth}))};
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return {&state.end, state.left > 0 ? std::size_t{1} : std::size_t{0}};
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    if (stops_at(draft.rows.row(draft.row_after(state.end)))) {
      state.left = 0;
      return;
    }
    children.draw(draft, state.end, 1, root_position, chance);
    const node_id child = draft.tree.first_child(state.end);
    state = {child, child == no_node ? 0 : state.left - 1};
  }

  friend bool operator==(const chain&, const chain&) = default;

 private:
  template <class Real>
  [[nodiscard]] bool stops_at(distribution_view<Real> law) const {
    if (min_top_probability > 0 && law.probability(argmax(law)) < static_cast<double>(min_top_probability)) return true;
    return max_entropy > 0 && entropy(law) > static_cast<double>(max_entropy);
  }
};

static_assert(TreeBuilder<chain<ranked>> && TreeBuilder<chain<independent>> && TreeBuilder<chain<without_replacement>>);

}  // namespace decant::inline DECANT_ABI

#endif
