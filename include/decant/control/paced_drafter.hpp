// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any drafter, with its length decided by a rule. Where drafting is free (prompt lookup) the drafter drafts all it can
// and the rule keeps the beginning; where every level costs a draft pass the rule decides before each one, and nothing
// is drafted at all when nothing is worth it. The rule is told how every draft ended.
// Exact under every verifier the drafter fits: a draft ends, or a last level is dropped, by what was known before the
// tokens concerned were drawn (draft rows, earlier outcomes). Drafts that were chosen, not drawn, may be cut anywhere.
// Allocates nothing.
#ifndef DECANT_CONTROL_PACED_DRAFTER_HPP
#define DECANT_CONTROL_PACED_DRAFTER_HPP

#include <decant/control/length_rule.hpp>
#include <decant/core/rows.hpp>
#include <decant/draft/drafter.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// Runs its draft passes one at a time: `advance(draft, chance)` after `start`, while nodes are wanted.
template <class D, class Real = float>
concept SteppedDrafter = SelfDrivenDrafter<D, Real> &&
    requires(D& drafter, token_draft<Real>& draft, detail::any_chance& chance) {
  { drafter.advance(draft, chance) } -> std::same_as<result<void>>;
};

template <class D, LengthRule Rule>
class paced_drafter {
 public:
  static constexpr tree_class produces = D::produces;
  static constexpr bool chains_only = D::chains_only;
  static constexpr std::size_t max_levels = 64;  ///< no draft gets deeper

  /// `pass_cost` is the time of drafting a level, in plain target passes; 0 for drafters that need no model.
  explicit paced_drafter(D drafter, Rule rule, double pass_cost = 0)
      : drafter_(std::move(drafter)), rule_(std::move(rule)), pass_cost_(pass_cost) {
    usual_nodes_.fill(1);
  }

  [[nodiscard]] tree_class produces_value() const { return produces_of(drafter_); }
  [[nodiscard]] bool chains_only_value() const { return makes_chains_only(drafter_); }
  [[nodiscard]] result<void> check() const { return check_of(drafter_); }

  [[nodiscard]] std::size_t length() const { return drafter_.length(); }
  result<void> extend(token_span tokens) { return drafter_.extend(tokens); }
  result<void> truncate(std::size_t length) {
    if (length == 0) rule_.begin();
    return drafter_.truncate(length);
  }

