// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/top_p.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>

namespace {

using decant::make_sampler;
using decant::token;
using decant::top_k;
using decant::top_p;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;
using ids = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("top-p keeps the smallest prefix that reaches p", "", float, double) {
  random_source random(41);
  for (int round = 0; round < 300; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 1500), random.uniform(0.01, 4));
    const auto p = static_cast<float>(random.uniform());
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    decant_test::slow_candidates slow(row);
    slow.top_p(static_cast<double>(p), min_keep);
    CAPTURE(row.size(), p, min_keep);
    CHECK(support(probabilities(make_sampler(top_p{p, min_keep}), row)) == slow.ids());
  }
}

TEMPLATE_TEST_CASE("top-p after top-k renormalises", "", float, double) {
  random_source random(42);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 600));
    const auto k = static_cast<std::int32_t>(random.between(1, 40));
    const auto p = static_cast<float>(random.uniform());
    decant_test::slow_candidates slow(row);
    slow.keep_first(static_cast<std::size_t>(k));
    slow.top_p(static_cast<double>(p), 1);
    CHECK(support(probabilities(make_sampler(top_k{k}, top_p{p}), row)) == slow.ids());
  }
}

TEMPLATE_TEST_CASE("top-p on exact fractions", "", float, double) {
  // Weights 4 : 2 : 1 : 1, up to the rounding of the logarithm.
  const auto log_of_2 = static_cast<TestType>(std::log(2.0));
  const std::vector<TestType> row{0, log_of_2, 2 * log_of_2, 0};
  CHECK(support(probabilities(make_sampler(top_p{0.0f}), row)) == ids{2});
  CHECK(support(probabilities(make_sampler(top_p{0.49f}), row)) == ids{2});
  CHECK(support(probabilities(make_sampler(top_p{0.51f}), row)) == ids{1, 2});
  CHECK(support(probabilities(make_sampler(top_p{0.76f}), row)) == ids{0, 1, 2});
  CHECK(support(probabilities(make_sampler(top_p{0.88f}), row)) == ids{0, 1, 2, 3});
}

TEMPLATE_TEST_CASE("top-p breaks ties by id, also in a flat vocabulary", "", float, double) {
  const std::vector<TestType> flat(4096, TestType(2));  // sums of 4096 ones are exact
  const auto kept = support(probabilities(make_sampler(top_p{0.25f}), flat));
  REQUIRE(kept.size() == 1024);
  CHECK(kept.front() == 0);
  CHECK(kept.back() == 1023);
  CHECK(support(probabilities(make_sampler(top_p{0.0f}), flat)) == ids{0});
}

TEMPLATE_TEST_CASE("top-p of 1 is off and just below 1 keeps what carries weight", "", float, double) {
  random_source random(43);
  const auto row = random.logits<TestType>(300);
  CHECK(probabilities(make_sampler(top_p{1.0f}), row) == probabilities(make_sampler(), row));
  CHECK(support(probabilities(make_sampler(top_p{0.999999f}), std::vector<TestType>{0, -1, -2})) == ids{0, 1, 2});
  constexpr TestType far = TestType(-1000);  // its weight is 0 in float and double
  CHECK(support(probabilities(make_sampler(top_p{0.999f}), std::vector<TestType>{far, 0, far})) == ids{1});
}

TEST_CASE("top-p leaves errors to the end of the chain") {
  constexpr float inf = std::numeric_limits<float>::infinity();
  decant::candidates<float> set;
  REQUIRE(set.load(std::vector<float>{1, 2, 3}) == decant::error_code::none);
  set.for_each([](token, float& logit) { logit = -inf; });
  top_p{0.5f}.apply(set);
  decant::distribution<float> law;
  CHECK(set.write_law(law) == decant::error_code::row_empty);
  REQUIRE(set.load(std::vector<float>{1, 2, 3}) == decant::error_code::none);
  set.edit(1, [](float& logit) { logit = inf; });
  top_p{0.5f}.apply(set);
  CHECK(set.write_law(law) == decant::error_code::row_not_finite);
}

TEST_CASE("top-p explains what is out of range") {
  CHECK(top_p{0.0f}.check().has_value());
  CHECK(top_p{1.0f}.check().has_value());
  for (const float p : {-0.1f, 1.1f, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(top_p{p}.check().code() == decant::error_code::invalid_argument);
  }
  CHECK(top_p{0.5f, 0}.check().code() == decant::error_code::invalid_argument);
}
