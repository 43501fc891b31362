// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/mirostat_v1.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::error_code;
using decant::largest_surprise;
using decant::mirostat_v1;
using decant::token;
using decant_test::infinity;
using decant_test::near;
using decant_test::refused;
using decant_test::sorted_row;

/// The paper's k, by its formula as it is printed.
double paper_k(const sorted_row& slow, double mu, std::size_t m) {
  const std::vector<double> p = slow.law_by_rank();
  double products = 0;
  double squares = 0;
  for (std::size_t i = 0; i + 1 < std::min(m, p.size()); ++i) {
    const auto rank = static_cast<double>(i);
    const double t = std::log((rank + 2) / (rank + 1));
    products += t * std::log(p[i] / p[i + 1]);
    squares += t * t;
  }
  const double s = products / squares;
  const double e = s - 1;
  return std::pow(e * std::pow(2, mu) / (1 - std::pow(static_cast<double>(slow.vocab_size), -e)), 1 / s);
}

void keep_k(sorted_row& slow, double mu, std::size_t m, std::size_t min_keep) {
  if (slow.size() < 2) return;
  const double k = std::floor(paper_k(slow, mu, m));
  slow.keep_first(k < 1e6 ? std::max(static_cast<std::size_t>(std::max(k, 1.0)), min_keep) : slow.size());
}

template <class Real>
double observed(const mirostat_v1& step, largest_surprise mu, const std::vector<Real>& row, token t) {
  decant::candidates<Real> set;
  REQUIRE(set.load(std::span<const Real>(row)) == error_code::none);
  return step.observe(set, mu, t);
}

template <class Real>
std::size_t kept(const std::vector<Real>& row, double mu) {
  decant::candidates<Real> set;
  REQUIRE(set.load(std::span<const Real>(row)) == error_code::none);
  mirostat_v1{}.apply(set, {mu});
  return set.size();
}

/// A Zipf law of this exponent, as logits.
std::vector<double> zipf(double s, std::size_t size) {
  std::vector<double> row;
  for (std::size_t i = 0; i < size; ++i) row.push_back(-s * std::log(static_cast<double>(i + 1)));
  return row;
}

}  // namespace

TEMPLATE_TEST_CASE("mirostat v1 keeps the k best of the paper's formula", "", float, double) {
  decant_test::for_rows<TestType>(401, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto tau = static_cast<float>(random.uniform(0.3, 4));
    const std::size_t m = random.coin() ? 100 : random.between(2, 50);
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    keep_k(slow, 2 * static_cast<double>(tau), m, min_keep);
    decant_test::check_step(mirostat_v1{tau, 0.1f, m, min_keep}, row, slow);
  });
}

TEST_CASE("mirostat v1 recovers the exponent of a Zipf law") {
  // s = 2, e = 1: k^2 = 2^mu / (1 - 1/V), so that 3 bits keep floor(2.84) and 7 bits floor(11.37).
  CHECK(kept(zipf(2, 100), 3) == 2);
  CHECK(kept(zipf(2, 100), 7) == 11);
}

TEST_CASE("mirostat v1 has a law where its formula divides by zero") {
  // e = 0 exactly: k = 2^mu / ln V; 2^5 / ln 64 = 7.69.
  const double step = std::log(2.0);
  CHECK(kept(std::vector<double>{step, 0}, 1) == 2);    // 2 / ln 2 = 2.89
  CHECK(kept(std::vector<double>{step, 0}, 0.3) == 1);  // 1.23 / ln 2 = 1.78
  CHECK(kept(zipf(1, 64), 5) == 7);
  // s = 0, all equal: everything or one, as 2^mu compares with V - 1.
  CHECK(kept(std::vector<float>(10, 2.0f), 3) == 1);
  CHECK(kept(std::vector<float>(10, 2.0f), 4) == 10);
  CHECK(kept(std::vector<float>(2, 2.0f), 0) == 1);
  // One candidate; and a second one whose probability vanishes.
  CHECK(kept(std::vector<double>{4}, 3) == 1);
  CHECK(kept(std::vector<double>{-infinity, 4, -infinity}, 3) == 1);
  CHECK(kept(std::vector<float>{0, -2e38f, -3e38f}, 10) == 1);
  // Both ends of mu.
  CHECK(kept(zipf(1.5, 50), largest_surprise::most) == 50);
  CHECK(kept(zipf(1.5, 50), -largest_surprise::most) == 1);
}

TEMPLATE_TEST_CASE("mu of mirostat v1 follows the emitted tokens", "", float, double) {
  decant_test::random_source random(402);
  const mirostat_v1 step{2.5f, 0.2f};
  largest_surprise mu = step.initial_state();
  double expected = 5;
  for (int i = 0; i < 200; ++i) {
    const auto row = random.logits<TestType>(50, random.uniform(0.5, 4));
    sorted_row slow(row);
    keep_k(slow, expected, 100, 1);
    const std::size_t rank = random.below(slow.size());
    expected -= static_cast<double>(0.2f) * (-std::log2(slow.law_by_rank()[rank]) - 2.5);
    step.learn(mu, observed(step, mu, row, slow.ids[rank]));
    REQUIRE(near(mu.bits, expected, 1e-5));
  }
}

TEST_CASE("a copy of mirostat v1 and its state goes on as the original") {
  const mirostat_v1 step{2.0f, 0.3f};
  const mirostat_v1 copied_step = step;
  largest_surprise mu = step.initial_state();
  for (const double p : {0.01, 0.5, 0.002}) step.learn(mu, p);
  CHECK_FALSE(mu == step.initial_state());
  largest_surprise copy = mu;
  for (const double p : {0.3, 0.004}) {
    CHECK(observed(step, mu, zipf(1.3, 30), 2) == observed(copied_step, copy, zipf(1.3, 30), 2));
    step.learn(mu, p);
    copied_step.learn(copy, p);
  }
  CHECK(mu == copy);
}

TEST_CASE("mirostat v1 is off at a tau that nothing surprises by, and learns nothing at eta 0") {
  decant_test::check_neutral(403, mirostat_v1{1e5f});
  CHECK_FALSE(mirostat_v1{5.0f, 0.0f}.learns());
  CHECK(mirostat_v1{}.learns());
}

TEST_CASE("mirostat v1 explains what is out of range") {
  CHECK(mirostat_v1{}.check().has_value());
  for (const float wrong : {-0.1f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    CHECK(refused(mirostat_v1{wrong}));
    CHECK(refused(mirostat_v1{5.0f, wrong}));
  }
  CHECK(refused(mirostat_v1{5.0f, 0.1f, 1}));
  CHECK(refused(mirostat_v1{5.0f, 0.1f, 100, 0}));
}
