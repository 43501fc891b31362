// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Classifier-free guidance. Rule over the rows of a conditional and an unconditional prompt, as log-probabilities c and
// u: u + scale * (c - u).
// Parameters: scale >= 1, 1 is off; usually 1.5.
// Edge cases: what the condition bans stays banned. What only the unconditional row bans counts as its least likely
// token, since -infinity would make the combined logit infinite.
// Needs a second stream of the same model, with a KV cache of its own (combined_rows.hpp).
// Engine differences: Hugging Face has it as the first step of its order (guidance_scale), and runs the second stream
// itself; it does not guard the infinities.
// Source: Sanchez et al. 2023, arXiv 2306.17806; transformers (UnbatchedClassifierFreeGuidanceLogitsProcessor).
#ifndef DECANT_SAMPLE_GUIDANCE_HPP
#define DECANT_SAMPLE_GUIDANCE_HPP

#include <decant/sample/combined_rows.hpp>
#include <decant/sample/log_probabilities.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// The least logit of a row that is not banned; +infinity if all are.
template <class Real>
[[nodiscard]] double least_allowed(std::span<const Real> row) {
  double least = std::numeric_limits<double>::infinity();
  for (const Real logit : row) {
    if (!(logit < std::numeric_limits<Real>::lowest())) least = std::min(least, static_cast<double>(logit));
  }
  return least;
}

}  // namespace detail

/// Guides a conditional row away from an unconditional one. Three passes.
struct guidance {
  float scale = 1.0f;

  [[nodiscard]] result<void> check() const {
    if (scale >= 1.0f && std::isfinite(scale)) return {};
    return error{error_code::invalid_argument, "the scale of guidance must be finite and at least 1"};
  }

  /// The combined row; false when the rows differ in size or the unconditional one bans every token.
  template <class Real>
  [[nodiscard]] bool operator()(std::span<const Real> conditional, std::span<const Real> unconditional,
                                std::span<Real> out) const {
    if (conditional.size() != unconditional.size() || conditional.size() != out.size()) return false;
    const double least = detail::least_allowed(unconditional);
    if (!(least <= std::numeric_limits<double>::max())) return false;
    const double c_sum = log_sum_exp(conditional);
    const double u_sum = log_sum_exp(unconditional);
    const auto g = static_cast<double>(scale);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double c = static_cast<double>(conditional[i]);
      const double u = std::max(static_cast<double>(unconditional[i]), least) - u_sum;
      out[i] =
          c < std::numeric_limits<double>::lowest() ? conditional[i] : static_cast<Real>(u + g * ((c - c_sum) - u));
    }
    return true;
  }

  friend constexpr bool operator==(const guidance&, const guidance&) = default;
};

static_assert(RowRule<guidance, float> && RowRule<guidance, double>);

}  // namespace decant::inline DECANT_ABI

#endif
