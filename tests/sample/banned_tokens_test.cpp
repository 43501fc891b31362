// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/banned_tokens.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::allowed_tokens;
using decant::banned_tokens;
using decant::make_sampler;
using decant::token;
using decant_test::probabilities;
using tokens = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("forbidden and allowed tokens are complements", "", float, double) {
  decant_test::random_source random(541);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<TestType>(random.between(2, 200));
    tokens allowed;
    tokens banned;
    for (const std::size_t i : random.permutation(row.size())) {
      (allowed.empty() || random.below(3) == 0 ? allowed : banned).push_back(static_cast<token>(i));
    }
    const auto law = probabilities(make_sampler(allowed_tokens{allowed}), row);
    CHECK(decant_test::largest_difference(law, probabilities(make_sampler(banned_tokens{banned}), row)) < 1e-6);
    std::sort(allowed.begin(), allowed.end());
    CHECK(decant_test::support(law) == allowed);
  }
}

TEST_CASE("lists act on survivors, leave unknown tokens alone, and may be empty") {
  const std::vector<float> row{4, 3, 2, 1};
  CHECK(decant_test::support(probabilities(make_sampler(decant::top_k{3}, banned_tokens{{1, 3, 99}}), row)) ==
        tokens{0, 2});
  CHECK(decant_test::support(probabilities(make_sampler(decant::top_k{3}, allowed_tokens{{99, 3, 2}}), row)) ==
        tokens{2});
  CHECK(probabilities(make_sampler(allowed_tokens{}), row) == probabilities(make_sampler(), row));
  CHECK(probabilities(make_sampler(banned_tokens{}), row) == probabilities(make_sampler(), row));
}

TEST_CASE("lists that leave nothing are a row without tokens, and a negative id is explained") {
  CHECK(decant_test::code_for(make_sampler(banned_tokens{{0, 1}}), std::vector<float>{1, 2}) ==
        decant::error_code::row_empty);
  CHECK(decant_test::code_for(make_sampler(allowed_tokens{{5}}), std::vector<float>{1, 2}) ==
        decant::error_code::row_empty);
  CHECK(banned_tokens{{0}}.check().has_value());
  CHECK(allowed_tokens{{0}}.check().has_value());
  CHECK(banned_tokens{{0, -3}}.check().code() == decant::error_code::invalid_argument);
  CHECK(allowed_tokens{{0, -3}}.check().code() == decant::error_code::invalid_argument);
}
