// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/temperature.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <string>

namespace {

using decant::error_code;
using decant::make_sampler;
using decant::temperature;
using decant::token;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;

}  // namespace

TEMPLATE_TEST_CASE("temperature divides the logits", "", float, double) {
  random_source random(21);
  for (int round = 0; round < 50; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 200));
    const float value = static_cast<float>(random.uniform(0.2, 3));
    decant_test::slow_candidates slow(row);
    slow.divide_by(static_cast<double>(value));
    CHECK(decant_test::largest_difference(probabilities(make_sampler(temperature{value}), row), slow.law()) < 1e-5);
  }
}

TEMPLATE_TEST_CASE("temperature 1 is the plain law to the last bit", "", float, double) {
  random_source random(22);
  const auto row = random.logits<TestType>(100);
  CHECK(probabilities(make_sampler(temperature{1.0f}), row) == probabilities(make_sampler(), row));
}

TEMPLATE_TEST_CASE("temperature at or below 0 keeps the argmax, ties to the lowest id", "", float, double) {
  const std::vector<TestType> row{1, 7, 3, 7, 7};
  for (const float value : {0.0f, -0.0f, -1.0f}) {
    CHECK(probabilities(make_sampler(temperature{value}), row) == std::vector<double>{0, 1, 0, 0, 0});
  }
}

TEMPLATE_TEST_CASE("a falling temperature tends to greedy decoding", "", float, double) {
  random_source random(23);
  for (int round = 0; round < 50; ++round) {
    const auto row = random.logits<TestType>(random.between(2, 150));
    const auto greedy = probabilities(make_sampler(temperature{0.0f}), row);
    for (const float value : {1e-6f, 1e-20f, 1e-38f, std::numeric_limits<float>::denorm_min()}) {
      CHECK(probabilities(make_sampler(temperature{value}), row) == greedy);
    }
  }
}

TEMPLATE_TEST_CASE("the smallest temperature works on extreme rows", "", float, double) {
  constexpr TestType largest = std::numeric_limits<TestType>::max();
  const auto coldest = make_sampler(temperature{std::numeric_limits<float>::denorm_min()});
  CHECK(probabilities(coldest, std::vector<TestType>{largest, 0, -largest}) == std::vector<double>{1, 0, 0});
  CHECK(probabilities(coldest, std::vector<TestType>{-10, -20, -10}) == std::vector<double>{0.5, 0, 0.5});
  const TestType banned = -std::numeric_limits<TestType>::infinity();
  CHECK(probabilities(coldest, std::vector<TestType>{banned, -20}) == std::vector<double>{0, 1});
}

TEST_CASE("a huge temperature makes the law flat and leaves bans alone") {
  const std::vector<float> row{5, -5, -std::numeric_limits<float>::infinity(), 1};
  const auto law = probabilities(make_sampler(temperature{1e30f}), row);
  CHECK(decant_test::largest_difference(law, {1.0 / 3, 1.0 / 3, 0, 1.0 / 3}) < 1e-6);
}

TEST_CASE("temperature explains what is out of range") {
  CHECK(temperature{0.7f}.check().has_value());
  CHECK(temperature{-1.0f}.check().has_value());
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto checked = temperature{value}.check();
    CHECK(checked.code() == error_code::invalid_argument);
    CHECK(checked.error().message().c_str() ==
          std::string("a parameter is outside its range: the temperature must be a finite number"));
  }
}

TEST_CASE("temperature is a value with a neutral default") {
  CHECK(temperature{} == temperature{1.0f});
  CHECK(temperature{} != temperature{0.5f});
}
