// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/mirostat_v2.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::error_code;
using decant::largest_surprise;
using decant::mirostat_v2;
using decant::token;
using decant_test::kept_of;
using decant_test::near;
using decant_test::refused;
using decant_test::sorted_row;
using ids = std::vector<token>;

const std::vector<double> powers_of_two{0.5, 0.25, 0.125, 0.125};  // surprises of 1, 2, 3 and 3 bits

/// What the step sees of a token drawn after a row, in a given state.
template <class Real>
double observed(const mirostat_v2& step, largest_surprise mu, const std::vector<Real>& row, token t) {
  decant::candidates<Real> set;
  REQUIRE(set.load(std::span<const Real>(row)) == error_code::none);
  return step.observe(set, mu, t);
}

void drop_surprising(sorted_row& slow, double mu, std::size_t min_keep) {
  slow.keep_while(min_keep, [mu](std::size_t, double p) { return -std::log2(p) <= mu; });
}

}  // namespace

TEMPLATE_TEST_CASE("mirostat v2 keeps what does not surprise by more than mu", "", float, double) {
  decant_test::for_rows<TestType>(391, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto tau = static_cast<float>(random.uniform(0.1, 6));  // mu is twice as much
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    drop_surprising(slow, 2 * static_cast<double>(tau), min_keep);
    decant_test::check_step(mirostat_v2{tau, 0.1f, min_keep}, row, slow);
  });
}

TEST_CASE("mirostat v2 at hand-computed surprises") {
  CHECK(kept_of(mirostat_v2{0.2f}, powers_of_two) == ids{0});  // none below 0.4 bits
  CHECK(kept_of(mirostat_v2{0.6f}, powers_of_two) == ids{0});
  CHECK(kept_of(mirostat_v2{1.1f}, powers_of_two) == ids{0, 1});
  CHECK(kept_of(mirostat_v2{1.6f}, powers_of_two) == ids{0, 1, 2, 3});
  CHECK(kept_of(mirostat_v2{0.2f, 0.1f, 3}, powers_of_two) == ids{0, 1, 2});
}

TEST_CASE("mirostat v2 learns from the probability after its own truncation") {
  const mirostat_v2 step{1.1f, 0.1f};
  const auto row = decant_test::logits_of(powers_of_two);
  largest_surprise mu = step.initial_state();
  CHECK(near(mu.bits, 2.2, 1e-6));
  const double p = observed(step, mu, row, 1);  // of 2/3 and 1/3
  CHECK(near(p, 1.0 / 3, 1e-12));
  step.learn(mu, p);
  CHECK(near(mu.bits, 2.2 - 0.1 * (std::log2(3.0) - 1.1), 1e-6));
  CHECK(observed(step, mu, row, 3) == 0);
  CHECK(observed(step, mu, row, 77) == 0);
}

TEMPLATE_TEST_CASE("mu of mirostat v2 follows the emitted tokens", "", float, double) {
  decant_test::random_source random(392);
  const mirostat_v2 step{3.0f, 0.2f};
  largest_surprise mu = step.initial_state();
  double expected = 6;
  for (int i = 0; i < 200; ++i) {
    const auto row = random.logits<TestType>(50, random.uniform(0.5, 4));
    sorted_row slow(row);
    drop_surprising(slow, expected, 1);
    const std::size_t rank = random.below(slow.size());
    expected -= static_cast<double>(0.2f) * (-std::log2(slow.law_by_rank()[rank]) - 3);
    step.learn(mu, observed(step, mu, row, slow.ids[rank]));
    REQUIRE(near(mu.bits, expected, 1e-5));
  }
}

TEST_CASE("neither a law nor an advance moves mu, and a copy goes on as the original") {
  const mirostat_v2 step;
  const auto row = decant_test::logits_of(powers_of_two);
  largest_surprise mu = step.initial_state();
  step.learn(mu, 0.01);
  largest_surprise copy = mu;
  const double first = observed(step, mu, row, 0);
  CHECK(observed(step, mu, row, 0) == first);
  step.advance(mu, 3);
  CHECK(mu == copy);
  step.learn(mu, 0.3);
  CHECK_FALSE(mu == copy);
  step.learn(copy, 0.3);
  CHECK(mu == copy);
}

TEST_CASE("mu of mirostat stays finite, whatever is drawn") {
  const mirostat_v2 step{5.0f, 1e30f};
  largest_surprise mu = step.initial_state();
  step.learn(mu, 1.0);
  CHECK(mu.bits == largest_surprise::most);
  step.learn(mu, 1e-300);
  CHECK(mu.bits == -largest_surprise::most);
  mu = step.initial_state();
  step.learn(mu, 0.0);  // only a lossy verifier lets such a token through
  CHECK(mu == step.initial_state());
  // At both ends there is still a law.
  const std::vector<float> row{1, 3, 2};
  for (const double bits : {largest_surprise::most, -largest_surprise::most}) {
    decant::candidates<float> set;
    REQUIRE(set.load(std::span<const float>(row)) == error_code::none);
    step.apply(set, {bits});
    CHECK(set.size() == (bits > 0 ? 3 : 1));
    CHECK(set.best().id == 1);
    CHECK(set.rescued() == (bits < 0));
  }
}

TEST_CASE("mirostat v2 is off at a tau that nothing surprises by, and learns nothing at eta 0") {
  decant_test::check_neutral(393, mirostat_v2{1e5f});
  CHECK_FALSE(mirostat_v2{5.0f, 0.0f}.learns());
  CHECK(mirostat_v2{}.learns());
}

TEST_CASE("mirostat v2 explains what is out of range") {
  CHECK(mirostat_v2{}.check().has_value());
  for (const float wrong : {-0.1f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    CHECK(refused(mirostat_v2{wrong}));
    CHECK(refused(mirostat_v2{5.0f, wrong}));
  }
  CHECK(refused(mirostat_v2{0.0f}));
  CHECK(refused(mirostat_v2{5.0f, 0.1f, 0}));
}
