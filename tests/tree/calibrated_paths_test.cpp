// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/tree/calibrated_paths.hpp>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

using namespace decant;
using namespace decant_test;

namespace {

using path = std::vector<std::int32_t>;

/// The values of all nodes, largest first.
std::vector<double> all_values(const rank_acceptance& acceptance) {
  std::vector<double> values;
  std::vector<double> level{1};
  for (const std::vector<double>& by_rank : acceptance) {
    std::vector<double> next;
    for (const double above : level) {
      for (const double a : by_rank) next.push_back(above * a);
    }
    values.insert(values.end(), next.begin(), next.end());
    level = next;
  }
  std::sort(values.rbegin(), values.rend());
  return values;
}

rank_acceptance random_table(random_source& random) {
  rank_acceptance table(random.between(1, 4));
  for (auto& by_rank : table) {
    by_rank.resize(random.between(1, 5));
    for (double& a : by_rank) a = random.uniform(0.001, 0.4);
  }
  return table;
}

}  // namespace

TEST_CASE("the worked example of calibrated_paths") {
  const rank_acceptance table{{0.6, 0.3}, {0.5, 0.2}};
  const valued_paths best = most_valuable_paths(table, 4);
  CHECK(best.paths.front() == path{0});
  CHECK(best.paths.back() == path{1, 0});
  CHECK(best.accepted == Approx(1.35));
  CHECK(calibrated_paths(table, 3) == static_paths<ranked>({{0}, {1}, {0, 0}}));
  CHECK(most_valuable_paths(table, 100).paths.size() == 6);
  CHECK(most_valuable_paths(table, 0).paths.empty());
  CHECK(most_valuable_paths({}, 5).paths.empty());
}

TEST_CASE("the chosen paths are the most valuable of all, whether or not acceptance falls with the rank") {
  random_source random(1);
  for (int round = 0; round < 200; ++round) {
    const rank_acceptance table = random_table(random);
    const std::vector<double> values = all_values(table);
    const std::size_t nodes = random.between(0, 40);
    const valued_paths best = most_valuable_paths(table, nodes);
    REQUIRE(best.paths.size() == std::min(nodes, values.size()));
    double sum = 0;
    for (std::size_t i = 0; i < best.paths.size(); ++i) {
      double value = 1;
      for (std::size_t d = 0; d < best.paths[i].size(); ++d) value *= table[d][index(best.paths[i][d])];
      CHECK(value == Approx(values[i]).epsilon(1e-12));
      sum += value;
    }
    CHECK(best.accepted == Approx(sum).epsilon(1e-12));
    const static_paths<ranked> shape = calibrated_paths(table, nodes);
    CHECK(shape.check().has_value());
    CHECK(shape.size() == best.paths.size());
  }
}

TEST_CASE("for drawn children every lower draw is chosen too, and no such choice is better where acceptance falls") {
  random_source random(2);
  for (int round = 0; round < 200; ++round) {
    rank_acceptance table = random_table(random);
    const std::size_t nodes = random.between(1, 30);
    CHECK(calibrated_paths<without_replacement>(table, nodes).check().has_value());
    for (auto& by_rank : table) std::sort(by_rank.rbegin(), by_rank.rend());
    CHECK(most_valuable_paths(table, nodes, true).accepted == Approx(most_valuable_paths(table, nodes).accepted));
    CHECK(calibrated_paths<without_replacement>(table, nodes).size() == std::min(nodes, all_values(table).size()));
  }
}

TEST_CASE("paths worth nothing are left out") {
  CHECK(most_valuable_paths({{0.5, 0, 0.2}, {0, 0.1}}, 100).paths == rank_paths{{0}, {2}, {0, 1}, {2, 1}});
  CHECK(most_valuable_paths({{0, 0.2}}, 100, true).paths.empty());
}
