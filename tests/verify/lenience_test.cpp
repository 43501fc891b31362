// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/lenience.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {

TEST_CASE("lenience has its golden laws with either residual") {
  CHECK(same_row(emitted_by(lenience{.8}), {.45, .3, .25}));
  CHECK(same_row(emitted_by(lenience{.8, lenient_residual::scaled}), {.4125, .3375, .25}));
  CHECK(near(acceptance_of(emitted_by(lenience{.8})), .75, 1e-12));
  CHECK(near(acceptance_of(emitted_by(lenience{.8, lenient_residual::scaled})), .75, 1e-12));
}

TEST_CASE("a lenient test has the ratio p over l q") {
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  (void)run_verifier(lenient_verification<>{{.8}}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(near(chance.coins[0].a / chance.coins[0].b, .2 / (.8 * .5), 1e-12));
  CHECK(same_row(chance.draws[0].law, {1, 0, 0}));
}

TEST_CASE("lenience of one keeps the target's row") { CHECK(emitted_by(lenience{1}) == golden_p); }

TEST_CASE("lenience never makes a token more than 1 / l times as likely") {
  std::uint64_t state = 5;
  double closest = 0;
  for (int i = 0; i < 400; ++i) {
    const auto p = random_row(state, 6, i % 2 == 1);
    const auto q = random_row(state, 6, i % 3 == 1);
    for (const double l : {.3, .8, .99}) {
      for (const auto residual : {lenient_residual::stock, lenient_residual::scaled}) {
        const auto law = emitted_by(lenience{l, residual}, p, q);
        double divergence = 0;  // KL(pi || p) <= -log l
        for (std::size_t v = 0; v < law.size(); ++v) {
          REQUIRE(law[v] <= p[v] / l * (1 + 1e-12));
          if (p[v] > 0) closest = std::max(closest, law[v] * l / p[v]);
          if (law[v] > 0) divergence += law[v] * std::log(law[v] / p[v]);
        }
        REQUIRE(divergence <= -std::log(l) + 1e-12);
      }
    }
  }
  CHECK(closest > 1 - 1e-9);
}

TEST_CASE("lenience takes equal and disjoint laws") {
  CHECK(same_row(emitted_by(lenience{.5}, golden_p, golden_p), golden_p));
  CHECK(same_row(emitted_by(lenience{.5}, {1, 1, 0}, {0, 0, 1}), {.5, .5, 0}));
}

TEST_CASE("lenience outside its range is refused") {
  CHECK(lenience{.5}.check().has_value());
  for (const double wrong : {0.0, -1.0, 1.5, std::nan("")}) CHECK_FALSE(lenience{wrong}.check().has_value());
  CHECK_FALSE(lenient_verification<>{{2}}.check().has_value());
}

}  // namespace decant_test
