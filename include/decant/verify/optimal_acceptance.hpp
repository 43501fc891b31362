// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The best possible acceptance of n drafts for one position (arXiv 2502.18779): no exact verifier of one level accepts
// more often than
//   alpha = 1 + min over sets H of tokens of ( p(H) - Pr[all drafts lie in H] ).
// For independent draws Pr = q(H)^n. For draws without replacement it is, for n = 2, the sum over i != j in H of
// q_i q_j / (1 - q_i); for other n, with the draws as the first n rings of independent exponential clocks of rates q_i,
//   Pr = integral of m exp(-m t) Pr[at least n clocks of H have rung by t] dt,   m = 1 - q(H):
// all n come from H when the first clock outside rings after them. The least H is taken among the prefixes of the
// tokens sorted by q / p decreasing; that this is enough, and the integral, are reconstructed, and checked against all
// sets and all ordered tuples on small vocabularies.
// A bound for tests and tuning, not a verifier. Complexity: O(V log V); without replacement beyond n = 2 a sum of some
// thousand terms of O(V n) each.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3)): independent 0.7, 0.79, 0.871 for n = 1, 2, 3; without
// replacement 0.834523809524 and 1 for n = 2, 3.
#ifndef DECANT_VERIFY_OPTIMAL_ACCEPTANCE_HPP
#define DECANT_VERIFY_OPTIMAL_ACCEPTANCE_HPP

#include <decant/core/distribution.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// The tokens that can be drafted, as probabilities, those the drafter likes most beyond the target first.
struct draftable {
  double p;
  double q;
};

template <class Real>
[[nodiscard]] std::vector<draftable> by_excess(distribution_view<Real> target, distribution_view<Real> proposal) {
  std::vector<draftable> tokens;
  for_each_pair(target, proposal, [&](token, const Real& p, const Real& q) {
    if (!(q > Real(0))) return;
    tokens.push_back({as_double(p) / as_double(target.mass()), as_double(q) / as_double(proposal.mass())});
  });
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const draftable& a, const draftable& b) { return a.p / a.q < b.p / b.q; });
  return tokens;
}

/// 1 + the least p(H) - inside[i], where H is the first i + 1 tokens.
[[nodiscard]] inline double least_over_prefixes(std::span<const draftable> tokens, std::span<const double> inside) {
  double least = 0;  // H empty
  double p = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    p += tokens[i].p;
    least = std::min(least, p - inside[i]);
  }
  return 1 + least;
}

/// Pr[both of two draws without replacement lie in the first i + 1 tokens].
[[nodiscard]] inline std::vector<double> two_distinct_inside(std::span<const draftable> tokens) {
  std::vector<double> inside;
  double q = 0;
  double odds = 0;           // sum of q_i / (1 - q_i)
  double weighted_odds = 0;  // sum of q_i^2 / (1 - q_i)
  for (const draftable& one : tokens) {
    q += one.q;
    odds += one.q / (1 - one.q);
    weighted_odds += one.q * one.q / (1 - one.q);
    inside.push_back(q * odds - weighted_odds);
  }
  return inside;
}

/// Pr[n draws without replacement lie in the first i + 1 tokens], by the clocks: the integral over log t as a sum of
/// equal steps, which converges faster than any power of the step.
class clock_integral {
 public:
  clock_integral(std::span<const draftable> tokens, std::size_t n) : tokens_(tokens), inside_(tokens.size(), 0.0) {
    outside_.resize(tokens.size());
    double m = 0;
    for (std::size_t i = tokens.size(); i-- > 0; m += tokens[i].q) outside_[i] = m;
    rung_.resize(n + 1);
    const double last = std::log(800 / tokens.back().q);
    for (double y = -first; y < last; y += step) add(std::exp(y));
    inside_.back() = 1;
  }
  [[nodiscard]] std::vector<double> take() { return std::move(inside_); }

 private:
  static constexpr double step = 1.0 / 32;
  static constexpr double first = 36;  // exp(-36) is below the precision of double

  /// The term of time t for all prefixes: `rung_[j]` is the probability that j of their clocks have rung, the last one
  /// that n or more have.
  void add(double t) {
    std::fill(rung_.begin(), rung_.end(), 0.0);
    rung_[0] = 1;
    for (std::size_t i = 0; i + 1 < tokens_.size(); ++i) {
      const double rings = -std::expm1(-tokens_[i].q * t);
      rung_.back() += rung_[rung_.size() - 2] * rings;
      for (std::size_t j = rung_.size() - 2; j > 0; --j) rung_[j] += (rung_[j - 1] - rung_[j]) * rings;
      rung_[0] -= rung_[0] * rings;
      inside_[i] += step * t * outside_[i] * std::exp(-outside_[i] * t) * rung_.back();
    }
  }

  std::span<const draftable> tokens_;
  std::vector<double> inside_;
  std::vector<double> outside_;
  std::vector<double> rung_;
};

}  // namespace detail

/// The best acceptance of `n` independent draws from `proposal`. Both laws have positive mass, n >= 1.
template <class Real>
[[nodiscard]] double optimal_acceptance_independent(distribution_view<Real> target, distribution_view<Real> proposal,
                                                    std::size_t n) {
  DECANT_PRECONDITION(n >= 1);
  const auto tokens = detail::by_excess(target, proposal);
  std::vector<double> inside;
  double q = 0;
  for (const auto& one : tokens) {
    q += one.q;
    inside.push_back(std::pow(q, static_cast<double>(n)));
  }
  return detail::least_over_prefixes(tokens, inside);
}

/// The best acceptance of `n` draws without replacement from `proposal`; fewer when it has fewer tokens. Both laws have
/// positive mass, n >= 1.
template <class Real>
[[nodiscard]] double optimal_acceptance_without_replacement(distribution_view<Real> target,
                                                            distribution_view<Real> proposal, std::size_t n) {
  DECANT_PRECONDITION(n >= 1);
  const auto tokens = detail::by_excess(target, proposal);
  n = std::min(n, tokens.size());
  if (n == 1) return optimal_acceptance_independent(target, proposal, 1);
  if (n == 2) return detail::least_over_prefixes(tokens, detail::two_distinct_inside(tokens));
  return detail::least_over_prefixes(tokens, detail::clock_integral(tokens, n).take());
}

}  // namespace decant::inline DECANT_ABI

#endif
