// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Epsilon sampling. Rule: a candidate stays when its probability in the current set is at least epsilon.
// Parameters: epsilon in [0, 1); epsilon <= 0 is off; the paper's values are 3e-4 to 9e-4. min_keep >= 1: never fewer
// than this many.
// Edge cases: when no candidate reaches epsilon the min_keep best stay.
// Engine differences: Hugging Face applies it after temperature, and also keeps what ties with the last of its
// min_tokens_to_keep; llama.cpp and vLLM do not have it.
// Source: Hewitt, Manning, Liang 2022, arXiv 2210.15191; transformers (EpsilonLogitsWarper).
#ifndef DECANT_SAMPLE_EPSILON_CUTOFF_HPP
#define DECANT_SAMPLE_EPSILON_CUTOFF_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps candidates of at least probability `epsilon`. One pass with an exponential per candidate and one over the
/// blocks that hold survivors.
struct epsilon_cutoff {
  float epsilon = 0.0f;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!(epsilon >= 0.0f && epsilon < 1.0f)) {
      return error{error_code::invalid_argument, "epsilon of the epsilon cutoff must lie in [0, 1)"};
    }
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of the epsilon cutoff must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(epsilon > 0.0f)) return;
    const double threshold = set.soft_max().logit_of(static_cast<double>(epsilon));
    set.keep_at_least(static_cast<Real>(threshold), min_keep);
  }

  friend constexpr bool operator==(const epsilon_cutoff&, const epsilon_cutoff&) = default;
};

static_assert(SamplerStep<epsilon_cutoff, float> && SamplerStep<epsilon_cutoff, double>);

}  // namespace decant::inline DECANT_ABI

#endif
