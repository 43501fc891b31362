// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/adaptive_p.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::adaptive_p;
using decant::error_code;
using decant::make_sampler;
using decant::token;
using decant_test::infinity;
using decant_test::largest_difference;
using decant_test::near;
using decant_test::probabilities;
using decant_test::refused;
using decant_test::sorted_row;

double observed(const adaptive_p& step, const adaptive_p::state_type& state, const std::vector<double>& row, token t) {
  decant::candidates<double> set;
  REQUIRE(set.load(std::span<const double>(row)) == error_code::none);
  return step.observe(set, state, t);
}

}  // namespace

TEMPLATE_TEST_CASE("adaptive-p rates candidates by how near their probability comes to its aim", "", float, double) {
  decant_test::for_rows<TestType>(411, 200, [](auto& random, const std::vector<TestType>& row) {
    const adaptive_p step{static_cast<float>(random.uniform()), static_cast<float>(random.uniform(0, 0.99))};
    const auto sampler = make_sampler(step);
    auto state = sampler.initial_state();
    const auto target = static_cast<double>(step.target);
    const auto decay = static_cast<double>(step.decay);
    double sum = target / (1 - decay);
    double weight = 1 / (1 - decay);
    for (std::size_t i = random.below(6); i > 0; --i) {
      const double p = random.uniform();
      sampler.learn(state, p);
      sampler.advance(state, 0);
      sum = p + decay * sum;
      weight = 1 + decay * weight;
    }
    sorted_row slow(row);
    const double aim = std::min(1.0, std::max(0.0, 2 * target - sum / weight));
    const std::vector<double> p = slow.law_by_rank();
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double r = std::abs(p[i] - aim) / 0.3;
      slow.logits[i] = 5 - 10 * r * r / (1 + r);
    }
    decant::candidates<TestType> scratch;
    decant::distribution<TestType> law;
    REQUIRE(sampler.law(std::span<const TestType>(row), state, scratch, law) == error_code::none);
    CHECK(largest_difference(decant_test::dense_probabilities(law.view()), slow.law()) < 1e-5);
  });
}

TEST_CASE("adaptive-p at a hand-computed law") {
  // The aim is 1/2: r = 0, 2/3 and 1 make logits of 5, 7/3 and 0.
  const auto law = probabilities(make_sampler(adaptive_p{0.5f, 0.9f}), decant_test::logits_of({0.5, 0.3, 0.2}));
  const double mass = 1 + std::exp(-8.0 / 3) + std::exp(-5.0);
  CHECK(largest_difference(law, {1 / mass, std::exp(-8.0 / 3) / mass, std::exp(-5.0) / mass}) < 1e-12);
  CHECK(probabilities(make_sampler(adaptive_p{0.5f}), std::vector<double>{-infinity, 1})[0] == 0);
}

TEST_CASE("adaptive-p learns the probability before its own change") {
  const adaptive_p step{0.5f, 0.75f};
  auto state = step.initial_state();
  CHECK(state == adaptive_p::state_type{2, 4});
  const auto row = decant_test::logits_of({0.5, 0.3, 0.2, 0});
  CHECK(near(observed(step, state, row, 2), 0.2, 1e-12));
  CHECK(observed(step, state, row, 3) == 0);
  step.learn(state, 0.2);
  CHECK(state == adaptive_p::state_type{1.7, 4});
  CHECK(near(step.aim_of(state), 0.575, 1e-12));
  for (int i = 0; i < 100; ++i) step.learn(state, 1.0);  // the mean has come to 1
  CHECK(near(step.aim_of(state), 0, 1e-9));
}

TEST_CASE("a copy of adaptive-p's state learns as the original") {
  const adaptive_p step{0.4f, 0.9f};
  const auto row = decant_test::logits_of({0.5, 0.3, 0.2});
  auto state = step.initial_state();
  step.learn(state, 0.9);
  auto copy = state;
  const double first = observed(step, state, row, 1);
  CHECK(observed(step, copy, row, 1) == first);
  step.learn(copy, first);
  step.learn(state, first);
  CHECK(state == copy);
  CHECK_FALSE(state == step.initial_state());
}

TEST_CASE("adaptive-p with a negative target is off") {
  CHECK_FALSE(adaptive_p{}.learns());
  CHECK(adaptive_p{0.0f}.learns());
  decant_test::check_neutral(412, adaptive_p{});
}

TEST_CASE("adaptive-p explains what is out of range") {
  CHECK(adaptive_p{}.check().has_value());
  CHECK(adaptive_p{0.5f, 0.99f}.check().has_value());
  for (const float target : {1.1f, std::nanf("")}) CHECK(refused(adaptive_p{target}));
  for (const float decay : {-0.1f, 1.0f, std::nanf("")}) CHECK(refused(adaptive_p{0.5f, decay}));
}
