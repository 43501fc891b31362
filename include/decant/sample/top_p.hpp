// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-p, nucleus sampling. Rule: the smallest prefix in canonical order whose probability reaches p stays, that is
// every candidate before which less than p lies. Probabilities are those of the current set, renormalised.
// Parameters: p in [0, 1]; p >= 1 is off, p = 0 keeps the best candidate. min_keep >= 1: never fewer than this many.
// Edge cases: the best candidate always stays; ties at the border go to lower ids. Exponentials in the scalar of the
// row, sums in double: a sum that rounding leaves short of p keeps everything.
// Engine differences: llama.cpp, Hugging Face and vLLM agree on the renormalised mass; FlashInfer's joint order tests
// the mass of the whole vocabulary. Hugging Face and vLLM sum upwards from the smallest, the same set up to rounding.
// Temperature before or after it makes a difference (presets.hpp).
// Source: Holtzman et al. 2019, arXiv 1904.09751.
//
// Nothing of the vocabulary's size is sorted (kernels/vocabulary_selection.hpp).
#ifndef DECANT_SAMPLE_TOP_P_HPP
#define DECANT_SAMPLE_TOP_P_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps the smallest prefix of probability `p`; see `candidates::keep_prefix`.
struct top_p {
  float p = 1.0f;
  std::size_t min_keep = 1;

  [[nodiscard]] result<void> check() const {
    if (!(p >= 0.0f && p <= 1.0f)) return error{error_code::invalid_argument, "p of top-p must lie in [0, 1]"};
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of top-p must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (p < 1.0f && std::isfinite(set.best().logit)) set.keep_prefix(static_cast<double>(p), min_keep);
  }

  friend constexpr bool operator==(const top_p&, const top_p&) = default;
};

static_assert(SamplerStep<top_p, float> && SamplerStep<top_p, double>);

}  // namespace decant::inline DECANT_ABI

#endif
