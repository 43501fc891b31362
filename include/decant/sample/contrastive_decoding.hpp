// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contrastive decoding: an expert's row against an amateur's, both over one vocabulary. The head are the tokens whose
// probability under the expert is at least alpha times the largest; all others are banned. Within the head:
//   contrastive_decoding: log p_expert - log p_amateur, the amateur at its own temperature;
//   contrastive_logits:   (1 + beta) * expert - beta * amateur, on logits.
// Parameters: alpha in (0, 1], 0.1 in the papers; amateur_temperature > 0, 1 or (for GPT-2) 0.5; beta >= 0, 0.5.
// Edge cases: the head is taken first. A token of the head that the amateur bans counts as its least likely one.
// The amateur can be the drafter: then its rows are there already. Needs the amateur's rows (combined_rows.hpp).
// Sources: Li et al. 2022, arXiv 2210.15097; O'Brien and Lewis 2023, arXiv 2309.09117.
#ifndef DECANT_SAMPLE_CONTRASTIVE_DECODING_HPP
#define DECANT_SAMPLE_CONTRASTIVE_DECODING_HPP

#include <decant/sample/guidance.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

[[nodiscard]] inline result<void> check_head(float alpha) {
  if (alpha > 0.0f && alpha <= 1.0f) return {};
  return error{error_code::invalid_argument, "alpha, the share of a contrastive head, must lie in (0, 1]"};
}

/// Writes `score(expert, amateur)` of the logits for the tokens of the expert's head and -infinity for all others. NaN
/// is passed on. False when the rows differ in size or the amateur bans every token.
template <class Real, class Score>
[[nodiscard]] bool contrast(std::span<const Real> row, std::span<const Real> amateur, float alpha, std::span<Real> out,
                            const Score& score) {
  if (row.size() != amateur.size() || row.size() != out.size()) return false;
  const double least = least_allowed(amateur);
  if (!(least <= std::numeric_limits<double>::max())) return false;
  double top = -std::numeric_limits<double>::infinity();
  for (const Real logit : row) top = std::max(top, static_cast<double>(logit));
  const double bar = std::min(top, top + std::log(static_cast<double>(alpha)));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto logit = static_cast<double>(row[i]);
    const bool outside = logit < bar || logit < std::numeric_limits<double>::lowest();
    out[i] = outside ? -std::numeric_limits<Real>::infinity()
                     : static_cast<Real>(score(logit, std::max(static_cast<double>(amateur[i]), least)));
  }
  return true;
}

}  // namespace detail

/// The form of log-probabilities. Three passes.
struct contrastive_decoding {
  float alpha = 0.1f;
  float amateur_temperature = 1.0f;

  [[nodiscard]] result<void> check() const {
    if (auto valid = detail::check_head(alpha); !valid) return valid;
    if (amateur_temperature > 0.0f && std::isfinite(amateur_temperature)) return {};
    return error{error_code::invalid_argument, "the amateur's temperature must be positive and finite"};
  }

  /// The combined row; false when the rows differ in size or the amateur bans every token. The normalisers of both
  /// log-probabilities are left out: constants that no law sees.
  template <class Real>
  [[nodiscard]] bool operator()(std::span<const Real> expert, std::span<const Real> amateur,
                                std::span<Real> out) const {
    const auto heat = static_cast<double>(amateur_temperature);
    return detail::contrast(expert, amateur, alpha, out, [heat](double e, double a) { return e - a / heat; });
  }

  friend constexpr bool operator==(const contrastive_decoding&, const contrastive_decoding&) = default;
};

/// The form of logits. Three passes.
struct contrastive_logits {
  float alpha = 0.1f;
  float beta = 0.5f;

  [[nodiscard]] result<void> check() const {
    if (auto valid = detail::check_head(alpha); !valid) return valid;
    if (beta >= 0.0f && std::isfinite(beta)) return {};
    return error{error_code::invalid_argument, "beta of contrastive decoding must be finite and not negative"};
  }

  /// The combined row; false when the rows differ in size or the amateur bans every token.
  template <class Real>
  [[nodiscard]] bool operator()(std::span<const Real> expert, std::span<const Real> amateur,
                                std::span<Real> out) const {
    const auto b = static_cast<double>(beta);
    return detail::contrast(expert, amateur, alpha, out, [b](double e, double a) { return (1 + b) * e - b * a; });
  }

  friend constexpr bool operator==(const contrastive_logits&, const contrastive_logits&) = default;
};

static_assert(RowRule<contrastive_decoding, float> && RowRule<contrastive_decoding, double>);
static_assert(RowRule<contrastive_logits, float> && RowRule<contrastive_logits, double>);

}  // namespace decant::inline DECANT_ABI

#endif
