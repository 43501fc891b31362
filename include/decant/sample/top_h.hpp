// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-H. Rule: of the `considered` best candidates, renormalised, with entropy H: those stay whose terms -p ln p,
// summed in canonical order up to and including their own, do not exceed share * H. The best always stays.
// Parameters: share in [0, 1]; share <= 0 is off, 1 keeps all that are considered. considered >= 1, usually 100.
// min_keep >= 1: never fewer than this many.
// Edge cases: H = 0 (one candidate, or one that has all the mass) keeps the candidates whose terms are 0.
// Engine differences: Hugging Face has 100 fixed and no min_keep, and applies it after temperature; llama.cpp and vLLM
// do not have it.
// Source: Baghaei Potraghloo et al. 2025, arXiv 2509.02510; transformers (TopHLogitsWarper).
#ifndef DECANT_SAMPLE_TOP_H_HPP
#define DECANT_SAMPLE_TOP_H_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps the best candidates up to a share of their entropy. O(candidates + considered log considered).
struct top_h {
  float share = 0.0f;
  std::size_t considered = 100;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!(share >= 0.0f && share <= 1.0f)) {
      return error{error_code::invalid_argument, "the share of top-H must lie in [0, 1]"};
    }
    if (considered < 1) return error{error_code::invalid_argument, "top-H must consider at least 1 candidate"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of top-H must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(share > 0.0f)) return;
    const std::size_t kept = prefix<Real>(set.ranked_best(considered));
    set.keep_best(std::max(kept, min_keep));
  }

  friend constexpr bool operator==(const top_h&, const top_h&) = default;

 private:
  /// The number of candidates within the share; 0 when even the first exceeds it.
  template <class Real>
  [[nodiscard]] std::size_t prefix(std::span<const candidate<Real>> ranked) const {
    double mass = 0;
    for (const candidate<Real>& c : ranked) mass += weight(ranked, c);
    double entropy = 0;
    for (const candidate<Real>& c : ranked) entropy += term(weight(ranked, c) / mass);
    const double allowed = static_cast<double>(share) * entropy;
    double sum = 0;
    std::size_t kept = 0;
    while (kept < ranked.size()) {
      sum += term(weight(ranked, ranked[kept]) / mass);
      if (sum > allowed) break;
      ++kept;
    }
    return kept;
  }

  template <class Real>
  [[nodiscard]] static double weight(std::span<const candidate<Real>> ranked, const candidate<Real>& c) {
    return std::exp(static_cast<double>(c.logit) - static_cast<double>(ranked[0].logit));
  }
  [[nodiscard]] static double term(double p) { return p > 0 ? -p * std::log(p) : 0; }
};

static_assert(SamplerStep<top_h, float> && SamplerStep<top_h, double>);

}  // namespace decant::inline DECANT_ABI

#endif
