// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>

namespace {

using decant::make_sampler;
using decant::token;
using decant::top_k;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;
using ids = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("top-k keeps the k best", "", float, double) {
  random_source random(31);
  for (int round = 0; round < 200; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 900));
    const auto k = static_cast<std::int32_t>(random.between(1, random.coin() ? 10 : row.size() + 5));
    decant_test::slow_candidates slow(row);
    slow.keep_first(static_cast<std::size_t>(k));
    const auto law = probabilities(make_sampler(top_k{k}), row);
    CHECK(support(law) == slow.ids());
    CHECK(decant_test::largest_difference(law, slow.law()) < 1e-6);
  }
}

TEMPLATE_TEST_CASE("top-k keeps exactly k of a tie, the lowest ids", "", float, double) {
  const std::vector<TestType> row{2, 5, 5, 1, 5, 9, 5};
  CHECK(support(probabilities(make_sampler(top_k{3}), row)) == ids{1, 2, 5});
  CHECK(support(probabilities(make_sampler(top_k{1}), row)) == ids{5});
  const std::vector<TestType> flat(500, TestType(-3));
  CHECK(support(probabilities(make_sampler(top_k{4}), flat)) == ids{0, 1, 2, 3});
  CHECK(support(probabilities(make_sampler(top_k{400}), flat)).back() == 399);
}

TEST_CASE("top-k at or below 0 is off, above the vocabulary it keeps everything") {
  random_source random(32);
  const auto row = random.logits<float>(50);
  const auto plain = probabilities(make_sampler(), row);
  CHECK(probabilities(make_sampler(top_k{0}), row) == plain);
  CHECK(probabilities(make_sampler(top_k{-7}), row) == plain);
  CHECK(probabilities(make_sampler(top_k{50}), row) == plain);
  CHECK(probabilities(make_sampler(top_k{std::numeric_limits<std::int32_t>::max()}), row) == plain);
}

TEST_CASE("top-k never counts banned tokens") {
  constexpr float banned = -std::numeric_limits<float>::infinity();
  CHECK(support(probabilities(make_sampler(top_k{3}), std::vector<float>{banned, 1, banned, 2, banned})) == ids{1, 3});
}

TEST_CASE("top-k keeps at least min_keep") {
  const std::vector<float> row{1, 4, 3, 2};
  CHECK(support(probabilities(make_sampler(top_k{1, 3}), row)) == ids{1, 2, 3});
  CHECK(top_k{1, 1}.check().has_value());
  CHECK(top_k{1, 0}.check().code() == decant::error_code::invalid_argument);
}

TEMPLATE_TEST_CASE("ties with the k-th may stay", "", float, double) {
  decant_test::random_source random(45);
  for (int round = 0; round < 200; ++round) {
    auto row = random.logits<TestType>(random.between(1, 700), 3);
    for (TestType& logit : row) logit = std::round(logit);
    if (round % 4 == 0) row[random.below(row.size())] = -std::numeric_limits<TestType>::infinity();
    if (*std::max_element(row.begin(), row.end()) < -100) continue;  // nothing but a ban
    const auto k = static_cast<std::int32_t>(random.between(1, 50));
    auto sorted = row;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const TestType kth = sorted[std::min(sorted.size(), decant::index(k)) - 1];
    std::vector<decant::token> expected;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i] >= kth && row[i] > -1e30) expected.push_back(static_cast<decant::token>(i));
    }
    CHECK(decant_test::support(decant_test::probabilities(decant::make_sampler(decant::top_k{k, 1, true}), row)) ==
          expected);
    CHECK(decant_test::support(decant_test::probabilities(
              decant::make_sampler(decant::top_k{0}, decant::top_k{k, 1, true}), row)) == expected);
  }
}
