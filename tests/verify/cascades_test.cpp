// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/cascades.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] bool defers(cascade_rule rule, double alpha) {
  const auto law = emitted_by(cascade{rule, alpha});
  REQUIRE((same_row(law, golden_p) || same_row(law, golden_q)));
  return same_row(law, golden_p);
}

}  // namespace

TEST_CASE("cascades defer whole positions as their rules say") {
  CHECK_FALSE(defers(cascade_rule::optimal, 0));
  CHECK_FALSE(defers(cascade_rule::optimal, .1));
  CHECK(defers(cascade_rule::optimal, -1));
  CHECK(defers(cascade_rule::chow, .1));
  CHECK_FALSE(defers(cascade_rule::chow, .6));
  CHECK(defers(cascade_rule::chow_log, 1.02));  // H(q) = 1.029653
  CHECK_FALSE(defers(cascade_rule::chow_log, 1.03));
  CHECK_FALSE(defers(cascade_rule::difference, 0));
  CHECK(defers(cascade_rule::difference, -.01));
}

TEST_CASE("token cascades share the deferred mass out by the target's law") {
  const auto v3 = emitted_by(cascade{cascade_rule::token_v3, .4});
  CHECK(same_row(v3, {.45, .45, .1}));
  CHECK(near(acceptance_of(v3), .6, 1e-12));  // less than the .7 of exact sampling
  // Deferred: q < .5 - .25, token 0; eta = .2.
  CHECK(same_row(emitted_by(cascade{cascade_rule::token_v1, .25}), {.1, .36, .54}));
  // Deferred: p < .5 - .25, token 2; eta = .5.
  CHECK(same_row(emitted_by(cascade{cascade_rule::token_v2, .25}), {.45, .45, .1}));
}

TEST_CASE("a strict cascade keeps the target's row whatever its rule") {
  for (const auto rule : {cascade_rule::chow, cascade_rule::optimal, cascade_rule::token_v1, cascade_rule::token_v3}) {
    CHECK(emitted_by(cascade{rule, 100, true}) == golden_p);
  }
}

TEST_CASE("a greedy cascade emits the most probable token of its mixture") {
  CHECK(same_row(emitted_by(cascade{cascade_rule::difference, 0, false, true}), {0, 0, 1}));
  CHECK(same_row(emitted_by(cascade{cascade_rule::difference, -1, false, true}), {1, 0, 0}));
  CHECK(same_row(emitted_by(cascade{cascade_rule::token_v3, .4, false, true}), {1, 0, 0}));  // a tie: the lowest id
}

TEST_CASE("a cascade after a leaf without draft row keeps the target's law") {
  verify_case given;
  given.rows = {golden_p};
  told_chance chance{{}, {0}};
  (void)run_verifier(speculative_cascade<>{{cascade_rule::chow, 1}}, given, chance);
  CHECK(same_row(chance.draws[0].law, golden_p));
}

TEST_CASE("a cascade whose alpha is no number is refused") {
  CHECK(cascade{}.check().has_value());
  CHECK_FALSE(cascade{cascade_rule::chow, std::nan("")}.check().has_value());
}

}  // namespace decant_test
