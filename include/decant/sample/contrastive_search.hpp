// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contrastive search, its scoring rule. Of the k likeliest tokens the one of the largest
// (1 - alpha) * p - alpha * s is emitted, s the largest cosine similarity of its hidden state to those of all tokens of
// the text. The hidden states, and the pass of k branches that makes them, are the host's.
// Parameters: alpha in [0, 1], 0.6 in the paper with k = 4 to 8.
// Edge cases: alpha = 0, and equal similarities, are greedy. Ties go to the first candidate, so list them in canonical
// order.
// Deterministic, and no law of a row: it takes part in no verification.
// Source: Su et al. 2022, arXiv 2202.06417.
#ifndef DECANT_SAMPLE_CONTRASTIVE_SEARCH_HPP
#define DECANT_SAMPLE_CONTRASTIVE_SEARCH_HPP

#include <decant/core/error.hpp>

#include <span>

namespace decant::inline DECANT_ABI {

/// Chooses among likely tokens one that does not degenerate.
struct contrastive_search {
  float alpha = 0.6f;

  [[nodiscard]] result<void> check() const {
    if (alpha >= 0.0f && alpha <= 1.0f) return {};
    return error{error_code::invalid_argument, "alpha of contrastive search must lie in [0, 1]"};
  }

  /// The place of the chosen candidate. Precondition: as many similarities as probabilities, at least one.
  template <class Real>
  [[nodiscard]] std::size_t choose(std::span<const Real> probabilities, std::span<const Real> similarities) const {
    DECANT_PRECONDITION(!probabilities.empty() && probabilities.size() == similarities.size());
    const auto a = static_cast<Real>(alpha);
    const auto score = [&](std::size_t i) { return (1 - a) * probabilities[i] - a * similarities[i]; };
    std::size_t best = 0;
    for (std::size_t i = 1; i < probabilities.size(); ++i) {
      if (score(i) > score(best)) best = i;
    }
    return best;
  }

  friend constexpr bool operator==(const contrastive_search&, const contrastive_search&) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
