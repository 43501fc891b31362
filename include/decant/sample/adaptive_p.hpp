// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adaptive-p. Rule: candidates are rated by how near their probability p comes to an aim a: their logit becomes
// 5 - 10 r^2 / (1 + r) with r = |p - a| / 0.3. The aim is moved so that the weighted mean of the probabilities of the
// emitted tokens tends to `target`: a = clamp(2 * target - sum / weight, 0, 1), and an emitted token of probability p,
// before this step, makes sum <- p + decay * sum and weight <- 1 + decay * weight.
// Parameters: target in [0, 1], negative is off; decay in [0, 0.99], the memory of the mean. sum starts at
// target / (1 - decay), weight at 1 / (1 - decay).
// Edge cases: banned tokens stay banned. Every other candidate gets weight, the least likely ones included, so a
// truncation belongs before it, and nothing after it.
// Engine differences: llama.cpp always moves it to the end of the chain, after temperature; its clone forgot the
// probabilities that the emitted token was to be looked up in.
// Source: llama.cpp pull request 17927; no paper.
#ifndef DECANT_SAMPLE_ADAPTIVE_P_HPP
#define DECANT_SAMPLE_ADAPTIVE_P_HPP

#include <decant/sample/learned_surprise.hpp>

namespace decant::inline DECANT_ABI {

/// Prefers candidates near a probability that follows what was emitted. Two passes with an exponential per candidate.
struct adaptive_p {
  float target = -1.0f;
  float decay = 0.9f;

  static constexpr step_traits traits{};

  /// The weighted mean of the emitted tokens' probabilities as a fraction.
  struct state_type {
    double sum = 0;
    double weight = 1;

    friend constexpr bool operator==(const state_type&, const state_type&) = default;
  };

  [[nodiscard]] result<void> check() const {
    if (!(target <= 1.0f)) return error{error_code::invalid_argument, "the target of adaptive-p must be at most 1"};
    if (decay >= 0.0f && decay <= 0.99f) return {};
    return error{error_code::invalid_argument, "the decay of adaptive-p must lie in [0, 0.99]"};
  }

  [[nodiscard]] state_type initial_state() const {
    const double weight = 1 / (1 - static_cast<double>(decay));
    return {std::max(0.0, static_cast<double>(target)) * weight, weight};
  }
  void advance(state_type&, token) const {}

  template <class Real>
  void apply(candidates<Real>& set, const state_type& state) const {
    if (!learns()) return;
    const soft_max_sums sums = set.soft_max();
    const double aim = aim_of(state);
    set.for_each([&](token, Real& logit) {
      if (!(logit >= std::numeric_limits<Real>::lowest())) return;
      const double distance = std::abs(sums.probability(static_cast<double>(logit)) - aim) / width;
      logit = static_cast<Real>(peak - sharpness * distance * distance / (1 + distance));
    });
  }

  /// Whether the step is on.
  [[nodiscard]] bool learns() const { return target >= 0.0f; }
  template <class Real>
  [[nodiscard]] double observe(candidates<Real>& set, const state_type&, token t) const {
    return detail::probability_of(set, t);
  }
  void learn(state_type& state, double probability) const {
    state.sum = probability + static_cast<double>(decay) * state.sum;
    state.weight = 1 + static_cast<double>(decay) * state.weight;
  }

  /// The probability that candidates are rated by.
  [[nodiscard]] double aim_of(const state_type& state) const {
    return std::clamp(2 * static_cast<double>(target) - state.sum / state.weight, 0.0, 1.0);
  }

  friend constexpr bool operator==(const adaptive_p&, const adaptive_p&) = default;

 private:
  static constexpr double peak = 5;
  static constexpr double sharpness = 10;
  static constexpr double width = 0.3;
};

static_assert(LearningStep<adaptive_p, float> && LearningStep<adaptive_p, double>);
static_assert(SamplerStep<adaptive_p, float> && SamplerStep<adaptive_p, double>);

}  // namespace decant::inline DECANT_ABI

#endif
