// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mirostat, first version. Rule: from the best candidates the exponent s of a Zipf law is estimated, from it the k
// whose k best candidates would surprise by mu bits; they stay. After a token x of the renormalised probability p(x)
// was emitted, mu <- mu - eta * (-log2 p(x) - tau).
// With t(i) = ln((i+2)/(i+1)) and b(i) = ln(p(i)/p(i+1)) over the m best: s = sum t b / sum t^2, e = s - 1,
// k = (e * 2^mu / (1 - V^-e))^(1/s), V the size of the vocabulary, banned tokens included, and max(min_keep,
// floor(k)) stay.
// Parameters: tau > 0, the surprise aimed at in bits, usually 5; eta >= 0, the learning rate, usually 0.1; m >= 2,
// usually 100; min_keep >= 1. A tau far above log2 V is off. mu starts at 2 * tau.
// Edge cases: e = 0 is the limit k^s = 2^mu / ln V; s = 0 (equal probabilities) keeps all or one, as its limit does;
// one candidate stays. Ratios are differences of logits, so p(i+1) = 0 by underflow is none. mu stays finite.
// Engine differences: llama.cpp learns inside its law, so a token that is sampled again teaches twice; its clone copied
// the state onto itself; it guards none of the edge cases, so that a k which is NaN (a banned token among the m best)
// or no integer of 32 bits keeps one candidate; it ignores all other truncations next to mirostat. Source: Basu et al.
// 2020, arXiv 2007.14966; llama.cpp.
#ifndef DECANT_SAMPLE_MIROSTAT_V1_HPP
#define DECANT_SAMPLE_MIROSTAT_V1_HPP

#include <decant/sample/learned_surprise.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps as many candidates as aim at a surprise. O(candidates + m log m).
struct mirostat_v1 {
  float tau = 5.0f;
  float eta = 0.1f;
  std::size_t m = 100;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};
  using state_type = largest_surprise;

  [[nodiscard]] result<void> check() const {
    if (m < 2) return error{error_code::invalid_argument, "m of mirostat must be at least 2"};
    return detail::check_mirostat(tau, eta, min_keep);
  }

  [[nodiscard]] largest_surprise initial_state() const { return {2.0 * static_cast<double>(tau)}; }
  void advance(largest_surprise&, token) const {}

  template <class Real>
  void apply(candidates<Real>& set, const largest_surprise& mu) const {
    const double s = zipf_exponent<Real>(set.ranked_best(m));
    const double k = std::clamp(std::floor(size_for(s, mu.bits, set.vocab_size())), 1.0, 0x1p53);
    set.keep_best(std::max(static_cast<std::size_t>(k), min_keep));
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

  friend constexpr bool operator==(const mirostat_v1&, const mirostat_v1&) = default;

 private:
  /// s, by least squares over the ranks; 0 for fewer than two candidates.
  template <class Real>
  [[nodiscard]] static double zipf_exponent(std::span<const candidate<Real>> ranked) {
    double products = 0;
    double squares = 0;
    for (std::size_t i = 0; i + 1 < ranked.size(); ++i) {
      const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
      products += t * (static_cast<double>(ranked[i].logit) - static_cast<double>(ranked[i + 1].logit));
      squares += t * t;
    }
    return squares > 0 ? products / squares : 0;
  }

  /// k, from its logarithm: nothing overflows on the way.
  [[nodiscard]] static double size_for(double s, double mu, std::size_t vocab_size) {
    const double e = s - 1;
    const double log_vocab = std::log(static_cast<double>(std::max<std::size_t>(vocab_size, 2)));
    const double factor = e == 0 ? 1 / log_vocab : e / -std::expm1(-e * log_vocab);
    const double log_power = std::log(factor) + mu * std::log(2.0);  // of k^s
    if (s > 0) return std::exp(log_power / s);
    return log_power > 0 ? std::numeric_limits<double>::infinity() : 0;
  }
};

static_assert(LearningStep<mirostat_v1, float> && LearningStep<mirostat_v1, double>);
static_assert(SamplerStep<mirostat_v1, float> && SamplerStep<mirostat_v1, double>);

}  // namespace decant::inline DECANT_ABI

#endif
