// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Locally typical sampling. Rule: candidates are ranked by how far their surprise -ln P lies from its mean, the entropy
// of the set; the smallest prefix whose probability reaches p stays. Since -ln P - H = (top + ln mass - H) - logit, the
// order is that of the distance of the logits to one number.
// Parameters: p in [0, 1]; p >= 1 is off; the paper uses 0.2 to 0.95. min_keep >= 1: never fewer than this many, the
// nearest ones. more_than_p: the prefix must exceed p, not only reach it.
// Edge cases: the best candidate may go. Banned tokens have no part in the entropy. Equal distances go to lower ids,
// p = 0 keeps the nearest candidate. Distances are formed in the scalar of the row.
// Engine differences: llama.cpp multiplies 0 by ln 0 for a token that is banned or 104 below the best in logits, so the
// entropy becomes NaN and the step something like top-p; it asks for more than p where others ask for at least p.
// Hugging Face keeps all that tie with the last.
// Source: Meister et al. 2022, arXiv 2202.00666.
#ifndef DECANT_SAMPLE_TYPICAL_HPP
#define DECANT_SAMPLE_TYPICAL_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps the candidates of the most usual surprise, of probability `p` together. One pass with an exponential per
/// candidate, one for the distances, and what `candidates::keep_nearest` takes.
struct typical {
  float p = 1.0f;
  std::size_t min_keep = 1;
  bool more_than_p = false;

  static constexpr step_traits traits{};

  [[nodiscard]] result<void> check() const {
    if (!(p >= 0.0f && p <= 1.0f)) return error{error_code::invalid_argument, "p of typical must lie in [0, 1]"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of typical must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(p < 1.0f) || !std::isfinite(set.best().logit)) return;
    const soft_max_sums sums = set.soft_max(true);
    const double centre = sums.top + std::log(sums.mass) - sums.entropy;
    const auto share = static_cast<double>(p);
    set.keep_nearest(centre, sums, more_than_p ? std::nextafter(share, 1.0) : share, min_keep);
  }

  friend constexpr bool operator==(const typical&, const typical&) = default;
};

static_assert(SamplerStep<typical, float> && SamplerStep<typical, double>);

}  // namespace decant::inline DECANT_ABI

#endif
