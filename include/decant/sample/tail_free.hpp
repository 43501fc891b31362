// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tail-free sampling. Rule: with probabilities p in canonical order, first differences p(i) - p(i+1) and the absolute
// differences of those, normalised to sum 1: the candidates before the first at which their running sum exceeds z stay.
// Parameters: z in [0, 1]; z >= 1 is off. min_keep >= 1: never fewer than this many.
// Edge cases: fewer than three candidates, or second differences that are all zero (equal probabilities): all stay. A
// running sum that never exceeds z keeps all. A rule that would keep none keeps the best.
// Engine differences: none has it any more; llama.cpp had it until 2024, with a uniform second difference where this
// step keeps all.
// Source: Trenton Bricken 2019, Tail Free Sampling (no paper); llama.cpp before its removal.
#ifndef DECANT_SAMPLE_TAIL_FREE_HPP
#define DECANT_SAMPLE_TAIL_FREE_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Cuts where the curvature of the ranked probabilities is spent. Sorts: O(n log n) for n candidates, so a truncation
/// before it pays.
struct tail_free {
  float z = 1.0f;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!(z >= 0.0f && z <= 1.0f)) {
      return error{error_code::invalid_argument, "z of tail-free sampling must lie in [0, 1]"};
    }
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of tail-free sampling must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(z < 1.0f)) return;
    const std::size_t kept = prefix<Real>(set.ranked());
    if (kept == 0) set.note_rescue();
    set.keep_best(std::max(kept, min_keep));
  }

  friend constexpr bool operator==(const tail_free&, const tail_free&) = default;

 private:
  /// The number of candidates before the cut. Probabilities relative to the best one: a common factor cancels.
  template <class Real>
  [[nodiscard]] std::size_t prefix(std::span<const candidate<Real>> ranked) const {
    if (ranked.size() < 3) return ranked.size();
    double total = 0;
    for_each_curvature(ranked, [&total](double curvature) {
      total += curvature;
      return true;
    });
    double sum = 0;
    std::size_t kept = 0;
    const double allowed = static_cast<double>(z) * total;
    const bool is_cut = !for_each_curvature(ranked, [&](double curvature) {
      sum += curvature;
      kept += !(sum > allowed);
      return !(sum > allowed);
    });
    return is_cut ? kept : ranked.size();
  }

  /// Calls `visit(second difference)` in order while it returns true; whether it always did.
  template <class Real, class Visit>
  static bool for_each_curvature(std::span<const candidate<Real>> ranked, Visit&& visit) {
    const auto weight = [&](std::size_t i) {
      return std::exp(static_cast<double>(ranked[i].logit) - static_cast<double>(ranked[0].logit));
    };
    double middle = weight(1);
    double before = weight(0) - middle;
    for (std::size_t i = 2; i < ranked.size(); ++i) {
      const double last = weight(i);
      const double after = middle - last;
      if (!visit(std::abs(before - after))) return false;
      middle = last;
      before = after;
    }
    return true;
  }
};

static_assert(SamplerStep<tail_free, float> && SamplerStep<tail_free, double>);

}  // namespace decant::inline DECANT_ABI

#endif
