// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/logit_bias.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <string>

namespace {

using decant::error_code;
using decant::logit_bias;
using decant::make_sampler;
using decant::token;
using decant::top_k;
using decant_test::probabilities;
using decant_test::support;

constexpr float banned = -std::numeric_limits<float>::infinity();

}  // namespace

TEMPLATE_TEST_CASE("logit bias adds to the logits", "", float, double) {
  decant_test::random_source random(61);
  auto row = random.logits<TestType>(150);
  const logit_bias bias{{{3, 1.5f}, {149, -2.0f}, {3, 0.25f}, {0, 4.0f}}};
  const auto biased = probabilities(make_sampler(bias), row);
  row[3] += TestType(1.75);
  row[149] -= TestType(2);
  row[0] += TestType(4);
  CHECK(decant_test::largest_difference(biased, probabilities(make_sampler(), row)) < 1e-7);
}

TEST_CASE("a bias of -infinity bans a token, and banning all is an empty row") {
  const std::vector<float> row{1, 2, 3};
  const auto law = probabilities(make_sampler(logit_bias{{{2, banned}}}), row);
  CHECK(support(law) == std::vector<token>{0, 1});
  const auto all = make_sampler(logit_bias{{{0, banned}, {1, banned}, {2, banned}}});
  CHECK(decant_test::code_for(all, row) == error_code::row_empty);
}

TEST_CASE("a bias changes which tokens a later truncation keeps") {
  const std::vector<float> row{1, 2, 3};
  CHECK(support(probabilities(make_sampler(logit_bias{{{0, 5.0f}}}, top_k{1}), row)) == std::vector<token>{0});
  CHECK(support(probabilities(make_sampler(top_k{1}, logit_bias{{{0, 5.0f}}}), row)) == std::vector<token>{2});
}

TEST_CASE("ids that the vocabulary lacks have no effect") {
  const std::vector<float> row{1, 2, 3};
  CHECK(probabilities(make_sampler(logit_bias{{{3, 5.0f}, {1000, banned}, {-1, 5.0f}}}), row) ==
        probabilities(make_sampler(), row));
}

TEST_CASE("a bias that overflows is an error of the row") {
  const auto sampler = make_sampler(logit_bias{{{0, std::numeric_limits<float>::max()}}});
  CHECK(decant_test::code_for(sampler, std::vector<float>{std::numeric_limits<float>::max(), 0}) ==
        error_code::row_not_finite);
}

TEST_CASE("logit bias explains what is out of range") {
  CHECK(logit_bias{}.check().has_value());
  CHECK(logit_bias{{{5, banned}, {6, 100.0f}}}.check().has_value());
  CHECK(logit_bias{{{5, -banned}}}.check().code() == error_code::invalid_argument);
  CHECK(logit_bias{{{5, std::numeric_limits<float>::quiet_NaN()}}}.check().error().detail.c_str() ==
        std::string("logit bias of token 5: its bias must be finite, or -infinity to ban the token"));
  CHECK(logit_bias{{{-2, 1.0f}}}.check().error().detail.c_str() ==
        std::string("logit bias of token -2: it must not be negative"));
}
