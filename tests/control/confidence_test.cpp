// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/confidence.hpp>

#include <limits>

#include "tests/support/test_kit.hpp"

using namespace decant;

TEST_CASE("a confidence class stands for a probability near those that fall into it") {
  for (double odds = 1.0 / 16; odds < 180; odds *= 1.01) {
    const confidence c(odds / (1 + odds));
    const double meant = c.probability() / (1 - c.probability());
    CHECK(c.is_known());
    CHECK(meant / odds < 1.2);
    CHECK(odds / meant < 1.2);
    CHECK(confidence(c.probability()) == c);
  }
}

TEST_CASE("confidence rises with the probability, and extremes have the outer classes") {
  std::size_t last = 0;
  for (int percent = 1; percent <= 100; ++percent) {
    const confidence c(percent / 100.0);
    CHECK(c.index() >= last);
    CHECK(c.index() < confidence::classes - 1);
    last = c.index();
  }
  CHECK(confidence(1e-12).index() == 0);
  CHECK(confidence(1.0).index() == confidence::classes - 2);
  CHECK(confidence(0.5).probability() == 0.5);
}

TEST_CASE("what is no probability is unknown") {
  for (const double odd : {0.0, -0.5, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_FALSE(confidence(odd).is_known());
    CHECK(confidence(odd) == confidence());
  }
  CHECK(confidence().index() == confidence::classes - 1);
}
