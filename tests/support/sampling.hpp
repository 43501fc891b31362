// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the tests of samplers share: a law as plain probabilities, and slow, obviously right versions of the rules.
#ifndef DECANT_TESTS_SUPPORT_SAMPLING_HPP
#define DECANT_TESTS_SUPPORT_SAMPLING_HPP

#include <decant/sample/sampler.hpp>

#include "tests/support/test_kit.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace decant_test {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

/// The state after a history of tokens of which the first `prompt` ones are a prompt.
template <class Sampler>
[[nodiscard]] typename Sampler::state_type state_after(const Sampler& sampler, decant::token_span history,
                                                       std::size_t prompt = 0) {
  auto state = sampler.initial_state();
  for (const decant::token id : history.first(prompt)) sampler.advance(state, id);
  decant::begin_output(sampler, state);
  for (const decant::token id : history.subspan(prompt)) sampler.advance(state, id);
  return state;
}

/// The code a sampler gives for a row.
template <class Real, class Sampler>
[[nodiscard]] decant::error_code code_for(const Sampler& sampler, const std::vector<Real>& row) {
  typename Sampler::template scratch_type<Real> scratch;
  decant::distribution<Real> law;
  return sampler.law(std::span<const Real>(row), sampler.initial_state(), scratch, law);
}

/// Probabilities of a law by token id.
template <class Real>
[[nodiscard]] std::vector<double> dense_probabilities(decant::distribution_view<Real> law) {
  std::vector<double> out(law.vocab_size(), 0.0);
  for (std::size_t i = 0; i < law.size(); ++i) out[decant::index(law.id(i))] = law.probability(law.id(i));
  return out;
}

/// Probabilities by token id after a row and a history, `prompt` tokens of it a prompt; the row must be legal.
template <class Real, class Sampler>
[[nodiscard]] std::vector<double> probabilities(const Sampler& sampler, const std::vector<Real>& row,
                                                decant::token_span history = {}, std::size_t prompt = 0) {
  typename Sampler::template scratch_type<Real> scratch;
  decant::distribution<Real> law;
  REQUIRE(sampler.law(std::span<const Real>(row), state_after(sampler, history, prompt), scratch, law) ==
          decant::error_code::none);
  return dense_probabilities(law.view());
}

/// The tokens of positive probability.
[[nodiscard]] inline std::vector<decant::token> support(const std::vector<double>& law) {
  std::vector<decant::token> out;
  for (std::size_t i = 0; i < law.size(); ++i) {
    if (law[i] > 0) out.push_back(static_cast<decant::token>(i));
  }
  return out;
}

/// Largest difference of two laws of one size; infinite for different sizes or a NaN.
[[nodiscard]] inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return infinity;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference == difference ? difference : infinity;
  }
  return largest;
}

/// The slow version of a candidate set: every rule sorts everything, in double.
class slow_candidates {
 public:
  template <class Real>
  explicit slow_candidates(const std::vector<Real>& row) : vocab_size_(row.size()) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i] > -infinity) ranked_.push_back({static_cast<decant::token>(i), static_cast<double>(row[i])});
    }
    sort();
  }

  void divide_by(double temperature) {
    for (auto& c : ranked_) c.logit /= temperature;
  }
  void keep_first(std::size_t count) { ranked_.resize(std::min(count, ranked_.size())); }
  void top_p(double p, std::size_t min_keep) {
    const std::vector<double> law = ranked_law();
    double before = 0;
    std::size_t kept = 0;
    while (kept < law.size() && (kept == 0 || kept < min_keep || before < p)) before += law[kept++];
    keep_first(kept);
  }
  void min_p(double p, std::size_t min_keep) {
    const std::vector<double> law = ranked_law();
    std::size_t kept = 0;
    while (kept < law.size() && (kept < min_keep || law[kept] >= p * law[0])) ++kept;
    keep_first(kept);
  }

  [[nodiscard]] std::vector<double> law() const {
    std::vector<double> out(vocab_size_, 0.0);
    const std::vector<double> ranked = ranked_law();
    for (std::size_t i = 0; i < ranked_.size(); ++i) out[decant::index(ranked_[i].id)] = ranked[i];
    return out;
  }
  [[nodiscard]] std::vector<decant::token> ids() const {
    std::vector<decant::token> out;
    for (const auto& c : ranked_) out.push_back(c.id);
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  struct entry {
    decant::token id;
    double logit;
  };

  void sort() {
    std::stable_sort(ranked_.begin(), ranked_.end(), [](const entry& a, const entry& b) { return a.logit > b.logit; });
  }
  [[nodiscard]] std::vector<double> ranked_law() const {
    std::vector<double> law;
    double sum = 0;
    for (const auto& c : ranked_) sum += std::exp(c.logit - ranked_[0].logit);
    for (const auto& c : ranked_) law.push_back(std::exp(c.logit - ranked_[0].logit) / sum);
    return law;
  }

  std::size_t vocab_size_;
  std::vector<entry> ranked_;
};

}  // namespace decant_test

#endif
