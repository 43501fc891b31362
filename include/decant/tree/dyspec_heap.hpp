// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DySpec with a fixed number of nodes (arXiv 2410.11744, Algorithm 1): the tree grows where acceptance is likely,
// taking the draft probability of a token for its probability of being accepted. Each node offers one more draw below
// it, from what its earlier children left of its row, at the value
//   v = (draft probability of the node's path) * (share of its row that is not drawn yet);
// the offer of largest value is taken, the older one among equals. A drawn child y makes two new offers, in this order:
// the next draw below the same node, at v (1 - R(y)), and the first draw below y, at v R(y), where R is the law y was
// drawn from. Values taken never rise. Among trees of that many nodes the total value is the largest if acceptance is
// as estimated.
// Guarantee: exact with every verifier of drawn trees, since values depend on earlier draws alone, never on the token
// about to be drawn.
// Draft rows are asked for lazily: an offer below a node without a row waits in the heap, and when the best offer is
// such a one, its row is asked for together with those of the next best, `batch` at most, in one draft pass; so about
// nodes / batch passes. Draws are made when an offer is taken, so the tree does not depend on `batch`.
// Needs: a draft row per expanded node. Complexity: O(nodes log nodes), and the draws (tree/single_draws.hpp).
// State: the draft rows themselves, V / row_block sums for each, and one heap entry per node.
// Values are products in `mass_t`, not logarithms, so that ties of exact scalars are ties. Of the two offers of a draw
// one is at least half as large as the offer taken, so products cannot underflow before a thousand draws; where a depth
// limit closes all branches they may, and the older offer goes first.
// Example: row (.1 .4 .2 .3) at the root gives token 1; the next offers are .6 at the root and .4 below the token.
#ifndef DECANT_TREE_DYSPEC_HEAP_HPP
#define DECANT_TREE_DYSPEC_HEAP_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/single_draws.hpp>

namespace decant::inline DECANT_ABI {

struct dyspec_heap {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  std::int32_t nodes = 64;                   ///< drafted nodes
  std::int32_t batch = 8;                    ///< draft rows asked for at once, at most
  std::int32_t row_block = usual_row_block;  ///< see tree/single_draws.hpp; another block draws other tokens

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (nodes < 0) return error{error_code::invalid_argument, "dyspec_heap: nodes is negative"};
    if (batch < 1) return error{error_code::invalid_argument, "dyspec_heap: batch is not positive"};
    if (row_block < 1) return error{error_code::invalid_argument, "dyspec_heap: row_block is not positive"};
    return {};
  }

  template <class Real>
  class work {
    friend dyspec_heap;
    using mass = mass_t<Real>;

    /// One more draw below a node.
    struct offer {
      mass value;
      std::int32_t age;
      node_id node;

      /// Whether `a` goes after `b`.
      friend bool operator<(const offer& a, const offer& b) {
        return a.value < b.value || (a.value == b.value && a.age > b.age);
      }
    };
    struct placed_node {
      mass probability;       // of its path
      std::int32_t row = -1;  // its number among the open rows
    };

    std::vector<offer> heap_;
    std::vector<offer> best_;
    std::vector<node_id> wanted_;
    std::vector<placed_node> placed_;  // by node
    single_draws<Real> draws_;
    std::int32_t offers_made_ = 0;
    draft_limits limits_{};
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state.limits_ = {std::max(0, std::min(nodes, limits.nodes)), limits.depth};
    state.draws_.start(index(state.limits_.nodes), std::max(1, row_block));
    state.heap_.clear();
    state.offers_made_ = 0;
    state.placed_.assign(1, {mass_t<Real>(1)});
    state.wanted_.clear();
    if (state.limits_.nodes == 0 || limits.depth <= 0) return;
    reserve(state);
    add_offer(state, 0, mass_t<Real>(1));
    state.wanted_.push_back(0);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.wanted_;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    state.wanted_.clear();
    while (draws_left(state) > 0 && !state.heap_.empty()) {
      const node_id n = state.heap_.front().node;
      if (draft.row_after(n) < 0) {
        want_rows(state, draft);
        return;
      }
      std::pop_heap(state.heap_.begin(), state.heap_.end());
      state.heap_.pop_back();
      draw_below(state, draft, n, root_position, chance);
    }
  }

  friend bool operator==(const dyspec_heap&, const dyspec_heap&) = default;

 private:
  template <class Real>
  static void reserve(work<Real>& state) {
    const std::size_t count = index(state.limits_.nodes) + 1;
    state.heap_.reserve(count);
    state.best_.reserve(count);
    state.wanted_.reserve(count);
    state.placed_.reserve(count);
  }

  template <class Real>
  [[nodiscard]] static std::size_t draws_left(const work<Real>& state) noexcept {
    return index(state.limits_.nodes) + 1 - state.placed_.size();
  }

  template <class Real>
  static void add_offer(work<Real>& state, node_id n, const mass_t<Real>& value) {
    state.heap_.push_back({value, state.offers_made_++, n});
    std::push_heap(state.heap_.begin(), state.heap_.end());
  }

  template <class Real, class Chance>
  static void draw_below(work<Real>& state, token_draft<Real>& draft, node_id n, std::uint64_t root_position,
                         Chance& chance) {
    auto& place = state.placed_[index(n)];
    if (place.row < 0) place.row = static_cast<std::int32_t>(state.draws_.open(draft, n));
    const std::size_t row = index(place.row);
    const mass_t<Real> probability = place.probability;
    const node_id child = state.draws_.draw(draft, row, root_position, chance);
    const mass_t<Real> left = state.draws_.share_left(row);
    if (left > mass_t<Real>(0)) add_offer(state, n, probability * left);
    const mass_t<Real> below = probability * state.draws_.share_of(draft, row, draft.tree.token_of(child));
    state.placed_.push_back({below});
    if (draft.tree.depth(child) < state.limits_.depth) add_offer(state, child, below);
  }

  /// Asks for the row below the best offer and for those of the next best without one. An offer that as many better
  /// ones precede as there are draws left cannot be taken any more.
  template <class Real>
  void want_rows(work<Real>& state, const token_draft<Real>& draft) const {
    const auto goes_before = [](const auto& a, const auto& b) { return b < a; };
    auto& best = state.best_;
    best.assign(state.heap_.begin(), state.heap_.end());
    keep_first(best, draws_left(state), goes_before);
    std::erase_if(best, [&](const auto& o) { return draft.row_after(o.node) >= 0; });
    keep_first(best, index(std::max(1, batch)), goes_before);
    for (const auto& o : best) state.wanted_.push_back(o.node);
    std::sort(state.wanted_.begin(), state.wanted_.end());
  }

  /// Cuts a list down to its first `count` entries by an order. O(size).
  template <class List, class Less>
  static void keep_first(List& list, std::size_t count, const Less& less) {
    if (count >= list.size()) return;
    const auto end = list.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(list.begin(), end, list.end(), less);
    list.erase(end, list.end());
  }
};

static_assert(TreeBuilder<dyspec_heap> && TreeBuilder<dyspec_heap, double>);

}  // namespace decant::inline DECANT_ABI

#endif
