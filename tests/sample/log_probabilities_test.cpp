// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows; those of laws are in sampler_test.cpp.
#include <decant/sample/log_probabilities.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

template <class Real>
double log_sum_exp(const std::vector<Real>& row) {
  return decant::log_sum_exp(std::span<const Real>(row));
}

}  // namespace

TEST_CASE("log-sum-exp neither overflows nor minds banned tokens") {
  CHECK(decant_test::near(log_sum_exp<double>({1000, 1000}), 1000 + std::log(2.0), 1e-9));
  CHECK(decant_test::near(log_sum_exp<float>({-1e30f, -1e30f}), -1e30, 1e24));
  CHECK(log_sum_exp<double>({-decant_test::infinity, 3}) == 3);
  CHECK(log_sum_exp<double>({-decant_test::infinity, -decant_test::infinity}) == -decant_test::infinity);
  CHECK(std::isnan(log_sum_exp<double>({1, std::nan(""), 2})));
}

TEMPLATE_TEST_CASE("the best of a row are the best of its soft-max", "", float, double) {
  decant_test::random_source random(83);
  for (int round = 0; round < 100; ++round) {
    auto row = random.logits<TestType>(random.between(1, 90));
    if (row.size() > 2) row[1] = row[0];  // a tie
    if (row.size() > 3) row[3] = -std::numeric_limits<TestType>::infinity();
    const auto law = decant_test::probabilities(decant::make_sampler(), row);
    std::vector<decant::token_log_probability> best(random.between(1, 8));
    const std::size_t count = decant::best_raw_log_probabilities(std::span<const TestType>(row), std::span(best));
    CHECK(count == std::min(best.size(), decant_test::support(law).size()));
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(decant_test::near(best[i].value, std::log(law[decant::index(best[i].id)]), 1e-5));
      CHECK(decant_test::near(best[i].value, decant::raw_log_probability(std::span<const TestType>(row), best[i].id),
                              1e-12));
      if (i > 0) CHECK((best[i].value < best[i - 1].value || best[i].id > best[i - 1].id));
      const auto better = [&](double p) { return std::log(p) > best[i].value + 1e-5; };
      CHECK(static_cast<std::size_t>(std::count_if(law.begin(), law.end(), better)) <= i);
    }
  }
  const std::vector<TestType> row{1, 2};
  CHECK(decant::best_raw_log_probabilities(std::span<const TestType>(row), {}) == 0);
}
