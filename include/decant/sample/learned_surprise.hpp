// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What steps that learn from what was drawn share: the probability of a drawn token, and the surprise that the two
// mirostats steer by.
#ifndef DECANT_SAMPLE_LEARNED_SURPRISE_HPP
#define DECANT_SAMPLE_LEARNED_SURPRISE_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// The probability of a token under the soft-max of a set; 0 for one that is no candidate.
template <class Real>
[[nodiscard]] double probability_of(candidates<Real>& set, token t) {
  const soft_max_sums sums = set.soft_max();
  double probability = 0;
  set.edit(t, [&](const Real& logit) { probability = sums.probability(static_cast<double>(logit)); });
  return probability;
}

/// The complaint about the parameters that both mirostats have.
[[nodiscard]] inline result<void> check_mirostat(float tau, float eta, std::size_t min_keep) {
  if (!(tau > 0.0f && std::isfinite(tau))) {
    return error{error_code::invalid_argument, "tau of mirostat must be positive and finite"};
  }
  if (!(eta >= 0.0f && std::isfinite(eta))) {
    return error{error_code::invalid_argument, "eta of mirostat must be finite and not negative"};
  }
  if (min_keep >= 1) return {};
  return error{error_code::invalid_argument, "min_keep of mirostat must be at least 1"};
}

}  // namespace detail

/// The state of a mirostat: mu, the largest surprise it lets pass, in bits.
struct largest_surprise {
  /// A bound that keeps mu finite. No soft-max in double has a candidate of this surprise, so it costs no law.
  static constexpr double most = 1e6;

  double bits = 0;

  /// Moves against the difference between the surprise -log2(probability) and the one aimed at. A probability of 0, of
  /// a token that only a lossy verifier lets through, teaches nothing.
  void learn(double probability, double target, double rate) {
    if (!(probability > 0)) return;
    bits = std::clamp(bits - rate * (-std::log2(probability) - target), -most, most);
  }

  friend constexpr bool operator==(const largest_surprise&, const largest_surprise&) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
