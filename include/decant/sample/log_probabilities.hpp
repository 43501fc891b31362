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

namespace detail {

/// Fills `out` with the entries of largest value above `least`, largest first, the first among equals; returns how many
/// there are.
template <class Entry>
[[nodiscard]] std::size_t collect_best(std::size_t size, std::span<token_log_probability> out, double least,
                                       const Entry& entry_at) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < size && !out.empty(); ++i) {
    const token_log_probability entry = entry_at(i);
    if (!(entry.value > least) || (count == out.size() && !(entry.value > out[count - 1].value))) continue;
    std::size_t place = count == out.size() ? count - 1 : count++;
    for (; place > 0 && entry.value > out[place - 1].value; --place) out[place] = out[place - 1];
    out[place] = entry;
  }
  return count;
}

}  // namespace detail

/// Fills `out` with the most probable tokens of a law, best first, ties by lower id; returns how many there are: fewer
/// than asked when fewer have weight. O(entries + entries that enter the list * out.size()).
template <class Real>
[[nodiscard]] std::size_t best_log_probabilities(distribution_view<Real> law, std::span<token_log_probability> out) {
  const std::size_t count = detail::collect_best(law.size(), out, 0.0, [&](std::size_t i) {
    return token_log_probability{law.id(i), as_double(law.weight(i))};
  });
  const double log_mass = std::log(as_double(law.mass()));
  for (token_log_probability& entry : out.first(count)) entry.value = std::log(entry.value) - log_mass;
  return count;
}

/// ln of the sum of exp over a row: a logit less this is its log-probability. -infinity for a row of banned tokens, NaN
/// for one that holds NaN. Two passes, sums in double.
template <class Real>
[[nodiscard]] double log_sum_exp(std::span<const Real> row) {
  double top = -std::numeric_limits<double>::infinity();
  for (const Real& logit : row) top = std::max(top, as_double(logit));
  if (!(top >= std::numeric_limits<double>::lowest())) return top;
  double sum = 0;
  for (const Real& logit : row) sum += std::exp(as_double(logit) - top);
  return top + std::log(sum);
}

/// ln of the soft-max of a logits row at `id`: the model's own opinion, before any sampler step. The row is free of NaN
/// and +infinity, and `id` lies in it. Two passes, sums in double.
template <class Real>
[[nodiscard]] double raw_log_probability(std::span<const Real> row, token id) {
  DECANT_PRECONDITION(id >= 0 && index(id) < row.size());
  return as_double(row[index(id)]) - log_sum_exp(row);
}

/// As `best_log_probabilities`, of the soft-max of a logits row.
template <class Real>
[[nodiscard]] std::size_t best_raw_log_probabilities(std::span<const Real> row, std::span<token_log_probability> out) {
  const std::size_t count =
      detail::collect_best(row.size(), out, -std::numeric_limits<double>::infinity(), [&](auto i) {
        return token_log_probability{static_cast<token>(i), as_double(row[i])};
      });
  const double normaliser = log_sum_exp(row);
  for (token_log_probability& entry : out.first(count)) entry.value -= normaliser;
  return count;
}

}  // namespace decant::inline DECANT_ABI

#endif
