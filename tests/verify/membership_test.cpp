// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of "test one draw, then membership" is proved in tests/proof; here is what it tests, draws and follows.
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>

#include "tests/verify/drawn_law.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

/// p = (.35, .3, .2, .15); chosen token 2, then draws 3 and 0 of q = (.1, .4, .2, .3).
[[nodiscard]] verify_case chosen_and_drawn() {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  (void)given.add(0, 2);
  (void)given.add(0, 3, {edge_law::without_replacement, row});
  (void)given.add(0, 0, {edge_law::without_replacement, row});
  given.rows.assign(4, {1, 1, 1, 1});
  given.rows[0] = {7, 6, 4, 3};
  return given;
}

}  // namespace

TEST_CASE("only the first drawn child is tested") {
  verify_case given = chosen_and_drawn();
  told_chance chance{{true}, {1}};
  const auto seen = run_verifier(membership{}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].key == accept_key(10, 2));
  CHECK(near(chance.coins[0].a / chance.coins[0].b, 0.15 / 0.3, 1e-12));
  CHECK(seen.made.path == path{0, 2});
  REQUIRE(chance.draws.size() == 1);
  CHECK(chance.draws[0].key == sample_key(12));
  CHECK(seen.made.kind == last_token_kind::bonus);
}

TEST_CASE("after a rejection the walk goes on at the child that carries the residual draw") {
  for (const auto& [drawn, node] : {std::pair<token, node_id>{0, 3}, {2, 1}}) {
    verify_case given = chosen_and_drawn();
    told_chance chance{{false}, {drawn, 1}};
    const auto seen = run_verifier(membership{}, given, chance);
    CHECK(seen.made.path == path{0, node});
    CHECK(seen.made.last == 1);
    REQUIRE(chance.draws.size() == 2);
    CHECK(chance.draws[0].key == sample_key(11));
    CHECK(chance.draws[1].key == sample_key(12));
    CHECK(same_row(chance.draws[0].law, {1, 0, 0, 0}));  // relu(p - q) = (.25, 0, 0, 0)
    CHECK_FALSE(chance.exhausted);
  }
}

TEST_CASE("a residual draw that no child carries is the correction") {
  verify_case given = chosen_and_drawn();
  told_chance chance{{false}, {1}};
  const auto seen = run_verifier(membership{}, given, chance);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(seen.asked_rows == path{0});
}

TEST_CASE("nodes without drawn children are matched") {
  verify_case given;
  const node_id a = given.add(0, 1);
  (void)given.add(0, 2);
  const node_id b = given.add(a, 0);
  given.rows = {{4, 3, 2, 1}, {1, 2, 3, 4}, {1, 1, 1, 1}, {2, 1, 1, 1}};
  for (const std::deque<token>& answers : {std::deque<token>{1, 0, 3}, {1, 2}, {0}, {2, 2}}) {
    told_chance once{{}, answers};
    told_chance again{{}, answers};
    const auto seen = run_verifier(membership{}, given, once);
    const auto matched = run_verifier(match{}, given, again);
    CHECK(seen.made.path == matched.made.path);
    CHECK(seen.made.last == matched.made.last);
    CHECK(seen.made.kind == matched.made.kind);
    REQUIRE(once.draws.size() == again.draws.size());
    for (std::size_t i = 0; i < once.draws.size(); ++i) CHECK(once.draws[i].key == again.draws[i].key);
    CHECK(once.coins.empty());
  }
  (void)b;
}

TEST_CASE("a draw its law could not have given is not the one that is tested") {
  verify_case given;
  const std::int32_t row = given.add_row({1, 3, 0, 0});
  (void)given.add(0, 2, {edge_law::independent, row});
  (void)given.add(0, 1, {edge_law::independent, row});
  given.rows.assign(3, {1, 1, 1, 1});
  told_chance chance{{false}, {2, 0}};
  const auto seen = run_verifier(membership{}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].key == accept_key(10, 2));
  CHECK(seen.made.path == path{0, 1});  // as a member it is as good as any other
}

TEST_CASE("membership reports a row that cannot be had") {
  verify_case given = chosen_and_drawn();
  given.rows[2].clear();
  told_chance chance{{true}, {}};
  CHECK(run_verifier(membership{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("membership has the target's law in float") {
  check_drawn_law(without_replacement{}, 3, membership{}, 321);
  check_drawn_law(greedy_multi_draft{}, 3, membership{}, 322);
}

}  // namespace decant_test
