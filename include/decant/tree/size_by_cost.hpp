// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many nodes to verify, by measured cost, for any builder: maximise
//   E|w|(N) / (t_target(N + 1) + draft passes * t_draft)
// with E|w|(N) = 1 + the sum of the acceptances of the N likeliest nodes. When it may look decides what it may do, and
// the type says so:
// - `cut_to_cost<Builder>` looks at the finished tree and keeps its likeliest nodes. A rule that sees tokens breaks the
//   edge laws of drawn ones, so it takes deterministic (or arbitrary) trees only. The draft passes are spent by then;
//   what is weighed is the rest of the step.
// - `budget_by_cost<Builder>` chooses the number of nodes before anything is drafted, from given expectations (for
//   instance of `sequoia_trees`): it takes every builder and keeps its class. `budgeted_drafter` (control/) does so
//   with expectations learnt from earlier steps.
// Guarantee: the verifier's. Complexity: O(nodes log nodes) a step for the cut, O(budgets) for the choice beforehand.
//
// Example, t(n) = 1 + (n - 1) / 4 and acceptances .8 .5 .2, no draft cost: E / t = 1, 1.44, 1.53, 1.43 for N = 0 to 3,
// so two nodes are kept.
#ifndef DECANT_TREE_SIZE_BY_COST_HPP
#define DECANT_TREE_SIZE_BY_COST_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/tree/builder.hpp>
#include <decant/tree/prune.hpp>

namespace decant::inline DECANT_ABI {

/// The number of nodes in [0, most] with the largest expected tokens per time, the smallest among equals.
/// `tokens(n)` is E|w| with n drafted nodes, `draft_time(n)` what drafting them costs, in plain target passes; both are
/// asked for n = 0, 1, ..., most in this order. Precondition: curve.check(). O(most log points).
template <class Tokens, class DraftTime>
[[nodiscard]] std::size_t best_size(std::size_t most, const Tokens& tokens, const DraftTime& draft_time,
                                    const cost_curve& curve) {
  std::size_t best = 0;
  double best_rate = 0;
  for (std::size_t nodes = 0; nodes <= most; ++nodes) {
    const double rate = tokens(nodes) / (curve.time(nodes + 1) + draft_time(nodes));
    if (!(rate > best_rate)) continue;
    best = nodes;
    best_rate = rate;
  }
  return best;
}

/// Drafts with a builder and keeps the nodes worth their verification.
template <class Builder>
struct cut_to_cost {
  static_assert(
      Builder::produces == tree_class::deterministic || Builder::produces == tree_class::arbitrary,
      "cut_to_cost: which nodes stay depends on the tokens that were drawn, so the edge laws of this tree would "
      "no longer be true; choose the budget beforehand with budget_by_cost");
  static constexpr tree_class produces = Builder::produces;
  static constexpr bool chains_only = Builder::chains_only;

  Builder builder{};
  cost_curve curve{};     ///< of the target pass; check() it
  double draft_cost = 0;  ///< time of a draft pass, in plain target passes

  template <class Real>
  struct work {
    typename Builder::template work<Real> inner{};
    std::vector<node_id> order{};
    std::size_t passes = 0;
  };

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    state.passes = 0;
    builder.start(state.inner, draft, limits);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const {
    return builder.wanted(state.inner);
  }
  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    builder.grow(state.inner, draft, root_position, chance);
    ++state.passes;
    if (node_span(builder.wanted(state.inner)).empty()) cut(state, draft);
  }

  friend bool operator==(const cut_to_cost&, const cut_to_cost&) = default;

 private:
  template <class Real>
  void cut(work<Real>& state, token_draft<Real>& draft) const {
    rank_by_acceptance(draft.tree, state.order);
    double tokens = 1;
    const double spent = static_cast<double>(state.passes) * draft_cost;
    const std::size_t keep = best_size(
        state.order.size(),
        [&](std::size_t n) {
          if (n > 0) tokens += static_cast<double>(draft.tree.acceptance(state.order[n - 1]));
          return tokens;
        },
        [spent](std::size_t) { return spent; }, curve);
    keep_first<produces>(draft, state.order, keep);
  }
};

/// Limits a builder to the number of nodes that past experience says is worth drafting and verifying.
template <class Builder>
struct budget_by_cost {
  static constexpr tree_class produces = Builder::produces;
  static constexpr bool chains_only = Builder::chains_only;
  template <class Real>
  using work = typename Builder::template work<Real>;

  /// What a budget gives.
  struct expectation {
    std::int32_t nodes = 0;  ///< drafted nodes
    double tokens = 1;       ///< expected tokens of a step
    std::int32_t draft_passes = 0;

    friend constexpr bool operator==(const expectation&, const expectation&) = default;
  };

  Builder builder{};
  std::vector<expectation> budgets{};  ///< to choose from; may be replaced between drafts as experience grows
  cost_curve curve{};                  ///< of the target pass; check() it
  double draft_cost = 0;               ///< time of a draft pass, in plain target passes

  /// The budget of at most `most` nodes with the largest expected tokens per time; nothing where none is better than
  /// plain decoding. It sees no token, so the class of the trees stays what it is.
  [[nodiscard]] std::int32_t choose(std::int32_t most) const {
    std::int32_t best = 0;
    double best_rate = 1 / curve.time(1);
    for (const expectation& budget : budgets) {
      if (budget.nodes > most || budget.nodes < 0) continue;
      const double time = curve.time(index(budget.nodes) + 1) + static_cast<double>(budget.draft_passes) * draft_cost;
      if (!(budget.tokens / time > best_rate)) continue;
      best = budget.nodes;
      best_rate = budget.tokens / time;
    }
    return best;
  }

  template <class Real>
  void start(work<Real>& state, token_draft<Real>& draft, const draft_limits& limits) const {
    draft_limits chosen = limits;
    chosen.nodes = choose(limits.nodes);
    builder.start(state, draft, chosen);
  }
  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const {
    return builder.wanted(state);
  }
  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    builder.grow(state, draft, root_position, chance);
  }

  friend bool operator==(const budget_by_cost&, const budget_by_cost&) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
