// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of single steps share: a row sorted in full and in double, on which a rule is written down as the
// papers state it; rows of every kind; and the comparison of a step with its slow version.
#ifndef DECANT_TESTS_SAMPLE_STEP_ORACLE_HPP
#define DECANT_TESTS_SAMPLE_STEP_ORACLE_HPP

#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>

namespace decant_test {

/// The candidates of a row by rank, banned ones left out.
struct sorted_row {
  std::size_t vocab_size;
  std::vector<decant::token> ids{};
  std::vector<double> logits{};

  template <class Real>
  explicit sorted_row(const std::vector<Real>& row) : vocab_size(row.size()) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i] > -infinity) ids.push_back(static_cast<decant::token>(i));
    }
    std::stable_sort(ids.begin(), ids.end(),
                     [&](decant::token a, decant::token b) { return row[decant::index(a)] > row[decant::index(b)]; });
    for (const decant::token id : ids) logits.push_back(static_cast<double>(row[decant::index(id)]));
  }

  [[nodiscard]] std::size_t size() const { return ids.size(); }

  /// Probabilities by rank.
  [[nodiscard]] std::vector<double> law_by_rank() const {
    std::vector<double> law;
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - logits[0]);
    for (const double logit : logits) law.push_back(std::exp(logit - logits[0]) / sum);
    return law;
  }
  /// Probabilities by token id. The order need not be that of the logits any more.
  [[nodiscard]] std::vector<double> law() const {
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - top);
    std::vector<double> out(vocab_size, 0.0);
    for (std::size_t i = 0; i < size(); ++i) out[decant::index(ids[i])] = std::exp(logits[i] - top) / sum;
    return out;
  }
  /// In nats.
  [[nodiscard]] double entropy() const {
    double sum = 0;
    for (const double p : law_by_rank()) sum -= p > 0 ? p * std::log(p) : 0;
    return sum;
  }

  void keep_first(std::size_t count) { remove(std::min(count, size()), size()); }
  /// Drops the ranks from `first` to before `last`.
  void remove(std::size_t first, std::size_t last) {
    const auto at = [](auto& list, std::size_t i) { return list.begin() + static_cast<std::ptrdiff_t>(i); };
    ids.erase(at(ids, first), at(ids, last));
    logits.erase(at(logits, first), at(logits, last));
  }
  /// Keeps ranks while `keep(rank, probability)` holds, at least `min_keep`.
  template <class Keep>
  void keep_while(std::size_t min_keep, Keep&& keep) {
    const std::vector<double> law = law_by_rank();
    std::size_t kept = 0;
    while (kept < size() && (kept < min_keep || keep(kept, law[kept]))) ++kept;
    keep_first(kept);
  }
};

/// Calls `check(random, row)` for rows of every kind: one candidate, ties, banned tokens, equal logits, sizes around
/// the edges of blocks, sharp and flat.
template <class Real, class Check>
void for_rows(std::uint64_t seed, int rounds, Check&& check) {
  constexpr std::size_t sizes[] = {1, 2, 3, 5, 17, 63, 64, 65, 130, 400};
  random_source random(seed);
  for (int round = 0; round < rounds; ++round) {
    const std::size_t size = sizes[random.below(std::size(sizes))];
    const double spread = random.uniform(0.2, 5);
    std::vector<Real> row = random.logits<Real>(size, spread);
    const std::size_t kind = random.below(5);
    for (Real& logit : row) {
      if (kind == 1) logit = std::round(logit);
      if (kind == 2 && random.coin(0.4)) logit = -std::numeric_limits<Real>::infinity();
      if (kind == 3 && round % 3 == 0) logit = Real(1.5);
    }
    const std::size_t allowed = random.below(size);
    if (kind == 2) row[allowed] = static_cast<Real>(spread);
    CAPTURE(round, size, spread, kind);
    check(random, row);
  }
}

/// The step, on a dense and on a sparse set, against its slow version.
template <class Real, class Step>
void check_step(const Step& step, const std::vector<Real>& row, const sorted_row& expected) {
  constexpr double tolerance = std::is_same_v<Real, float> ? 5e-6 : 1e-12;
  const std::vector<double> law = expected.law();
  const auto everything = std::numeric_limits<std::int32_t>::max();
  for (const auto& found : {probabilities(decant::make_sampler(step), row),
                            probabilities(decant::make_sampler(decant::top_k{everything}, step), row)}) {
    CHECK(support(found) == support(law));
    CHECK(largest_difference(found, law) < tolerance);
  }
}

/// Logits of these probabilities.
template <class Real = double>
[[nodiscard]] std::vector<Real> logits_of(const std::vector<double>& law) {
  std::vector<Real> row;
  for (const double p : law) row.push_back(static_cast<Real>(std::log(p)));
  return row;
}

/// The tokens that a step keeps of these probabilities.
template <class Step>
[[nodiscard]] std::vector<decant::token> kept_of(const Step& step, const std::vector<double>& law) {
  return support(probabilities(decant::make_sampler(step), logits_of(law)));
}

/// Whether a step has to save a candidate of these probabilities from its own rule.
template <class Step>
[[nodiscard]] bool rescues(const Step& step, const std::vector<double>& law) {
  const std::vector<double> row = logits_of(law);
  decant::candidates<double> set;
  REQUIRE(set.load(std::span<const double>(row)) == decant::error_code::none);
  if constexpr (decant::StatefulStep<Step>) {
    step.apply(set, step.initial_state());
  } else {
    step.apply(set);
  }
  return set.rescued();
}

/// Whether the parameters of a step are refused.
template <class Step>
[[nodiscard]] bool refused(const Step& step) {
  return step.check().code() == decant::error_code::invalid_argument;
}

/// A step at a neutral setting leaves every law as it is.
template <class Step>
void check_neutral(std::uint64_t seed, const Step& step) {
  for_rows<double>(seed, 60, [&](random_source&, const std::vector<double>& row) {
    CHECK(largest_difference(probabilities(decant::make_sampler(step), row),
                             probabilities(decant::make_sampler(), row)) < 1e-14);
  });
}

}  // namespace decant_test

#endif
