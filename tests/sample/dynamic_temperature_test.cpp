// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/dynamic_temperature.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::dynamic_temperature;
using decant::make_sampler;
using decant::temperature;
using decant_test::infinity;
using decant_test::largest_difference;
using decant_test::logits_of;
using decant_test::probabilities;
using decant_test::refused;
using decant_test::sorted_row;
using decant_test::support;
using ids = std::vector<decant::token>;

const std::vector<double> powers_of_two{0.5, 0.25, 0.125, 0.125};  // entropy 7/8 of the largest possible

}  // namespace

TEMPLATE_TEST_CASE("dynamic temperature is a temperature made from the entropy", "", float, double) {
  decant_test::for_rows<TestType>(301, 200, [](auto& random, const std::vector<TestType>& row) {
    const auto value = static_cast<float>(random.uniform(0.3, 2));
    const auto range = static_cast<float>(random.uniform(0.01, 0.29));
    const auto exponent = static_cast<float>(random.uniform(0, 3));
    sorted_row slow(row);
    double used = static_cast<double>(value);
    if (slow.size() > 1) {
      const double share = slow.entropy() / std::log(static_cast<double>(slow.size()));
      const double low = static_cast<double>(value) - static_cast<double>(range);
      used = low + 2 * static_cast<double>(range) * std::pow(std::min(share, 1.0), static_cast<double>(exponent));
    }
    for (double& logit : slow.logits) logit /= static_cast<double>(static_cast<float>(used));
    const auto law = probabilities(make_sampler(dynamic_temperature{value, range, exponent}), row);
    CHECK(largest_difference(law, slow.law()) < 1e-5);
  });
}

TEST_CASE("dynamic temperature at hand-computed temperatures") {
  const auto row = logits_of(powers_of_two);
  const auto at = [&](float value) { return probabilities(make_sampler(temperature{value}), row); };
  const auto dynamic = [&](float value, float range, float exponent) {
    return probabilities(make_sampler(dynamic_temperature{value, range, exponent}), row);
  };
  CHECK(largest_difference(dynamic(1.0f, 0.5f, 1.0f), at(1.375f)) < 1e-7);     // 0.5 + 1 * 7/8
  CHECK(largest_difference(dynamic(1.0f, 0.5f, 2.0f), at(1.265625f)) < 1e-7);  // 0.5 + 1 * 49/64
  CHECK(largest_difference(dynamic(1.0f, 0.5f, 0.0f), at(1.5f)) < 1e-7);
  CHECK(largest_difference(dynamic(0.5f, 1.0f, 1.0f), at(1.3125f)) < 1e-7);  // low ends at 0: 1.5 * 7/8
}

TEST_CASE("dynamic temperature without a range is temperature") {
  const auto row = logits_of(powers_of_two);
  CHECK(probabilities(make_sampler(dynamic_temperature{0.7f}), row) ==
        probabilities(make_sampler(temperature{0.7f}), row));
  decant_test::check_neutral(302, dynamic_temperature{});
}

TEST_CASE("dynamic temperature is greedy at 0, whatever its range") {
  const std::vector<double> row{1, 4, 4, 2};
  for (const float value : {0.0f, -1.0f}) {
    for (const float range : {0.0f, 0.5f, 3.0f}) {
      CHECK(support(probabilities(make_sampler(dynamic_temperature{value, range}), row)) == ids{1});
    }
  }
  // A law without any entropy, and a range that reaches 0.
  CHECK(support(probabilities(make_sampler(dynamic_temperature{0.5f, 1.0f}), std::vector<double>{0, -2000})) == ids{0});
}

TEST_CASE("banned tokens do not count as candidates of dynamic temperature") {
  const auto row = logits_of(powers_of_two);
  auto padded = row;
  padded.resize(300, -infinity);
  auto expected = probabilities(make_sampler(dynamic_temperature{1.0f, 0.5f}), row);
  expected.resize(300, 0.0);
  CHECK(largest_difference(probabilities(make_sampler(dynamic_temperature{1.0f, 0.5f}), padded), expected) < 1e-15);
  CHECK(probabilities(make_sampler(dynamic_temperature{1.0f, 0.5f}), std::vector<double>{-infinity, 2}) ==
        std::vector<double>{0, 1});
}

TEST_CASE("dynamic temperature explains what is out of range") {
  CHECK(dynamic_temperature{0.8f, 0.5f, 1.0f}.check().has_value());
  CHECK(dynamic_temperature{-1.0f}.check().has_value());
  for (const float wrong : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    CHECK(refused(dynamic_temperature{wrong}));
    CHECK(refused(dynamic_temperature{1.0f, wrong}));
    CHECK(refused(dynamic_temperature{1.0f, 0.5f, wrong}));
  }
  CHECK(refused(dynamic_temperature{1.0f, -0.5f}));
  CHECK(refused(dynamic_temperature{1.0f, 0.5f, -1.0f}));
}
