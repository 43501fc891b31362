// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any drafter, with its number of nodes chosen before every draft by what earlier steps have shown: the online form of
// choosing the size by measured cost, with running estimates of acceptance (ProPD, arXiv 2402.13485; OPT-Tree,
// Sequoia). Maximises
//   E|w|(N) / (t_target(N + 1) + draft passes(N) * t_draft),   E|w|(N) = 1 + sum over i <= N of the worth of node i,
// where the worth of the i-th node (in the order of drafting) is a running mean of the drafter's own estimate for it,
// corrected by how many tokens were accepted in all for how many expected; where the drafter gives none, of how often
// it was accepted. Nodes never seen count as much as the last one seen, so that larger trees are tried. The budget
// looks at no token of the draft it is for: the class of the trees stays, and so does every guarantee. `paced_drafter`
// decides by levels while a draft grows; this one by nodes, beforehand, for trees of any shape. O(nodes) a step;
// allocates nothing.
#ifndef DECANT_CONTROL_BUDGETED_DRAFTER_HPP
#define DECANT_CONTROL_BUDGETED_DRAFTER_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/core/rows.hpp>
#include <decant/draft/drafter.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// Running estimates of what nodes are worth, and the budget that follows from them.
class node_budget {
 public:
  static constexpr std::size_t max_nodes = 1024;  ///< no budget is larger

  /// `pass_cost` is the time of a draft pass in plain target passes. Precondition: curve.check().
  explicit node_budget(cost_curve curve, double pass_cost = 0) : curve_(std::move(curve)), pass_cost_(pass_cost) {}

  /// The best number of nodes in [0, most]; all of them before anything is known.
  [[nodiscard]] std::int32_t choose(std::int32_t most) const {
    const std::size_t limit = std::min(index(std::max(most, 0)), max_nodes);
    if (known_ == 0) return static_cast<std::int32_t>(limit);
    const double correction = (accepted_ + prior_weight) / (expected_ + prior_weight);
    std::size_t best = 0;
    double best_rate = 1 / curve_.time(1);
    double tokens = 1;
    double passes = 0;
    for (std::size_t i = 0; i < limit; ++i) {
      const running& node = nodes_[std::min(i, known_ - 1)];
      tokens += correction * node.worth;
      passes = std::max(passes, node.depth);
      const double rate = tokens / (curve_.time(i + 2) + passes * pass_cost_);
      if (!(rate > best_rate)) continue;
      best = i + 1;
      best_rate = rate;
    }
    return static_cast<std::int32_t>(best);
  }

  /// How a step ended: the draft, and the accepted path with its root. A step without a draft makes the next one more
  /// likely.
  void learn(const token_tree& tree, node_span kept) {
    accepted_ *= memory;
    expected_ *= memory;
    std::size_t place = 0;
    for (const node_id n : tree.all().subspan(1)) {
      if (tree.kind(n) != node_kind::drafted || place == max_nodes) continue;
      const bool was_accepted = std::binary_search(kept.begin(), kept.end(), n);
      const double estimate = static_cast<double>(tree.acceptance(n));
      const double worth = estimate > 0 ? estimate : was_accepted ? 1.0 : 0.0;
      accepted_ += was_accepted ? 1 : 0;
      expected_ += worth;
      enter(place++, worth, tree.depth(n));
    }
    for (std::size_t i = place; i < known_; ++i) {  // not seen in this step
      const double hope = i == 0 ? 1 : nodes_[i - 1].worth;
      nodes_[i].worth += forgetting * (hope - nodes_[i].worth);
    }
  }

 private:
  static constexpr double memory = 0.98;      // about the last 50 steps count
  static constexpr double forgetting = 0.01;  // what is not drafted is taken for as good as what is, in the end
  static constexpr double prior_weight = 2;   // accepted tokens that the drafter's word is worth

  struct running {
    double worth = 0;
    double depth = 0;
  };

  void enter(std::size_t place, double worth, std::int32_t depth) noexcept {
    running& node = nodes_[place];
    const bool is_new = place >= known_;
    const double share = is_new ? 1 : 1 - memory;
    node.worth += share * (worth - node.worth);
    node.depth += share * (static_cast<double>(depth) - node.depth);
    if (is_new) known_ = place + 1;
  }

  cost_curve curve_;
  double pass_cost_;
  std::array<running, max_nodes> nodes_{};  // by order of drafting
  std::size_t known_ = 0;                   // nodes seen so far, at the front
  double accepted_ = 0;
  double expected_ = 0;
};

template <class D>
class budgeted_drafter {
 public:
  static constexpr tree_class produces = D::produces;
  static constexpr bool chains_only = D::chains_only;

  budgeted_drafter(D drafter, node_budget budget) : drafter_(std::move(drafter)), budget_(std::move(budget)) {}

  [[nodiscard]] tree_class produces_value() const { return produces_of(drafter_); }
  [[nodiscard]] bool chains_only_value() const { return makes_chains_only(drafter_); }
  [[nodiscard]] result<void> check() const { return check_of(drafter_); }

  [[nodiscard]] std::size_t length() const { return drafter_.length(); }
  result<void> extend(token_span tokens) { return drafter_.extend(tokens); }
  result<void> truncate(std::size_t length) { return drafter_.truncate(length); }

  template <class Real, class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance& chance) {
    draft_site chosen = site;
    chosen.limits.nodes = budget_.choose(site.limits.nodes);
    return drafter_.start(draft, chosen, chance);
  }
  template <class Real, class Chance>
  requires SelfDrivenDrafter<D, Real> result<void> run(token_draft<Real>& draft, Chance& chance) {
    return drafter_.run(draft, chance);
  }
  template <class Real, RowSource Rows, class Chance>
  requires HostDrivenDrafter<D, Real> result<void> supply(token_draft<Real>& draft, Rows& rows, Chance& chance) {
    return drafter_.supply(draft, rows, chance);
  }
  [[nodiscard]] node_span wanted() const { return drafter_.wanted(); }

  void observe(const token_tree& tree, node_span kept) {
    drafter_.observe(tree, kept);
    budget_.learn(tree, kept);
  }

  [[nodiscard]] D& drafter() noexcept { return drafter_; }
  [[nodiscard]] const D& drafter() const noexcept { return drafter_; }
  [[nodiscard]] const node_budget& budget() const noexcept { return budget_; }

 private:
  D drafter_;
  node_budget budget_;
};

}  // namespace decant::inline DECANT_ABI

#endif
