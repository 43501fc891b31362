// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Min-p. Rule: a candidate stays when its probability is at least p times the largest one, that is when its logit is at
// least max + ln(p). No soft-max is needed.
// Parameters: p in [0, 1]; p <= 0 is off; useful values are 0.01 to 0.2. min_keep >= 1: never fewer than this many.
// Edge cases: the best candidate always stays, and so do its ties, even at p = 1.
// Engine differences: llama.cpp's device path compares with > and would drop the maximum at p = 1. llama.cpp applies it
// before temperature, Hugging Face and vLLM after it. vLLM left it out while speculating (issue 42744), which changes
// the law.
// Source: Nguyen et al. 2024, arXiv 2407.01082.
#ifndef DECANT_SAMPLE_MIN_P_HPP
#define DECANT_SAMPLE_MIN_P_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps candidates of at least `p` times the largest probability. Dense: one pass over the block maxima and the blocks
/// that hold survivors.
struct min_p {
  float p = 0.0f;
  std::size_t min_keep = 1;

  [[nodiscard]] result<void> check() const {
    if (!(p >= 0.0f && p <= 1.0f)) return error{error_code::invalid_argument, "p of min-p must lie in [0, 1]"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of min-p must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(p > 0.0f)) return;
    const Real top = set.best().logit;
    const Real threshold = std::min(top, top + static_cast<Real>(std::log(static_cast<double>(p))));
    set.keep_at_least(threshold, min_keep);
  }

  friend constexpr bool operator==(const min_p&, const min_p&) = default;
};

static_assert(SamplerStep<min_p, float> && SamplerStep<min_p, double>);

}  // namespace decant::inline DECANT_ABI

#endif
