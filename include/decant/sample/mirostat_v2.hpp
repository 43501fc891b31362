// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mirostat, second version. Rule: candidates whose surprise -log2 p is above mu bits are removed. After a token x of
// the renormalised probability p(x) was emitted, mu <- mu - eta * (-log2 p(x) - tau).
// Parameters: tau > 0, the surprise aimed at in bits, usually 5; eta >= 0, the learning rate, usually 0.1; min_keep >=
// 1: never fewer than this many. A tau far above log2 V is off. mu starts at 2 * tau.
// Edge cases: when mu is below every surprise the min_keep best stay, and mu rises again. mu stays finite.
// Engine differences: llama.cpp learns inside its law, so a token that is sampled again teaches twice, once for a token
// never emitted; it ignores all other truncations next to mirostat.
// Under speculation the law of a node is that of mu after the node's own path, and mu moves once per emitted token.
// Source: Basu et al. 2020, arXiv 2007.14966 (this form: llama.cpp).
#ifndef DECANT_SAMPLE_MIROSTAT_V2_HPP
#define DECANT_SAMPLE_MIROSTAT_V2_HPP

#include <decant/sample/learned_surprise.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps candidates of at most mu bits of surprise. One pass with an exponential per candidate and one over the blocks
/// that hold survivors.
struct mirostat_v2 {
  float tau = 5.0f;
  float eta = 0.1f;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};
  using state_type = largest_surprise;

  [[nodiscard]] result<void> check() const { return detail::check_mirostat(tau, eta, min_keep); }

  [[nodiscard]] largest_surprise initial_state() const { return {2.0 * static_cast<double>(tau)}; }
  void advance(largest_surprise&, token) const {}

  template <class Real>
  void apply(candidates<Real>& set, const largest_surprise& mu) const {
    const soft_max_sums sums = set.soft_max();
    const double threshold = sums.top + std::log(sums.mass) - mu.bits * std::log(2.0);
    set.keep_at_least(static_cast<Real>(threshold), min_keep);
  }

  [[nodiscard]] bool learns() const { return eta > 0.0f; }
  template <class Real>
  [[nodiscard]] double observe(candidates<Real>& set, const largest_surprise& mu, token t) const {
    apply(set, mu);
    return detail::probability_of(set, t);
  }
  void learn(largest_surprise& mu, double probability) const {
    mu.learn(probability, static_cast<double>(tau), static_cast<double>(eta));
  }

  friend constexpr bool operator==(const mirostat_v2&, const mirostat_v2&) = default;
};

static_assert(LearningStep<mirostat_v2, float> && LearningStep<mirostat_v2, double>);
static_assert(SamplerStep<mirostat_v2, float> && SamplerStep<mirostat_v2, double>);

}  // namespace decant::inline DECANT_ABI

#endif
