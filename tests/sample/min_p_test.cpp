// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/min_p.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>

namespace {

using decant::make_sampler;
using decant::min_p;
using decant::token;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;
using ids = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("min-p keeps what has at least p of the largest probability", "", float, double) {
  random_source random(51);
  for (int round = 0; round < 300; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 500));
    const auto p = static_cast<float>(random.uniform(0.001, 1));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    decant_test::slow_candidates slow(row);
    slow.min_p(static_cast<double>(p), min_keep);
    CAPTURE(row.size(), p, min_keep);
    CHECK(support(probabilities(make_sampler(min_p{p, min_keep}), row)) == slow.ids());
  }
}

TEMPLATE_TEST_CASE("min-p of 1 keeps the best and its ties", "", float, double) {
  CHECK(support(probabilities(make_sampler(min_p{1.0f}), std::vector<TestType>{3, 5, 4, 5})) == ids{1, 3});
  CHECK(support(probabilities(make_sampler(min_p{7.0f}), std::vector<TestType>{3, 5, 4, 5})) == ids{1, 3});
}

TEST_CASE("min-p at or below 0 is off") {
  random_source random(52);
  const auto row = random.logits<float>(80);
  CHECK(probabilities(make_sampler(min_p{0.0f}), row) == probabilities(make_sampler(), row));
  CHECK(probabilities(make_sampler(min_p{-1.0f}), row) == probabilities(make_sampler(), row));
}

TEST_CASE("min-p keeps at least min_keep, ties by id") {
  const std::vector<float> row{0, 9, 0, 0};
  CHECK(support(probabilities(make_sampler(min_p{0.5f}), row)) == ids{1});
  CHECK(support(probabilities(make_sampler(min_p{0.5f, 3}), row)) == ids{0, 1, 2});
}

TEST_CASE("min-p explains what is out of range") {
  CHECK(min_p{0.05f}.check().has_value());
  for (const float p : {-0.1f, 1.1f, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(min_p{p}.check().code() == decant::error_code::invalid_argument);
  }
  CHECK(min_p{0.5f, 0}.check().code() == decant::error_code::invalid_argument);
}
