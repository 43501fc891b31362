// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of recursive rejection is proved in tests/proof; here is what it asks its chance source, decision by
// decision.
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

/// p = (.4, .3, .2, .1), q = (.1, .4, .2, .3) in tenths.
[[nodiscard]] verify_case two_children(edge_law law, token first, token second) {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  (void)given.add(0, first, {law, row});
  (void)given.add(0, second, {law, row});
  given.rows = {{4, 3, 2, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  return given;
}

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

}  // namespace

TEST_CASE("independent draws are tested against the running residual with the whole row") {
  verify_case given = two_children(edge_law::independent, 3, 1);
  told_chance chance{{false, false}, {0}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  CHECK(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[0].key == accept_key(10, 1));
  CHECK(chance.coins[1].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 0.1 / 0.3, 1e-12));
  CHECK(chance.coins[1].a == 0);  // relu(p - q) = (.3, 0, 0, 0): token 1 has no mass left
  REQUIRE(chance.draws.size() == 1);
  CHECK(chance.draws[0].key == sample_key(11));
  CHECK(same_row(chance.draws[0].law, {1, 0, 0, 0}));
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.last == 0);
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(seen.asked_rows == path{0});
}

TEST_CASE("distinct draws are tested with what earlier siblings left of the row") {
  verify_case given = two_children(edge_law::without_replacement, 1, 0);
  given.rows[0] = {7, 6, 4, 3};
  told_chance chance{{false, true}, {2}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  // p = (.35 .3 .2 .15); after token 1 is rejected R = relu(p - q) / mass = (1, 0, 0, 0), Q = (1, 0, 2, 3) / 6.
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.3 / 0.4, 1e-12));
  CHECK(near(ratio(chance.coins[1]), 1.0 / (1.0 / 6), 1e-12));
  CHECK(seen.made.path == path{0, 2});
  CHECK(seen.made.kind == last_token_kind::bonus);
  CHECK(chance.draws[0].key == sample_key(12));
  CHECK(seen.asked_rows == path{0, 2});
}

TEST_CASE("chosen children are tested with the target's probability and removed when rejected") {
  verify_case given;
  (void)given.add(0, 0);
  (void)given.add(0, 1);
  given.rows = {{4, 3, 2, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  told_chance chance{{false, false}, {3}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.4, 1e-12));
  CHECK(near(ratio(chance.coins[1]), 0.5, 1e-12));
  CHECK(same_row(chance.draws[0].law, {0, 0, 2.0 / 3, 1.0 / 3}));
  CHECK(seen.made.last == 3);
}

TEST_CASE("a draw its law could not have given is dropped without a coin") {
  verify_case given;
  const std::int32_t row = given.add_row({1, 1, 0, 0});
  (void)given.add(0, 2, {edge_law::independent, row});
  (void)given.add(0, 0, {edge_law::without_replacement, row});
  (void)given.add(0, 0, {edge_law::without_replacement, row});
  (void)given.add(0, 1, {edge_law::without_replacement, row});
  (void)given.add(0, 3, {edge_law::without_replacement, row});  // the row is exhausted by now
  given.rows.assign(6, {1, 1, 1, 1});
  told_chance chance{{false, false}, {2}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  CHECK(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[0].key == accept_key(10, 2));
  CHECK(chance.coins[1].key == accept_key(10, 4));
  CHECK(same_row(chance.draws[0].law, {0, 0, 0.5, 0.5}));
}

TEST_CASE("a repeated draw is tested again with a coin of its own") {
  verify_case given;
  const std::int32_t first = given.add_row({1, 3});
  const std::int32_t second = given.add_row({3, 1});
  const node_id child = given.add(0, 1, {edge_law::independent, first});
  given.draft.tree.repeat(child, {edge_law::independent, second});
  given.rows = {{1, 1}, {1, 1}};
  told_chance chance{{false, true}, {0}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK_FALSE(chance.coins[0].key == chance.coins[1].key);
  CHECK(chance.coins[1].key.purpose == chance_purpose::accept);
  CHECK(seen.made.path == path{0, child});
}

TEST_CASE("a residual that vanishes leaves the last law") {
  // p = q: a rejection cannot happen, but rounding could make it; then p itself is drawn from.
  verify_case given;
  const std::int32_t row = given.add_row({1, 3});
  (void)given.add(0, 1, {edge_law::independent, row});
  given.rows = {{1, 3}, {1, 1}};
  told_chance chance{{false}, {0}};
  const auto seen = run_verifier(recursive_rejection{}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(same_row(chance.draws[0].law, {0.25, 0.75}));
}

TEST_CASE("the target's rows are not written to") {
  verify_case given = two_children(edge_law::independent, 3, 1);
  const auto rows = given.rows;
  told_chance chance{{false, false}, {0}};
  (void)run_verifier(recursive_rejection{}, given, chance);
  CHECK(given.rows == rows);
  CHECK(given.draft.rows.row(0).weight_of(1) == 4);
}

TEST_CASE("recursive rejection reports a row that cannot be had") {
  verify_case given = two_children(edge_law::independent, 3, 1);
  given.rows[1].clear();
  told_chance chance{{true}, {}};
  CHECK(run_verifier(recursive_rejection{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("speculative sampling takes a chain to its end and draws the bonus there") {
  verify_case given;
  const std::int32_t first = given.add_row({1, 1});
  const std::int32_t second = given.add_row({1, 3});
  const node_id a = given.add(0, 0, {edge_law::independent, first});
  const node_id b = given.add(a, 1, {edge_law::independent, second});
  given.rows = {{3, 1}, {1, 1}, {0, 1}};
  told_chance chance{{true, true}, {1}};
  const auto seen = run_verifier(speculative_sampling{}, given, chance);
  CHECK(seen.made.path == path{0, a, b});
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::bonus);
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.75 / 0.5, 1e-12));
  CHECK(near(ratio(chance.coins[1]), 0.5 / 0.75, 1e-12));
  CHECK(chance.draws[0].key == sample_key(13));
  CHECK(same_row(chance.draws[0].law, {0, 1}));
}

TEST_CASE("speculative sampling never draws after the first rejection but the correction") {
  verify_case given;
  const std::int32_t row = given.add_row({1, 1});
  const node_id a = given.add(0, 1, {edge_law::independent, row});
  (void)given.add(a, 1, {edge_law::independent, row});
  given.rows = {{3, 1}, {}, {}};
  told_chance chance{{false}, {0}};
  const auto seen = run_verifier(speculative_sampling{}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(chance.coins.size() == 1);
  CHECK(chance.draws.size() == 1);
  CHECK_FALSE(chance.exhausted);
  CHECK(seen.asked_rows == path{0});
}

}  // namespace decant_test
