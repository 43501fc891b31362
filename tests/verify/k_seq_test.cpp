// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of K-SEQ is proved in tests/proof; here is the damping it finds, and what it asks its chance source.
#include <decant/verify/k_seq.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include "tests/verify/drawn_law.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

[[nodiscard]] std::vector<double> normalised(std::vector<double> row) {
  double total = 0;
  for (const double w : row) total += w;
  for (double& w : row) w /= total;
  return row;
}

/// 1 - (1 - beta)^k - rho beta, whose root is the damping: the obvious way, over all tokens.
[[nodiscard]] double excess(const std::vector<double>& p, const std::vector<double>& q, std::size_t k, double rho) {
  double beta = 0;
  for (std::size_t v = 0; v < p.size(); ++v) beta += std::min(q[v], p[v] / rho);
  return 1 - std::pow(1 - beta, static_cast<double>(k)) - rho * beta;
}

/// Draws 3, 1 and 0 of q = (.1, .4, .2, .3) against p = (.4, .3, .2, .1).
[[nodiscard]] verify_case drawn_children(const std::vector<token>& tokens, edge_law law = edge_law::independent) {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  for (const token t : tokens) (void)given.add(0, t, {law, row});
  given.rows.assign(tokens.size() + 1, {1, 1, 1, 1});
  given.rows[0] = {4, 3, 2, 1};
  return given;
}

}  // namespace

TEST_CASE("the damping of the golden rows") {
  const auto p = dense_law(std::vector<double>{4, 3, 2, 1});
  const auto q = dense_law(std::vector<double>{1, 4, 2, 3});
  damping_search<double> search;
  CHECK(search.find(p, q, 1).rho == 1);
  CHECK(search.find(p, q, 1).share == 1);
  CHECK(near(search.find(p, q, 2).rho, 1.5, 1e-11));
  CHECK(near(search.find(p, q, 3).rho, 1.939499683078, 1e-11));
}

TEST_CASE("the damping is the root from above, in every form of the rows") {
  random_source random(301);
  damping_search<double> search;
  for (int round = 0; round < 400; ++round) {
    const std::size_t size = random.between(2, 40);
    const auto p = random.weights<double>(size, random.uniform(0, 0.7));
    const auto q = random.weights<double>(size, random.uniform(0, 0.7));
    const std::size_t k = random.between(2, 9);
    double rho = 0;
    for (const bool sparse : {false, true}) {
      const auto found = search.find(law_in_form(p, sparse), law_in_form(q, !sparse), k);
      CAPTURE(size, k, found.rho, found.share);
      CHECK(found.rho >= 1);
      CHECK(found.rho <= static_cast<double>(k));
      CHECK(found.share <= found.rho);  // what keeps the left-over law non-negative
      const auto a = normalised(p);
      const auto b = normalised(q);
      CHECK(excess(a, b, k, found.rho) <= 1e-12);
      if (found.rho > 1.001) CHECK(excess(a, b, k, found.rho - 0.001) >= -1e-12);
      if (sparse) CHECK(near(found.rho, rho, 1e-9));
      rho = found.rho;
    }
  }
}

TEST_CASE("the damping of extreme rows") {
  damping_search<double> search;
  const auto even = dense_law(std::vector<double>{1, 1, 0, 0});
  const auto odd = dense_law(std::vector<double>{0, 0, 1, 3});
  CHECK(near(search.find(even, even, 4).rho, 1, 1e-11));
  const auto apart = search.find(even, odd, 4);
  CHECK(apart.rho == 4);
  CHECK(apart.share == 4);
}

TEST_CASE("a run of independent draws is tested with one damping and leaves one residual") {
  verify_case given = drawn_children({3, 1});
  told_chance chance{{false, false}, {0}};
  const auto seen = run_verifier(k_seq{}, given, chance);
  CHECK(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[0].key == accept_key(10, 1));
  CHECK(chance.coins[1].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 0.1 / (1.5 * 0.3), 1e-10));
  CHECK(near(ratio(chance.coins[1]), 0.3 / (1.5 * 0.4), 1e-10));
  REQUIRE(chance.draws.size() == 1);
  CHECK(chance.draws[0].key == sample_key(11));
  // beta = .1 + .2 + .4/3 + .2/3 = 0.5, c = 1.5: p - 1.5 min(q, p / 1.5) = (.25, 0, 0, 0).
  CHECK(near(chance.draws[0].law[0], 1, 1e-10));
  CHECK(seen.made.kind == last_token_kind::correction);
}

TEST_CASE("draws of groups of one are tested as in recursive rejection, bit for bit") {
  verify_case given = drawn_children({3, 1, 0}, edge_law::without_replacement);
  given.draft.tree.repeat(1, {});
  given.rows[0] = {7, 6, 4, 3};
  for (const std::deque<bool>& answers : {std::deque<bool>{false, false, false, false}, {false, true}, {true}}) {
    told_chance once{answers, {2}};
    told_chance again{answers, {2}};
    const auto grouped = run_verifier(k_seq{}, given, once);
    const auto single = run_verifier(recursive_rejection{}, given, again);
    CHECK(grouped.made.path == single.made.path);
    REQUIRE(once.coins.size() == again.coins.size());
    for (std::size_t i = 0; i < once.coins.size(); ++i) {
      CHECK(once.coins[i].key == again.coins[i].key);
      CHECK(once.coins[i].a == again.coins[i].a);
      CHECK(once.coins[i].b == again.coins[i].b);
    }
    CHECK(once.draws[0].law == again.draws[0].law);
  }
}

TEST_CASE("other draws end a run") {
  verify_case given = drawn_children({3, 1});
  given.draft.tree.reset(0);
  const tree_edge edge{edge_law::independent, 0};
  (void)given.add(0, 3, edge);
  (void)given.add(0, 2);
  (void)given.add(0, 1, edge);
  given.rows.assign(4, {1, 1, 1, 1});
  given.rows[0] = {4, 3, 2, 1};
  told_chance chance{{false, false, false}, {0}};
  (void)run_verifier(k_seq{}, given, chance);
  REQUIRE(chance.coins.size() == 3);
  CHECK(near(ratio(chance.coins[0]), 0.1 / 0.3, 1e-12));  // no damping
  CHECK(chance.coins[1].a == 0);                          // nothing but token 0 is left
}

TEST_CASE("a draw its law could not have given does not count as one of the group") {
  verify_case given;
  const std::int32_t row = given.add_row({1, 1, 0, 2});
  const tree_edge edge{edge_law::independent, row};
  (void)given.add(0, 3, edge);
  (void)given.add(0, 2, edge);
  given.rows.assign(3, {1, 1, 1, 1});
  told_chance chance{{false}, {2}};
  (void)run_verifier(k_seq{}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(near(ratio(chance.coins[0]), 0.25 / 0.5, 1e-12));
}

TEST_CASE("K-SEQ reports a row that cannot be had") {
  verify_case given = drawn_children({3, 1});
  given.rows[2].clear();
  told_chance chance{{false, true}, {}};
  CHECK(run_verifier(k_seq{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("K-SEQ has the target's law in float") { check_drawn_law(independent{}, 3, k_seq{}, 302); }

}  // namespace decant_test
