// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/relaxed_loss.hpp>

#include "tests/support/test_kit.hpp"

namespace decant_test {

using decant::relaxed_loss;

TEST_CASE("a loss without measurements has figures of zero") {
  const relaxed_loss none;
  CHECK(none.mean_total_variation() == 0);
  CHECK(none.mean_divergence() == 0);
  CHECK(none.mean_regret() == 0);
  CHECK(none.relaxed_share() == 0);
  CHECK(none.tokens_per_pass() == 0);
  CHECK(none.regret_percentile(0.99) == 0);
}

TEST_CASE("infinite divergences and regrets are counted and kept out of the means") {
  const double infinite = std::numeric_limits<double>::infinity();
  relaxed_loss loss;
  loss.add_law(0.25, 0.5);
  loss.add_law(0.75, infinite);
  CHECK(loss.positions == 2);
  CHECK(loss.unbounded == 1);
  CHECK(loss.mean_total_variation() == 0.5);
  CHECK(loss.mean_divergence() == 0.5);
  loss.add_regret(1);
  loss.add_regret(infinite);
  CHECK(loss.regrets == 2);
  CHECK(loss.impossible == 1);
  CHECK(loss.mean_regret() == 1);
}

TEST_CASE("a percentile of the regrets is the upper edge of its bin") {
  relaxed_loss loss;
  for (int i = 0; i < 98; ++i) loss.add_regret(0.1);
  loss.add_regret(3.0);
  loss.add_regret(1000);
  CHECK(loss.regret_percentile(0.5) == 0.25);
  CHECK(loss.regret_percentile(0.98) == 0.25);
  CHECK(loss.regret_percentile(0.99) == 3.25);
  CHECK(loss.regret_percentile(1) == std::numeric_limits<double>::infinity());
}

TEST_CASE("losses of steps merge into the loss of the text") {
  relaxed_loss first;
  first.passes = 1;
  first.tokens = 3;
  first.relaxed = 1;
  first.add_law(0.1, 0.2);
  first.add_regret(0.5);
  first.add_choice(true);
  first.add_choice(true);
  relaxed_loss second = first;
  second.tokens = 1;
  second.add_choice(false);
  second.add_choice(true);
  relaxed_loss sum = first;
  sum.merge(second);
  sum.merge(first);
  CHECK(sum.passes == 3);
  CHECK(sum.tokens == 7);
  CHECK(sum.relaxed == 3);
  CHECK(sum.positions == 3);
  CHECK(near(sum.divergence, 0.6, 1e-15));
  CHECK(sum.regret_counts[2] == 3);
  CHECK(sum.greedy_run == 4);  // two of the first step, two of the second, which then leaves the greedy text
  CHECK(sum.left_greedy);
  CHECK(near(sum.relaxed_share(), 3.0 / 7, 1e-15));
  CHECK(near(sum.tokens_per_pass(), 7.0 / 3, 1e-15));
}

TEST_CASE("the regret of a token is its distance from the best one") {
  const std::vector<double> weights{5, 3, 2, 0};
  const decant::distribution_view<double> law(weights, 10);
  CHECK(decant::regret_of(law, 0) == 0);
  CHECK(near(decant::regret_of(law, 1), std::log(5.0 / 3), 1e-15));
  CHECK(decant::regret_of(law, 3) == std::numeric_limits<double>::infinity());
}

}  // namespace decant_test
