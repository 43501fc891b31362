// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Top-k. Rule: the k best candidates in canonical order stay.
// Parameters: k, any integer; k <= 0 is off. min_keep >= 1: never fewer than this many. keep_ties: what ties with the
// last of them stays too.
// Edge cases: k above the number of candidates keeps them all. Unless `keep_ties` is set, ties at the border go to
// lower ids and exactly k stay. Engine differences: llama.cpp keeps exactly k, unspecified which of a tie; Hugging
// Face, vLLM and FlashInfer keep every token that ties with the k-th. Unaffected by temperature. Source: Fan et al.
// 2018, arXiv 1805.04833.
#ifndef DECANT_SAMPLE_TOP_K_HPP
#define DECANT_SAMPLE_TOP_K_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps the `k` best candidates. Dense: a pass over block maxima and about k blocks; see `candidates::keep_best`.
struct top_k {
  std::int32_t k = 0;
  std::size_t min_keep = 1;
  bool keep_ties = false;

  [[nodiscard]] result<void> check() const {
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of top-k must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (k <= 0) return;
    const std::size_t count = std::max(index(k), min_keep);
    if (keep_ties) {
      set.keep_best_and_ties(count);
    } else {
      set.keep_best(count);
    }
  }

  friend constexpr bool operator==(const top_k&, const top_k&) = default;
};

static_assert(SamplerStep<top_k, float> && SamplerStep<top_k, double>);

}  // namespace decant::inline DECANT_ABI

#endif
