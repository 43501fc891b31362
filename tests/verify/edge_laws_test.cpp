// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/edge_laws.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {

TEST_CASE("distinct draws reduce the mass of their own row only") {
  verify_case given;
  const std::int32_t first = given.add_row({1, 2, 5});
  const std::int32_t second = given.add_row({2, 2, 4});
  const tree_edge from_first{edge_law::without_replacement, first};
  const tree_edge from_second{edge_law::without_replacement, second};
  const node_id a = given.add(0, 2, from_first);
  const node_id b = given.add(0, 0, from_second);
  const node_id c = given.add(0, 1, from_first);
  const node_id d = given.add(0, 1, {edge_law::independent, first});
  edge_laws<double> laws;
  laws.reset();
  CHECK(laws.next(given.draft, a, from_first).mass == 8);
  CHECK(laws.next(given.draft, b, from_second).mass == 8);
  const auto third = laws.next(given.draft, c, from_first);
  CHECK(third.mass == 3);
  CHECK(third.weight == 2);
  CHECK_FALSE(third.impossible());
  CHECK(laws.next(given.draft, d, {edge_law::independent, first}).mass == 8);
  laws.reset();
  CHECK(laws.next(given.draft, c, from_first).mass == 8);
}

TEST_CASE("a chosen child is a point mass") {
  verify_case given;
  const node_id a = given.add(0, 2);
  edge_laws<double> laws;
  const auto law = laws.next(given.draft, a, {});
  CHECK(law.point_mass);
  CHECK(law.id == 2);
  CHECK_FALSE(law.impossible());
}

TEST_CASE("a token drawn twice without replacement, or without weight, is impossible") {
  verify_case given;
  const std::int32_t row = given.add_row({0, 3, 1});
  const tree_edge edge{edge_law::without_replacement, row};
  const node_id a = given.add(0, 1, edge);
  const node_id again = given.add(0, 1, edge);
  const node_id weightless = given.add(0, 0, edge);
  const node_id outside = given.add(0, 7, edge);
  edge_laws<double> laws;
  laws.reset();
  CHECK_FALSE(laws.next(given.draft, a, edge).impossible());
  CHECK(laws.next(given.draft, again, edge).impossible());
  CHECK(laws.next(given.draft, weightless, edge).impossible());
  CHECK(laws.next(given.draft, outside, edge).impossible());
}

TEST_CASE("the mass left beside a dominant token is summed afresh") {
  // 1 - (1 - 3e-17) would be 0 in double: the difference of the masses has lost what is left.
  verify_case given;
  const std::int32_t row = given.add_row({1.0, 1e-17, 2e-17});
  const tree_edge edge{edge_law::without_replacement, row};
  const node_id a = given.add(0, 0, edge);
  const node_id b = given.add(0, 2, edge);
  edge_laws<double> laws;
  laws.reset();
  (void)laws.next(given.draft, a, edge);
  const auto second = laws.next(given.draft, b, edge);
  CHECK_FALSE(second.impossible());
  CHECK(near(second.mass / 3e-17, 1, 1e-12));
}

}  // namespace decant_test