  template <class Real, class Chance>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Chance& chance) {
    forget_draft();
    spent_ = 0;
    state_ = state::idle;
    limits_ = site.limits;
    limits_.depth = std::min(limits_.depth, static_cast<std::int32_t>(max_levels));
    const bool is_free = pass_cost_ == 0;
    const std::size_t wanted = is_free ? index(std::max(limits_.depth, 0)) : rule_.choose(outlook(true), 0);
    if (wanted == 0) return {};
    draft_site paced = site;
    paced.limits = limits_;
    if constexpr (!can_stop<Real>) paced.limits.depth = static_cast<std::int32_t>(wanted);
    state_ = state::drafting;
    return drafter_.start(draft, paced, chance);
  }

  template <class Real, class Chance>
  requires SelfDrivenDrafter<D, Real> result<void> run(token_draft<Real>& draft, Chance& chance) {
    if constexpr (SteppedDrafter<D, Real>) {
      while (state_ == state::drafting) {
        if (auto advanced = drafter_.advance(draft, chance); !advanced) return advanced;
        judge(draft);
      }
    } else if (state_ == state::drafting) {
      if (auto done = drafter_.run(draft, chance); !done) return done;
      if (drafter_.wanted().empty()) judge(draft);  // otherwise its host goes on
    }
    return {};
  }

  template <class Real, RowSource Rows, class Chance>
  requires HostDrivenDrafter<D, Real> result<void> supply(token_draft<Real>& draft, Rows& rows, Chance& chance) {
    if (auto supplied = drafter_.supply(draft, rows, chance); !supplied) return supplied;
    judge(draft);
    return {};
  }

  [[nodiscard]] node_span wanted() const { return state_ == state::drafting ? drafter_.wanted() : node_span{}; }

  void observe(const token_tree& tree, node_span kept) {
    if (state_ != state::idle) drafter_.observe(tree, kept);
    state_ = state::idle;
    rule_.learn(std::span(levels_).first(levels_known_), {std::min(kept.size() - 1, levels_known_), spent_});
  }

  [[nodiscard]] D& drafter() noexcept { return drafter_; }
  [[nodiscard]] const D& drafter() const noexcept { return drafter_; }
  [[nodiscard]] const Rule& rule() const noexcept { return rule_; }

 private:
  enum class state : std::uint8_t {
    idle,      // the drafter has not been started, or has been told how its draft ended
    drafting,  // it may go on
    finished   // it has drafted what is wanted
  };

  /// Whether the drafter can be left after any level. One that runs to its end is given its depth beforehand.
  template <class Real>
  static constexpr bool can_stop = SteppedDrafter<D, Real> || !SelfDrivenDrafter<D, Real>;

  void forget_draft() noexcept {
    levels_known_ = 0;
    nodes_known_ = 1;
  }

  /// The levels drafted so far and, if there may be more, those that could follow.
  [[nodiscard]] std::span<const draft_level> outlook(bool may_go_on) {
    std::size_t count = levels_known_;
    std::int32_t nodes = nodes_known_ - 1;
    while (may_go_on && static_cast<std::int32_t>(count) < limits_.depth && nodes < limits_.nodes) {
      const std::int32_t added = std::min(usual_nodes_[count], limits_.nodes - nodes);
      levels_[count++] = {confidence(), added, pass_cost_};
      nodes += added;
    }
    return std::span<const draft_level>(levels_).first(count);
  }

  /// After a draft pass: looks at what is new, and decides whether to go on, to end, or to end without the last level.
  /// A builder that prunes in the end may have more nodes than allowed until then, and must reach it.
  template <class Real>
  void judge(token_draft<Real>& draft) {
    survey(draft);
    const bool may_go_on = !drafter_.wanted().empty();
    const bool may_end = draft.tree.size() - 1 <= index(std::max(limits_.nodes, 0));
    const std::size_t wanted = rule_.choose(outlook(may_go_on), levels_known_);
    if (may_go_on && (wanted > levels_known_ || !may_end)) return;
    state_ = state::finished;
    if (wanted < levels_known_) cut(draft, wanted);
  }

  /// Enters new nodes into the levels.
  template <class Real>
  void survey(const token_draft<Real>& draft) {
    if (draft.tree.size() < index(nodes_known_)) forget_draft();  // the drafter has given up
    const std::size_t before = levels_known_;
    for (const node_id n : draft.tree.all().subspan(index(nodes_known_))) {
      if (draft.tree.kind(n) != node_kind::drafted) continue;
      const std::size_t level = index(draft.tree.depth(n)) - 1;
      if (level >= max_levels) break;  // the drafter has broken its contract, which the machine will find
      if (level >= levels_known_) {
        levels_[level] = {confidence_of(draft, n), 0, pass_cost_};
        levels_known_ = level + 1;
      }
      ++levels_[level].nodes;
    }
    nodes_known_ = static_cast<std::int32_t>(draft.tree.size());
    for (std::size_t i = before; i < levels_known_; ++i) usual_nodes_[i] = levels_[i].nodes;
    spent_ += pass_cost_ * static_cast<double>(std::max<std::size_t>(levels_known_ - before, 1));
  }

  /// Of a drawn token the most probable one of its row, which was known before the draw; of a chosen token the
  /// drafter's estimate.
  template <class Real>
  [[nodiscard]] static confidence confidence_of(const token_draft<Real>& draft, node_id n) {
    const token_tree& tree = draft.tree;
    if (const tree_edge edge = tree.edge(n); edge.law != edge_law::deterministic) {
      const distribution_view<Real> law = draft.row_of(edge);
      return confidence(law.probability(argmax(law)));
    }
    const float above = tree.acceptance(tree.parent(n));
    return above > 0 ? confidence(static_cast<double>(tree.acceptance(n) / above)) : confidence();
  }

  /// Cuts the draft to `wanted` levels, as far as that is legal: all of a chosen draft, one level of a drawn chain. In
  /// any other drawn tree the number of nodes of a level, which the rule has seen, may depend on the tokens of that
  /// level, and the law of what is left with it (repeated draws, DySpec). A tree that did not grow level by level is
  /// left as it is.
  template <class Real>
  void cut(token_draft<Real>& draft, std::size_t wanted) {
    if (produces_of(drafter_) != tree_class::deterministic) {
      if (!makes_chains_only(drafter_)) return;
      wanted = std::max(wanted, levels_known_ - 1);
    }
    const auto is_deeper = [&](node_id n) { return index(draft.tree.depth(n)) > wanted; };
    const node_span nodes = draft.tree.all();
    const auto first = std::find_if(nodes.begin(), nodes.end(), is_deeper);
    if (!std::all_of(first, nodes.end(), is_deeper)) return;
    draft.tree.truncate(static_cast<std::size_t>(first - nodes.begin()));
    nodes_known_ = static_cast<std::int32_t>(draft.tree.size());
    levels_known_ = wanted;
  }

  D drafter_;
  Rule rule_;
  double pass_cost_;

  state state_ = state::idle;
  draft_limits limits_{};
  std::array<draft_level, max_levels> levels_{};
  std::size_t levels_known_ = 0;                        // drafted levels at the front of `levels_`
  std::int32_t nodes_known_ = 1;                        // nodes of the tree that are in them, the root included
  double spent_ = 0;                                    // on drafting in this step
  std::array<std::int32_t, max_levels> usual_nodes_{};  // of each level when it was last drafted
};

}  // namespace decant::inline DECANT_ABI

#endif
