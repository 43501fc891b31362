// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of traversal is proved in tests/proof; here is what it asks its chance source, decision by decision.
#include <decant/core/philox.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/support/random.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

/// The production source without its promise, so that every weight is computed.
struct asked_in_full {
  philox_chance inner;

  template <class Mass>
  bool accept(chance_key key, const Mass& a, const Mass& b) {
    return inner.accept(key, a, b);
  }
  template <class Real>
  token pick(chance_key key, distribution_view<Real> law) {
    return inner.pick(key, law);
  }
  template <class Real>
  std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) {
    return inner.ordered_sample(key, law, out);
  }
};
static_assert(MonotoneChanceSource<philox_chance> && !MonotoneChanceSource<asked_in_full>);

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

}  // namespace

TEST_CASE("a node is judged after its children, by what they have left of its weight") {
  verify_case given;
  const std::int32_t row = given.add_row({2, 1});
  const node_id first = given.add(0, 0, {edge_law::independent, row});
  (void)given.add(first, 0, {edge_law::independent, row});
  given.rows = {{1, 2}, {1, 2}, {1, 2}};
  told_chance chance{{false, false}, {1}};
  const auto seen = run_verifier(traversal{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[0].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 0.25, 1e-12));
  CHECK(chance.coins[1].key == accept_key(10, 1));
  CHECK(chance.coins[1].a == 0);
  CHECK(seen.made.path == path{0});
  CHECK(same_row(chance.draws[0].law, {0, 1}));
}

TEST_CASE("siblings are tried in the order of their draws, and a path is accepted whole") {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  (void)given.add(0, 1, {edge_law::without_replacement, row});
  const node_id second = given.add(0, 0, {edge_law::without_replacement, row});
  (void)given.add(second, 2);
  given.rows = {{7, 6, 4, 3}, {1, 1, 1, 1}, {1, 1, 2, 0}, {1, 1, 1, 1}};
  told_chance chance{{false, true}, {3}};
  const auto seen = run_verifier(traversal{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.3 / 0.4, 1e-12));
  // After token 1: S = .25, a = .25 / .25 = 1, R = (1, 0, 0, 0), Q = 1/6: weight 1; token 2 has 1/2 there.
  CHECK(chance.coins[1].key == accept_key(10, 3));
  CHECK(near(ratio(chance.coins[1]), 0.5, 1e-12));
  CHECK(seen.made.path == path{0, 2, 3});
  CHECK(seen.made.kind == last_token_kind::bonus);
}

TEST_CASE("a chosen child that fails takes its token out of the running law") {
  verify_case given;
  (void)given.add(0, 0);
  (void)given.add(0, 1);
  given.rows = {{4, 3, 2, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  told_chance chance{{false, false}, {3}};
  const auto seen = run_verifier(traversal{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.4, 1e-12));
  CHECK(near(ratio(chance.coins[1]), 0.5, 1e-12));
  CHECK(same_row(chance.draws[0].law, {0, 0, 2.0 / 3, 1.0 / 3}));
  CHECK(seen.made.kind == last_token_kind::correction);
}

TEST_CASE("rows of nodes that cannot be accepted are not asked for") {
  verify_case given;
  (void)given.add(0, 0);
  (void)given.add(0, 1);
  given.rows = {{0, 1}, {1, 1}, {1, 1}};
  told_chance chance{{true}, {0}};
  const auto seen = run_verifier(traversal{}, given, chance);
  CHECK(seen.asked_rows == path{0, 2});
  CHECK(seen.made.path == path{0, 2});
}

TEST_CASE("a row that cannot be had is an error of traversal") {
  verify_case given;
  (void)given.add(0, 0);
  given.rows = {{1, 1}, {}};
  told_chance chance{{true}};
  CHECK(run_verifier(traversal{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("a leaf that is refused needs no row") {
  verify_case given;
  (void)given.add(0, 0);
  (void)given.add(0, 1);
  given.rows = {{1, 1}, {}, {}};
  told_chance chance{{false, false}, {0}};
  const auto seen = run_verifier(traversal{}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(seen.asked_rows == path{0});
}

TEST_CASE("coins that refuse the bound of a weight change nothing, on trees and chains") {
  random_source random(5);
  for (std::uint32_t i = 0; i < 300; ++i) {
    verify_case given;
    const bool is_chain = i % 2 == 0;
    const auto drawn = [&](node_id parent) {
      return given.add(parent, static_cast<token>(given.draft.tree.size() % 4),
                       {edge_law::independent, given.add_row(random.weights<double>(4))});
    };
    for (node_id n = 0; n < 5; ++n) {
      (void)drawn(n);
      if (!is_chain) (void)drawn(n);
    }
    for (std::size_t n = 0; n < given.draft.tree.size(); ++n) given.rows.push_back(random.weights<double>(4));
    philox_chance monotone{7, i};
    asked_in_full plain{monotone};
    const auto expect_same = [&](const auto& verifier) {
      const auto seen = run_verifier(verifier, given, monotone);
      const auto expected = run_verifier(verifier, given, plain);
      CHECK(seen.made.path == expected.made.path);
      CHECK(seen.made.last == expected.made.last);
    };
    expect_same(traversal{});
    if (is_chain) expect_same(block_verification{});
  }
}

}  // namespace decant_test
