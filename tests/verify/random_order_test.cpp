// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of random-order rejection is proved in tests/proof; here is the order it tests draws in.
#include <decant/verify/random_order.hpp>

#include "tests/verify/drawn_law.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

/// A root with these draws of q = (.1, .4, .2, .3) against p = (.35, .3, .2, .15).
[[nodiscard]] verify_case root_with(const std::vector<std::pair<token, edge_law>>& draws) {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  for (const auto& [id, law] : draws) {
    (void)given.add(0, id, law == edge_law::deterministic ? tree_edge{} : tree_edge{law, row});
  }
  given.rows.assign(draws.size() + 1, {1, 1, 1, 1});
  given.rows[0] = {7, 6, 4, 3};
  return given;
}

constexpr auto iid = edge_law::independent;
constexpr auto distinct = edge_law::without_replacement;
constexpr auto chosen = edge_law::deterministic;

}  // namespace

TEST_CASE("independent draws come in the order that is picked, each with its own coin") {
  verify_case given = root_with({{3, iid}, {1, iid}, {2, iid}});
  told_chance chance{{false, false, false}, {2, 0, 0}};  // the third, then the first of two; then the correction
  const auto seen = run_verifier(random_order{}, given, chance);
  CHECK(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 3);
  CHECK(chance.coins[0].key == accept_key(10, 3));
  CHECK(chance.coins[1].key == accept_key(10, 1));
  CHECK(chance.coins[2].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 1, 1e-12));
  REQUIRE(chance.draws.size() == 3);
  CHECK(chance.draws[0].key == chance_key{10, chance_purpose::other, 0});
  CHECK(chance.draws[1].key == chance_key{10, chance_purpose::other, 1});
  CHECK(same_row(chance.draws[0].law, {1.0 / 3, 1.0 / 3, 1.0 / 3}));
  CHECK(same_row(chance.draws[1].law, {0.5, 0.5}));
  CHECK(chance.draws[2].key == sample_key(11));
  CHECK_FALSE(chance.exhausted);
}

TEST_CASE("draws without replacement keep their order among themselves") {
  verify_case given = root_with({{3, distinct}, {1, distinct}, {2, chosen}});
  told_chance chance{{false, false, true}, {1, 0}};  // of {first, chosen} the chosen one; then there is no choice
  const auto seen = run_verifier(random_order{}, given, chance);
  REQUIRE(chance.coins.size() == 3);
  CHECK(chance.coins[0].key == accept_key(10, 3));
  CHECK(chance.coins[1].key == accept_key(10, 1));
  CHECK(chance.coins[2].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 0.2, 1e-12));
  // Token 2 is gone: R = (.4375, .375, 0, .1875), and q is the whole row for the first draw.
  CHECK(near(ratio(chance.coins[1]), 0.1875 / 0.3, 1e-12));
  CHECK(chance.draws.size() == 2);  // one pick, and the bonus
  CHECK(same_row(chance.draws[0].law, {0.5, 0.5}));
  CHECK(seen.made.path == path{0, 2});
}

TEST_CASE("picks are numbered through the whole step") {
  verify_case given = root_with({{3, iid}, {1, iid}});
  const std::int32_t row = given.add_row({1, 1, 1, 1});
  (void)given.add(2, 0, {edge_law::independent, row});
  (void)given.add(2, 1, {edge_law::independent, row});
  given.rows.assign(5, {1, 1, 1, 1});
  told_chance chance{{true, true}, {1, 0, 2}};
  const auto seen = run_verifier(random_order{}, given, chance);
  CHECK(seen.made.path == path{0, 2, 3});
  REQUIRE(chance.draws.size() == 3);
  CHECK(chance.draws[0].key == chance_key{10, chance_purpose::other, 0});
  CHECK(chance.draws[1].key == chance_key{10, chance_purpose::other, 1});
  // A second step starts counting afresh.
  told_chance other{{true, true}, {0, 0}};
  (void)run_verifier(random_order{}, given, other);
  CHECK(other.draws[0].key == chance_key{10, chance_purpose::other, 0});
}

TEST_CASE("random order of one draw asks for no order") {
  verify_case given = root_with({{3, iid}});
  told_chance chance{{true}, {2}};
  const auto seen = run_verifier(random_order{}, given, chance);
  CHECK(chance.draws.size() == 1);
  CHECK(seen.made.path == path{0, 1});
}

TEST_CASE("random order reports a row that cannot be had") {
  verify_case given = root_with({{3, iid}});
  given.rows[1].clear();
  told_chance chance{{true}, {}};
  CHECK(run_verifier(random_order{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("random order has the target's law in float") {
  check_drawn_law(independent{}, 3, random_order{}, 311);
  check_drawn_law(without_replacement{}, 3, random_order{}, 312);
}

}  // namespace decant_test
