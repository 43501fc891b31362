// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Log-probabilities for users: of an emitted token under the processed law it was drawn from, of the best alternatives,
// and under the raw row before any sampler step (what vLLM reports by default).
#ifndef DECANT_SAMPLE_LOG_PROBABILITIES_HPP
#define DECANT_SAMPLE_LOG_PROBABILITIES_HPP

#include <decant/core/distribution.hpp>

namespace decant::inline DECANT_ABI {

/// A token and the natural logarithm of its probability.
struct token_log_probability {
  token id = no_token;
  double value = 0;

  friend constexpr bool operator==(const token_log_probability&, const token_log_probability&) = default;
};

/// ln P(id) under a law, -infinity for a token without weight. O(1) dense, O(log size) sparse.
template <class Real>
[[nodiscard]] double log_probability(distribution_view<Real> law, token id) {
  const double weight = as_double(law.weight_of(id));
  return weight > 0 ? std::log(weight) - std::log(as_double(law.mass())) : -std::numeric_limits<double>::infinity();
}

/// Fills `out` with the most probable tokens of a law, best first, ties by lower id; returns how many there are: fewer
/// than asked when fewer have weight. O(entries + entries that enter the list * out.size()).
template <class Real>
[[nodiscard]] std::size_t best_log_probabilities(distribution_view<Real> law, std::span<token_log_probability> out) {
  const double log_mass = std::log(as_double(law.mass()));
  std::size_t count = 0;
  for (std::size_t i = 0; i < law.size() && !out.empty(); ++i) {
    const double weight = as_double(law.weight(i));
    if (!(weight > 0) || (count == out.size() && !(weight > out[count - 1].value))) continue;
    std::size_t place = count == out.size() ? count - 1 : count++;
    for (; place > 0 && weight > out[place - 1].value; --place) out[place] = out[place - 1];
    out[place] = {law.id(i), weight};
  }
  for (token_log_probability& entry : out.first(count)) entry.value = std::log(entry.value) - log_mass;
  return count;
}

/// ln of the soft-max of a logits row at `id`: the model's own opinion, before any sampler step. The row is free of NaN
/// and +infinity, and `id` lies in it. Two passes, sums in double.
template <class Real>
[[nodiscard]] double raw_log_probability(std::span<const Real> row, token id) {
  DECANT_PRECONDITION(id >= 0 && index(id) < row.size());
  const auto top = static_cast<double>(*std::max_element(row.begin(), row.end()));
  double sum = 0;
  for (const Real logit : row) sum += std::exp(static_cast<double>(logit) - top);
  return static_cast<double>(row[index(id)]) - top - std::log(sum);
}

}  // namespace decant::inline DECANT_ABI

#endif
