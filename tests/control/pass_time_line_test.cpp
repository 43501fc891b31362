// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/pass_time_line.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using decant::cost_curve;
using decant::pass_time_line;

TEST_CASE("the worked example of pass_time_line") {
  pass_time_line line(1);
  line.observe(1, 2);
  CHECK_FALSE(line.is_known());
  CHECK(line.time(100) == Approx(2));
  line.observe(3, 3);
  line.observe(5, 4);
  CHECK(line.is_known());
  CHECK(line.time(1) == Approx(2));
  CHECK(line.time(9) == Approx(6));
  const cost_curve curve = line.curve();
  CHECK(curve.check().has_value());
  CHECK(curve.time(5) == Approx(2));
}

TEST_CASE("a line is found in noise and follows a machine that slows down") {
  decant_test::random_source random(1);
  pass_time_line line;
  for (int i = 0; i < 400; ++i) {
    const std::size_t nodes = random.between(1, 64);
    line.observe(nodes, (20 + 0.5 * static_cast<double>(nodes)) * random.uniform(0.97, 1.03));
  }
  CHECK(line.time(1) == Approx(20.5).epsilon(0.05));
  CHECK(line.time(64) == Approx(52).epsilon(0.05));
  for (int i = 0; i < 200; ++i) {
    const std::size_t nodes = random.between(1, 64);
    line.observe(nodes, 40 + 2 * static_cast<double>(nodes));
  }
  CHECK(line.time(1) == Approx(42).epsilon(0.05));
  CHECK(line.curve().time(64) == Approx(168.0 / 42).epsilon(0.05));
}

TEST_CASE("useless observations make no useless curve") {
  pass_time_line line;
  line.observe(0, 5);
  line.observe(4, 0);
  line.observe(4, -1);
  for (int i = 0; i < 50; ++i) line.observe(7, 3);
  CHECK_FALSE(line.is_known());
  CHECK(line.curve().time(1000) == Approx(1));
  for (int i = 0; i < 50; ++i) line.observe(14, 1);  // larger passes that are faster: taken for a constant
  CHECK(line.curve().check().has_value());
  CHECK(line.curve().time(1000) == Approx(1));
  pass_time_line steep;
  steep.observe(10, 1);
  steep.observe(11, 100);
  CHECK(steep.time(1) > 0);
  CHECK(steep.curve().check().has_value());
}
