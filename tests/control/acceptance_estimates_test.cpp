// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/acceptance_estimates.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;
using decant_test::near;

TEST_CASE("without evidence the drafter's word counts, and nothing is proven") {
  const acceptance_estimates estimates;
  for (const double p : {0.1, 0.5, 0.9}) {
    const confidence c(p);
    CHECK(near(estimates.likely(c), c.probability(), 1e-12));
    CHECK(estimates.hopeful(c) > estimates.likely(c));
    CHECK(estimates.hopeful(c) <= 1);
    CHECK(estimates.proven(c) == 0);
  }
}

TEST_CASE("evidence brings the estimates of a class to its true acceptance, and of no other") {
  decant_test::random_source random(5);
  for (const double truth : {0.05, 0.4, 0.8, 0.97}) {
    acceptance_estimates estimates;
    const confidence claimed(0.6);
    for (int i = 0; i < 400; ++i) {
      estimates.record(claimed, random.coin(truth));
      estimates.fade();
    }
    INFO(truth);
    CHECK(near(estimates.likely(claimed), truth, 0.12));
    CHECK(near(estimates.proven(claimed), truth, 0.12));
    CHECK(estimates.proven(claimed) <= estimates.likely(claimed) + 1e-12);
    CHECK(near(estimates.likely(confidence(0.95)), confidence(0.95).probability(), 1e-12));
    // What the drafter is like in general is known as well, for levels it has not spoken of yet.
    CHECK(near(estimates.likely(confidence()), truth, 0.12));
  }
}

TEST_CASE("evidence ages: estimates follow a change, and hopeless classes get another chance") {
  acceptance_estimates estimates;
  const confidence c(0.9);
  for (int i = 0; i < 200; ++i) estimates.record(c, true);
  CHECK(estimates.likely(c) > 0.97);
  for (int i = 0; i < 100; ++i) estimates.record(c, false);
  CHECK(estimates.likely(c) < 0.2);
  CHECK(estimates.proven(c) < 0.15);
  for (int i = 0; i < 5000; ++i) estimates.fade();
  CHECK(near(estimates.likely(c), c.probability(), 0.01));
  CHECK(estimates.proven(c) < 0.01);
}

TEST_CASE("estimates are a value") {
  acceptance_estimates a;
  acceptance_estimates b;
  CHECK(a == b);
  a.record(confidence(0.5), true);
  CHECK_FALSE(a == b);
  b = a;
  CHECK(a == b);
}
