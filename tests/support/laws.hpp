// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Laws for tests in both forms, and a test of frequencies.
#ifndef DECANT_TESTS_SUPPORT_LAWS_HPP
#define DECANT_TESTS_SUPPORT_LAWS_HPP

#include <decant/core/distribution.hpp>

#include "tests/support/test_kit.hpp"

#include <algorithm>
#include <vector>

namespace decant_test {

template <class Real>
[[nodiscard]] decant::distribution<Real> dense_law(const std::vector<Real>& weights) {
  decant::distribution<Real> law;
  std::copy(weights.begin(), weights.end(), law.begin_dense(weights.size()).begin());
  REQUIRE(law.finish() == decant::error_code::none);
  return law;
}

/// The same law with the tokens of weight 0 left out.
template <class Real>
[[nodiscard]] decant::distribution<Real> sparse_law(const std::vector<Real>& weights) {
  decant::distribution<Real> law;
  law.begin_sparse(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > Real(0)) law.push(static_cast<decant::token>(i), weights[i]);
  }
  REQUIRE(law.finish() == decant::error_code::none);
  return law;
}

template <class Real>
[[nodiscard]] decant::distribution<Real> law_in_form(const std::vector<Real>& weights, bool sparse) {
  return sparse ? sparse_law(weights) : dense_law(weights);
}

/// Whether counts agree with their expectations: Pearson's statistic against its 1 - 1e-5 quantile (Wilson-Hilferty).
/// A wrong law of a few percent fails clearly at the sample sizes used; with fixed seeds there is no chance left.
[[nodiscard]] inline bool frequencies_agree(const std::vector<double>& counts, const std::vector<double>& expected) {
  double statistic = 0;
  double degrees = -1;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] == 0) {
      if (counts[i] != 0) return false;
      continue;
    }
    statistic += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
    degrees += 1;
  }
  if (degrees < 1) return true;
  const double spread = 2 / (9 * degrees);
  const double quantile = degrees * std::pow(1 - spread + 4.265 * std::sqrt(spread), 3);
  INFO("chi-square " << statistic << " with " << degrees << " degrees of freedom, limit " << quantile);
  return statistic < quantile;
}

}  // namespace decant_test

#endif
