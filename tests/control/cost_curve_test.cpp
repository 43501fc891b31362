// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/cost_curve.hpp>

#include <limits>
#include <vector>

#include "tests/support/test_kit.hpp"

using namespace decant;
using decant_test::near;

TEST_CASE("a cost curve goes through its points and is straight between them") {
  const cost_curve curve = cost_curve::cpu_like();
  for (const cost_point& point : curve.points) CHECK(near(curve.time(point.nodes), point.time, 1e-12));
  CHECK(curve.time(0) == 0);
  CHECK(near(curve.time(3), (1.86 + 2.82) / 2, 1e-12));
  CHECK(near(curve.time(24), (7.5 + 17.7) / 2, 1e-12));
  CHECK(near(curve.time(96), 33.0 + (33.0 - 17.7), 1e-9));
  const cost_curve constant{};
  CHECK(constant.time(1) == 1);
  CHECK(constant.time(50) == 1);
}

TEST_CASE("the shipped cost curves are sound and differ as their names say") {
  for (const cost_curve& curve : {cost_curve::cpu_like(), cost_curve::flat(), cost_curve::offload(), cost_curve{}}) {
    CHECK(curve.check());
    for (std::size_t n = 1; n < 300; ++n) CHECK(curve.time(n + 1) >= curve.time(n));
  }
  CHECK(cost_curve::flat().time(32) < 1.1);
  CHECK(cost_curve::offload().time(300) < 1.1);
  CHECK(cost_curve::flat().time(300) > 1.5);
  CHECK(cost_curve::cpu_like().time(64) == 33.0);
}

TEST_CASE("an unsound cost curve is refused with a reason") {
  const double infinite = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<std::vector<cost_point>> unsound{
      {},
      {{2, 1.0}},
      {{1, 2.0}},
      {{1, nan}},
      {{1, 1.0}, {1, 1.5}},
      {{1, 1.0}, {4, 1.5}, {2, 2.0}},
      {{1, 1.0}, {2, 0.9}},
      {{1, 1.0}, {2, nan}},
      {{1, 1.0}, {2, infinite}},
  };
  for (const auto& points : unsound) {
    const auto checked = cost_curve{points}.check();
    CHECK(checked.code() == error_code::invalid_argument);
    CHECK_FALSE(checked.error().detail.empty());
  }
}
