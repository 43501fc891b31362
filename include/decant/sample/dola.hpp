// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DoLa, decoding by contrasting layers. Rule: of the given earlier layers' laws the one farthest from the last layer's
// law q, by Jensen-Shannon divergence, is the premature one m; within the head { v : q(v) >= alpha * max q } the row is
// log q - log m, everything else is banned.
// Parameters: alpha in (0, 1], 0.1 in the paper, which also advises a repetition penalty of 1.2 after it.
// Edge cases: the first of equally far layers is taken. A token of the head that a layer bans counts as its least
// likely one.
// Needs the rows of the model's head applied to earlier layers: the second row (combined_rows.hpp) is those rows one
// after the other, in the order of the layers.
// Source: Chuang et al. 2023, arXiv 2309.03883.
#ifndef DECANT_SAMPLE_DOLA_HPP
#define DECANT_SAMPLE_DOLA_HPP

#include <decant/sample/contrastive_decoding.hpp>

namespace decant::inline DECANT_ABI {

/// Jensen-Shannon divergence in nats of the soft-max of two rows of one size. Three passes, sums in double.
template <class Real>
[[nodiscard]] double jensen_shannon(std::span<const Real> a, std::span<const Real> b) {
  DECANT_PRECONDITION(a.size() == b.size());
  const double a_sum = log_sum_exp(a);
  const double b_sum = log_sum_exp(b);
  const auto part = [](double p, double mean) { return p > 0 ? p * std::log(p / mean) : 0.0; };
  double twice = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double p = std::exp(static_cast<double>(a[i]) - a_sum);
    const double q = std::exp(static_cast<double>(b[i]) - b_sum);
    twice += part(p, (p + q) / 2) + part(q, (p + q) / 2);
  }
  return twice / 2;
}

/// Contrasts the last layer with the most different of the earlier ones. About four passes per layer.
struct dola {
  float alpha = 0.1f;

  [[nodiscard]] result<void> check() const { return detail::check_head(alpha); }

  /// Which of the earlier layers' rows, given one after the other, is contrasted with the last layer's.
  template <class Real>
  [[nodiscard]] std::size_t layer(std::span<const Real> last, std::span<const Real> earlier) const {
    std::size_t farthest = 0;
    double distance = -1;
    for (std::size_t j = 0; j < earlier.size() / last.size(); ++j) {
      const double found = jensen_shannon(last, earlier.subspan(j * last.size(), last.size()));
      if (found > distance) {
        distance = found;
        farthest = j;
      }
    }
    return farthest;
  }

  /// The combined row; false unless the second row holds one row and more, or the layer chosen bans every token.
  template <class Real>
  [[nodiscard]] bool operator()(std::span<const Real> last, std::span<const Real> earlier, std::span<Real> out) const {
    if (last.empty() || earlier.empty() || earlier.size() % last.size() != 0) return false;
    const std::size_t chosen = layer(last, earlier);
    return contrastive_decoding{alpha}(last, earlier.subspan(chosen * last.size(), last.size()), out);
  }

  friend constexpr bool operator==(const dola&, const dola&) = default;
};

static_assert(RowRule<dola, float> && RowRule<dola, double>);

}  // namespace decant::inline DECANT_ABI

#endif
