// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rules of a second row: guidance, both contrastive forms, layers, and the score of contrastive search.
#include <decant/sample/contrastive_decoding.hpp>
#include <decant/sample/contrastive_search.hpp>
#include <decant/sample/dola.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::contrastive_decoding;
using decant::contrastive_logits;
using decant::guidance;
using decant_test::largest_difference;
using decant_test::near;
using decant_test::probabilities;

template <class Real, class Rule>
std::vector<Real> combined(const Rule& rule, const std::vector<Real>& row, const std::vector<Real>& second) {
  std::vector<Real> out(row.size());
  REQUIRE(rule(std::span<const Real>(row), std::span<const Real>(second), std::span<Real>(out)));
  return out;
}

template <class Real>
std::vector<double> law_of(const std::vector<Real>& row) {
  return probabilities(decant::make_sampler(), row);
}

constexpr double inf = std::numeric_limits<double>::infinity();

}  // namespace

TEMPLATE_TEST_CASE("guidance follows the formula on log-probabilities", "", float, double) {
  decant_test::random_source random(551);
  for (int round = 0; round < 50; ++round) {
    const auto c = random.logits<TestType>(random.between(1, 60));
    const auto u = random.logits<TestType>(c.size());
    const auto scale = static_cast<float>(random.uniform(1, 4));
    const auto found = combined(guidance{scale}, c, u);
    const auto pc = law_of(c);
    const auto pu = law_of(u);
    for (std::size_t i = 0; i < c.size(); ++i) {
      const double expected = std::log(pu[i]) + static_cast<double>(scale) * (std::log(pc[i]) - std::log(pu[i]));
      CHECK(near(static_cast<double>(found[i]), expected, 1e-3));
    }
    CHECK(largest_difference(law_of(combined(guidance{1.0f}, c, u)), pc) < 1e-5);
    CHECK(largest_difference(law_of(combined(guidance{scale}, c, c)), pc) < 1e-5);
  }
}

