// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draft lengths from measured costs. Two principles:
// 1. Renewal reward: a loop whose long-run rate is R tokens per unit of time should take the length k that maximises
//    E(k) - R * T(k), where E is the expected number of tokens, 1 + sum of products of acceptance estimates, and T the
//    time of drafting and of the target pass. One more token is worth it iff its path probability exceeds R times what
//    it adds to T; taking the maximum over all lengths also sees past a step of a staircase-shaped cost curve.
// 2. Never much slower than plain decoding (a conservative bandit, arXiv 1602.04282): estimates start hopeful, so new
//    drafts are tried, but a draft that the evidence alone does not justify is made only while its whole loss would
//    stay within an allowance: `allowance` plain passes, plus `share` of the tokens emitted, plus what speculation has
//    gained so far. So a text of N tokens of which no draft is accepted takes at most N * (1 + share) + allowance.
// Times are in units of the target's plain pass, by the cost curve; no clock is read, so a run is reproducible.
// Complexity: O(levels * log points) per choice. Allocates nothing.
#ifndef DECANT_CONTROL_RENEWAL_RULE_HPP
#define DECANT_CONTROL_RENEWAL_RULE_HPP

#include <decant/control/acceptance_estimates.hpp>
#include <decant/control/cost_curve.hpp>
#include <decant/control/length_rule.hpp>

namespace decant::inline DECANT_ABI {

struct renewal_settings {
  double allowance = 1;  ///< plain passes that may be lost at the start of a sequence, at least 0
  double share = 0.008;  ///< share of the emitted tokens that may be lost beyond, at least 0
  double margin = 0.02;  ///< tokens a draft must promise beyond its cost, at least 0: absorbs errors of the curve

  [[nodiscard]] result<void> check() const {
    if (!(allowance >= 0 && share >= 0 && margin >= 0)) {
      return error{error_code::invalid_argument, "renewal_rule: a setting is negative or not a number"};
    }
    return {};
  }
  friend constexpr bool operator==(const renewal_settings&, const renewal_settings&) = default;
};

/// A value: a copy goes on from what was learnt, for instance in the next sequence of the same kind.
class renewal_rule {
 public:
  /// Precondition: curve.check(), settings.check().
  explicit renewal_rule(cost_curve curve, renewal_settings settings = {})
      : curve_(std::move(curve)), settings_(settings) {
    DECANT_PRECONDITION(curve_.check().has_value() && settings_.check().has_value());
  }

  /// A new sequence: the allowance is granted anew, what was learnt about the drafter stays.
  void begin() noexcept {
    emitted_ = 0;
    lead_ = 0;
  }

  [[nodiscard]] std::size_t choose(std::span<const draft_level> levels, std::size_t drafted) const {
    double spent = 0;
    for (const draft_level& level : levels.first(drafted)) spent += level.cost;
    const limits here{drafted, spent, rate(), settings_.allowance + settings_.share * emitted_ + lead_};
    const std::size_t best = best_length(levels, here, [this](confidence c) { return estimates_.likely(c); });
    if (best > 0) return best;
    return best_length(levels, here, [this](confidence c) { return estimates_.hopeful(c); });
  }

  void learn(std::span<const draft_level> levels, const draft_outcome& outcome) {
    std::size_t nodes = 1;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      nodes += static_cast<std::size_t>(levels[i].nodes);
      if (i <= outcome.accepted) estimates_.record(levels[i].level_confidence, i < outcome.accepted);
    }
    const double time = curve_.time(nodes) + outcome.draft_cost;
    const double tokens = static_cast<double>(outcome.accepted) + 1;
    emitted_ += tokens;
    lead_ += tokens - time;
    recent_tokens_ = rate_memory * recent_tokens_ + tokens;
    recent_time_ = rate_memory * recent_time_ + time;
    estimates_.fade();
  }

  /// Tokens per unit of time of late; plain decoding, which is always at hand, makes 1.
  [[nodiscard]] double rate() const noexcept { return std::max(1.0, recent_tokens_ / recent_time_); }
  /// Plain passes gained so far in this sequence; negative when speculation has cost more than it gave.
  [[nodiscard]] double lead() const noexcept { return lead_; }
  [[nodiscard]] const cost_curve& curve() const noexcept { return curve_; }
  [[nodiscard]] const acceptance_estimates& estimates() const noexcept { return estimates_; }

 private:
  static constexpr double rate_memory = 0.97;

  struct limits {
    std::size_t drafted;  // levels that exist
    double spent;         // on them
    double rate;
    double allowance;  // what may be lost in this step
  };

  /// The length with the largest gain that may be risked, by these estimates.
  template <class Estimate>
  [[nodiscard]] std::size_t best_length(std::span<const draft_level> levels, const limits& here,
                                        const Estimate& estimate) const {
    std::size_t best = 0;
    double best_gain = settings_.margin;
    std::size_t nodes = 1;
    double draft_cost = 0;
    double reach = 1;
    double tokens = 0;
    double proven_reach = 1;
    double proven_tokens = 0;
    for (std::size_t i = 0; i < levels.size(); ++i) {
      nodes += static_cast<std::size_t>(levels[i].nodes);
      if (i >= here.drafted) draft_cost += levels[i].cost;
      tokens += reach *= estimate(levels[i].level_confidence);
      proven_tokens += proven_reach *= estimates_.proven(levels[i].level_confidence);
      const double extra_time = curve_.time(nodes) - 1 + draft_cost;
      const double gain = tokens - here.rate * extra_time;
      const double at_risk = extra_time + here.spent - proven_tokens;
      if (gain <= best_gain || (at_risk > 0 && at_risk > here.allowance)) continue;
      best = i + 1;
      best_gain = gain;
    }
    return best;
  }

  cost_curve curve_;
  renewal_settings settings_;
  acceptance_estimates estimates_;
  double recent_tokens_ = 20;
  double recent_time_ = 20;
  double emitted_ = 0;
  double lead_ = 0;
};

static_assert(LengthRule<renewal_rule>);

}  // namespace decant::inline DECANT_ABI

#endif
