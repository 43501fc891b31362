// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Quadratic smoothing. Rule: with d the (negative) distance of a logit from the largest one, the logit becomes
// max - k * factor * d^2 + s * factor * d^3, k = (3 - curve) / 2, s = (curve - 1) / 2: near the top the law flattens,
// far from it, it falls off steeply.
// Parameters: factor >= 0, 0 is off; curve in [1, 3], 1 is purely quadratic, 3 purely cubic.
// Edge cases: banned tokens stay banned; a logit that overflows becomes banned.
// Engine differences: koboldcpp, Aphrodite and the web interfaces let it replace or precede temperature, and allow a
// curve above 3, where a candidate just below the best overtakes it; that is refused here.
// Source: kalomaze's smoothing factor and curve, as in koboldcpp and Aphrodite; no paper.
#ifndef DECANT_SAMPLE_QUADRATIC_SMOOTHING_HPP
#define DECANT_SAMPLE_QUADRATIC_SMOOTHING_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Bends the logits without changing their order. O(candidates), no exponentials.
struct quadratic_smoothing {
  float factor = 0.0f;
  float curve = 1.0f;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!(factor >= 0.0f && std::isfinite(factor))) {
      return error{error_code::invalid_argument, "the smoothing factor must be finite and not negative"};
    }
    if (curve >= 1.0f && curve <= 3.0f) return {};
    return error{error_code::invalid_argument, "the smoothing curve must lie in [1, 3]"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(factor > 0.0f)) return;
    const auto f = static_cast<Real>(factor);
    const Real k = (Real(3) - static_cast<Real>(curve)) / 2;
    const Real s = (static_cast<Real>(curve) - Real(1)) / 2;
    const Real top = set.best().logit;
    set.map_increasing([=](Real logit) {
      if (!(logit >= std::numeric_limits<Real>::lowest())) return logit;  // -infinity would become NaN
      const Real d = logit - top;
      return top + f * (d * d) * (s * d - k);
    });
  }

  friend constexpr bool operator==(const quadratic_smoothing&, const quadratic_smoothing&) = default;
};

static_assert(SamplerStep<quadratic_smoothing, float> && SamplerStep<quadratic_smoothing, double>);

}  // namespace decant::inline DECANT_ABI

#endif
