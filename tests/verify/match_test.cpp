// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/match.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {

TEST_CASE("match follows its samples and emits the one that no child carries") {
  verify_case given;
  const node_id a = given.add(0, 1);
  const node_id below = given.add(a, 0);
  given.rows = {{1, 2, 1}, {3, 1, 0}, {1, 1, 2}};
  told_chance chance{{}, {1, 1}};
  const auto seen = run_verifier(match{}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(seen.made.path == path{0, a});
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::sample);
  CHECK(seen.asked_rows == path{0, a});
  CHECK(below == 2);
  // One draw for each emitted token, from the law there, keyed by the position of the token.
  REQUIRE(chance.draws.size() == 2);
  CHECK(chance.draws[0].key == sample_key(11));
  CHECK(chance.draws[1].key == sample_key(12));
  CHECK(same_row(chance.draws[0].law, {0.25, 0.5, 0.25}));
  CHECK(same_row(chance.draws[1].law, {0.75, 0.25, 0}));
  CHECK(chance.coins.empty());
  CHECK_FALSE(chance.exhausted);
}

TEST_CASE("match draws a bonus token after the last node") {
  verify_case given;
  const node_id a = given.add(0, 1);
  given.rows = {{0, 1}, {1, 1}};
  told_chance chance{{}, {1, 0}};
  const auto seen = run_verifier(match{}, given, chance);
  CHECK(seen.made.path == path{0, a});
  CHECK(seen.made.kind == last_token_kind::bonus);
}

TEST_CASE("match follows the first of equal siblings") {
  verify_case given;
  const node_id first = given.add(0, 1);
  const node_id second = given.add(0, 1);
  (void)given.add(second, 0);
  given.rows = {{1, 1}, {1, 1}, {1, 1}, {1, 1}};
  told_chance chance{{}, {1, 0}};
  const auto seen = run_verifier(match{}, given, chance);
  CHECK(seen.made.path == path{0, first});
  CHECK(seen.made.last == 0);
}

TEST_CASE("match on an empty tree is plain sampling") {
  verify_case given;
  given.rows = {{1, 1}};
  told_chance chance{{}, {1}};
  const auto seen = run_verifier(match{}, given, chance);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::bonus);
}

TEST_CASE("match reports a row that cannot be had") {
  verify_case given;
  given.rows = {{}};
  told_chance chance;
  CHECK(run_verifier(match{}, given, chance).status == error_code::row_unavailable);
  CHECK(chance.draws.empty());
}

}  // namespace decant_test
