// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/quadratic_smoothing.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::make_sampler;
using decant::quadratic_smoothing;
using decant_test::infinity;
using decant_test::largest_difference;
using decant_test::probabilities;
using decant_test::refused;
using decant_test::sorted_row;
using row_type = std::vector<double>;

row_type smoothed(float factor, float curve, const row_type& row) {
  return probabilities(make_sampler(quadratic_smoothing{factor, curve}), row);
}
row_type soft_max(const row_type& row) { return probabilities(make_sampler(), row); }

}  // namespace

TEMPLATE_TEST_CASE("quadratic smoothing bends the distances to the best logit", "", float, double) {
  decant_test::for_rows<TestType>(361, 200, [](auto& random, const std::vector<TestType>& row) {
    const auto factor = static_cast<float>(random.uniform(0.01, 2));
    const auto curve = static_cast<float>(random.uniform(1, 3));
    sorted_row slow(row);
    const double top = slow.logits[0];
    for (double& logit : slow.logits) {
      const double d = logit - top;
      const double k = (3 - static_cast<double>(curve)) / 2;
      const double s = (static_cast<double>(curve) - 1) / 2;
      logit = top - k * static_cast<double>(factor) * d * d + s * static_cast<double>(factor) * d * d * d;
    }
    const auto law = probabilities(make_sampler(quadratic_smoothing{factor, curve}), row);
    CHECK(largest_difference(law, slow.law()) < (std::is_same_v<TestType, float> ? 1e-5 : 1e-12));
  });
}

TEST_CASE("quadratic smoothing at hand-computed logits") {
  const row_type row{3, 2, 1};
  CHECK(largest_difference(smoothed(0.5f, 1.0f, row), soft_max({3, 2.5, 1})) < 1e-15);
  CHECK(largest_difference(smoothed(0.5f, 2.0f, row), soft_max({3, 2.5, 0})) < 1e-15);
  CHECK(largest_difference(smoothed(0.5f, 3.0f, row), soft_max({3, 2.5, -1})) < 1e-15);
}

TEST_CASE("quadratic smoothing leaves banned tokens banned and overflows into bans") {
  for (const float curve : {1.0f, 2.0f, 3.0f}) {
    CHECK(smoothed(0.5f, curve, {-infinity, 3, -infinity}) == row_type{0, 1, 0});
    CHECK(smoothed(0.5f, curve, {-1e300, 3, 1e200, 1e200}) == row_type{0, 0, 0.5, 0.5});
  }
}

TEST_CASE("quadratic smoothing with factor 0 is off") {
  decant_test::check_neutral(362, quadratic_smoothing{});
  decant_test::check_neutral(363, quadratic_smoothing{0.0f, 2.0f});
}

TEST_CASE("quadratic smoothing explains what is out of range") {
  CHECK(quadratic_smoothing{0.3f, 1.5f}.check().has_value());
  for (const float factor : {-0.1f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    CHECK(refused(quadratic_smoothing{factor}));
  }
  for (const float curve : {0.9f, 3.1f, std::nanf("")}) CHECK(refused(quadratic_smoothing{0.3f, curve}));
}
