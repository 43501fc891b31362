// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-n-sigma. Rule: a candidate stays when its logit is at least max - n * sigma, with sigma the population standard
// deviation of the logits of the current set.
// Parameters: n, any number; n <= 0 is off; the paper uses 1. min_keep >= 1: never fewer than this many.
// Edge cases: banned tokens count nothing towards sigma. Equal logits all stay. A temperature before it changes
// nothing, a truncation does: sigma must see the whole vocabulary, so the step belongs before other truncations.
// Engine differences: llama.cpp bans what falls below instead of removing it, which made entropies of later steps NaN.
// Source: Tang et al. 2024, arXiv 2411.07641; llama.cpp.
#ifndef DECANT_SAMPLE_TOP_N_SIGMA_HPP
#define DECANT_SAMPLE_TOP_N_SIGMA_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps candidates within `n` standard deviations of the best logit. Two passes without exponentials and one over the
/// blocks that hold survivors.
struct top_n_sigma {
  float n = 0.0f;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.temperature_invariant = true, .keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!std::isfinite(n)) return error{error_code::invalid_argument, "n of top-n-sigma must be a finite number"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of top-n-sigma must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(n > 0.0f)) return;
    const Real top = set.best().logit;
    const double below = static_cast<double>(n) * set.moments().deviation;
    set.keep_at_least(std::min(top, static_cast<Real>(static_cast<double>(top) - below)), min_keep);
  }

  friend constexpr bool operator==(const top_n_sigma&, const top_n_sigma&) = default;
};

static_assert(SamplerStep<top_n_sigma, float> && SamplerStep<top_n_sigma, double>);

}  // namespace decant::inline DECANT_ABI

#endif