TEST_CASE("guidance guards the infinities") {
  const auto found = combined(guidance{2.0f}, std::vector<double>{0, -inf, 1, 2}, {0, 1, -inf, -3});
  CHECK(found[1] == -inf);
  CHECK(std::isfinite(found[2]));
  CHECK(near(found[2] - found[3], -1 * 2.0 - (-3 - -3), 1e-12));  // as if its logit were -3, the least one
  std::vector<double> out(2);
  const std::vector<double> row{1, 2};
  const std::vector<double> banned{-inf, -inf};
  CHECK_FALSE(guidance{}(std::span<const double>(row), std::span<const double>(banned), std::span<double>(out)));
  CHECK(guidance{1.5f}.check().has_value());
  for (const float wrong : {0.5f, -1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(guidance{wrong}.check().code() == decant::error_code::invalid_argument);
  }
}

TEMPLATE_TEST_CASE("contrastive decoding scores the head and bans the rest", "", float, double) {
  decant_test::random_source random(552);
  for (int round = 0; round < 50; ++round) {
    const auto expert = random.logits<TestType>(random.between(2, 60));
    const auto amateur = random.logits<TestType>(expert.size());
    const contrastive_decoding by_law{0.2f, 0.5f};
    const contrastive_logits by_logit{0.2f, 0.5f};
    const auto law = combined(by_law, expert, amateur);
    const auto logit = combined(by_logit, expert, amateur);
    const auto pe = law_of(expert);
    const auto pa = probabilities(decant::make_sampler(), [&] {
      auto cooled = amateur;
      for (TestType& l : cooled) l /= TestType(0.5);
      return cooled;
    }());
    const double top = *std::max_element(pe.begin(), pe.end());
    std::vector<double> expected(pe.size());
    double mass = 0;
    for (std::size_t i = 0; i < pe.size(); ++i) {
      const bool in_head = pe[i] >= 0.2 * top;
      CHECK(in_head == (law[i] > -std::numeric_limits<TestType>::infinity()));
      CHECK(in_head == (logit[i] > -std::numeric_limits<TestType>::infinity()));
      if (!in_head) continue;
      mass += expected[i] = pe[i] / pa[i];
      CHECK(near(static_cast<double>(logit[i]),
                 1.5 * static_cast<double>(expert[i]) - 0.5 * static_cast<double>(amateur[i]), 1e-5));
    }
    for (double& p : expected) p /= mass;
    CHECK(largest_difference(law_of(law), expected) < 1e-4);
  }
}

TEST_CASE("what the amateur bans within the head counts as its least likely token") {
  const std::vector<double> expert{1, 1, -50};
  const auto found = combined(contrastive_decoding{}, expert, {0, -inf, -2});
  CHECK(found == std::vector<double>{1, 3, -inf});
  CHECK(combined(contrastive_logits{0.1f, 1.0f}, expert, {0, -inf, -2}) == std::vector<double>{2, 4, -inf});
  CHECK(combined(contrastive_logits{1.0f, 0.0f}, std::vector<double>{2, 2, 1}, {0, 0, 0}) ==
        std::vector<double>{2, 2, -inf});
  CHECK(contrastive_decoding{}.check().has_value());
  CHECK(contrastive_logits{}.check().has_value());
  CHECK(contrastive_decoding{0.0f}.check().code() == decant::error_code::invalid_argument);
  CHECK(contrastive_decoding{0.1f, 0.0f}.check().code() == decant::error_code::invalid_argument);
  CHECK(contrastive_logits{1.5f}.check().code() == decant::error_code::invalid_argument);
  CHECK(contrastive_logits{0.1f, -1.0f}.check().code() == decant::error_code::invalid_argument);
}

TEMPLATE_TEST_CASE("a NaN of the target's row is passed on to the sampler, which refuses it", "", float, double) {
  const std::vector<TestType> row{1, std::numeric_limits<TestType>::quiet_NaN(), 0};
  const std::vector<TestType> second{0, 0, 0};
  const auto refused = [&](const auto& rule) {
    return decant_test::code_for(decant::make_sampler(), combined(rule, row, second)) ==
           decant::error_code::row_not_finite;
  };
  CHECK(refused(guidance{1.5f}));
  CHECK(refused(contrastive_decoding{}));
  CHECK(refused(contrastive_logits{}));
}

TEST_CASE("DoLa contrasts with the layer that is farthest by Jensen-Shannon divergence") {
  const std::vector<double> last{2, 1, 0};
  const std::vector<double> layers{2, 1, 0.1, 0, 1, 2, 1.5, 1, 0};  // near, far, near
  const decant::dola rule{0.2f};
  CHECK(rule.layer(std::span<const double>(last), std::span<const double>(layers)) == 1);
  CHECK(combined(rule, last, layers) == combined(contrastive_decoding{0.2f}, last, {0, 1, 2}));
  // Equally far: the first.
  const std::vector<double> same{1, 1, 1, 1, 1, 1};
  CHECK(rule.layer(std::span<const double>(last), std::span<const double>(same)) == 0);
  std::vector<double> out(3);
  const std::vector<double> odd{1, 2, 3, 4};
  CHECK_FALSE(rule(std::span<const double>(last), std::span<const double>(odd), std::span<double>(out)));
  CHECK(rule.check().has_value());
  CHECK(decant::dola{0.0f}.check().code() == decant::error_code::invalid_argument);
}

TEST_CASE("Jensen-Shannon divergence: 0 for equal laws, ln 2 for disjoint ones, symmetric") {
  const std::vector<double> a{0, -inf, 3};
  const std::vector<double> b{-inf, 1, -inf};
  const auto divergence = [](const std::vector<double>& x, const std::vector<double>& y) {
    return decant::jensen_shannon(std::span<const double>(x), std::span<const double>(y));
  };
  CHECK(near(divergence(a, a), 0, 1e-15));
  CHECK(near(divergence(a, b), std::log(2.0), 1e-12));
  CHECK(near(divergence({1, 2, 3}, {3, 2, 1}), divergence({3, 2, 1}, {1, 2, 3}), 1e-15));
}

TEST_CASE("contrastive search is greedy without its penalty, and prefers what is new with it") {
  const std::vector<float> p{0.5f, 0.3f, 0.2f};
  const std::vector<float> s{0.9f, 0.1f, 0.8f};
  const auto chosen = [&](float alpha, const std::vector<float>& similar) {
    return decant::contrastive_search{alpha}.choose(std::span<const float>(p), std::span<const float>(similar));
  };
  CHECK(chosen(0.0f, s) == 0);
  CHECK(chosen(0.6f, s) == 1);
  CHECK(chosen(0.6f, {0.7f, 0.7f, 0.7f}) == 0);
  CHECK(chosen(1.0f, {0.7f, 0.7f, 0.7f}) == 0);
  CHECK(decant::contrastive_search{}.check().has_value());
  CHECK(decant::contrastive_search{1.1f}.check().code() == decant::error_code::invalid_argument);
}
