// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/greedy.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {

TEST_CASE("greedy follows the most probable tokens and emits the first that no child carries") {
  verify_case given;
  const node_id a = given.add(0, 2);
  const node_id b = given.add(0, 1);
  const node_id below_b = given.add(b, 3);
  given.rows = {{1, 5, 2, 0}, {}, {1, 1, 1, 7}, {9, 0, 0, 0}};
  told_chance chance;
  const auto seen = run_verifier(greedy{}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(seen.made.path == path{0, b, below_b});
  CHECK(seen.made.last == 0);
  CHECK(seen.made.kind == last_token_kind::bonus);
  CHECK(seen.asked_rows == path{0, b, below_b});  // the row of `a` is never asked for
  CHECK(a == 1);
  CHECK(chance.coins.empty());
  CHECK(chance.draws.empty());
}

TEST_CASE("greedy stops inside the tree at a mismatch") {
  verify_case given;
  (void)given.add(0, 1);
  given.rows = {{0, 1, 3}, {1, 0, 0}};
  told_chance chance;
  const auto seen = run_verifier(greedy{}, given, chance);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.last == 2);
  CHECK(seen.made.kind == last_token_kind::sample);
  CHECK(seen.asked_rows.size() == 1);
}

TEST_CASE("greedy breaks ties by the lowest id") {
  verify_case given;
  (void)given.add(0, 2);
  given.rows = {{0, 4, 4}, {1, 0, 0}};
  told_chance chance;
  CHECK(run_verifier(greedy{}, given, chance).made.last == 1);
}

TEST_CASE("greedy never follows a probe") {
  verify_case given;
  (void)given.draft.tree.append_probe(0, 1);
  given.rows = {{0, 1}, {1, 0}};
  told_chance chance;
  const auto seen = run_verifier(greedy{}, given, chance);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.last == 1);
}

TEST_CASE("greedy reports a row that cannot be had") {
  verify_case given;
  (void)given.add(0, 1);
  given.rows = {{0, 1}, {}};
  told_chance chance;
  CHECK(run_verifier(greedy{}, given, chance).status == error_code::row_unavailable);
}

}  // namespace decant_test
