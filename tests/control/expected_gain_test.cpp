// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/expected_gain.hpp>

#include "tests/support/test_kit.hpp"

using namespace decant;
using decant_test::near;

TEST_CASE("expected tokens and speed-ups have the published values") {
  struct golden {
    double acceptance;
    std::size_t length;
    double cost;
    double tokens;
    double speed_up;
  };
  for (const golden& one : {golden{0.8, 4, 0.05, 3.3616, 2.8013}, golden{0.6, 4, 0.1, 2.3056, 1.6469},
                            golden{0.9, 8, 0.02, 6.1258, 5.2809}}) {
    CHECK(near(expected_tokens(one.acceptance, one.length), one.tokens, 5e-5));
    CHECK(near(expected_speed_up(one.acceptance, one.length, one.cost, cost_curve{}), one.speed_up, 5e-5));
  }
  CHECK(expected_tokens(1, 7) == 8);
  CHECK(expected_tokens(0, 7) == 1);
  CHECK(expected_speed_up(0.5, 0, 0.3, cost_curve::cpu_like()) == 1);
}

TEST_CASE("the best fixed length follows the machine: 8 where passes are flat, 1 where they are steep") {
  // Llama-3-8B at context 4096, acceptance 0.8, a draft token at 0.05 of a pass: on an H100, and on a CPU whose
  // arithmetic is spent at two nodes.
  const cost_curve h100{{{1, 1.0}, {8, 4.6410 / 4.6407}, {64, 4.6432 / 4.6407}, {128, 4.7627 / 4.6407}}};
  const cost_curve cpu{{{1, 1.0}, {2, 1.01}, {4, 45.76 / 23.79}, {8, 91.5 / 23.79}, {16, 183.1 / 23.79}}};
  CHECK(best_fixed_length(0.8, 16, 0.05, h100) == 8);
  CHECK(near(expected_speed_up(0.8, 8, 0.05, h100), 3.09, 0.005));
  CHECK(best_fixed_length(0.8, 16, 0.05, cpu) == 1);
  CHECK(near(expected_speed_up(0.8, 1, 0.05, cpu), 1.70, 0.005));
}

TEST_CASE("the best fixed length is zero where nothing pays, and sees past a step of the curve") {
  CHECK(best_fixed_length(0, 16, 0, cost_curve::cpu_like()) == 0);
  CHECK(best_fixed_length(0.5, 16, 0, cost_curve::cpu_like()) == 0);
  CHECK(best_fixed_length(0.9, 16, 0, cost_curve::cpu_like()) == 7);
  CHECK(best_fixed_length(0.7, 16, 0, cost_curve{{{1, 1.0}, {2, 1.9}, {4, 1.9}, {5, 2.8}, {8, 2.8}}}) == 3);
}
