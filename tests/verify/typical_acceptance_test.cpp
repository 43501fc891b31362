// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/typical_acceptance.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

constexpr typical_acceptance generous{0.15, 0.9, false};

}  // namespace

TEST_CASE("the threshold of typical acceptance is the smaller of its two bounds") {
  const std::vector<double> sharp{97, 1, 1, 1};
  const std::vector<double> flat{1, 1, 1, 1};
  const typical_acceptance rule{0.09, 0.3, false};
  // Sharp: delta * exp(-H) = 0.3 * exp(-0.168) = 0.254 > epsilon.
  CHECK(near(rule.threshold(distribution_view<double>(sharp, 100.0)), 0.09, 1e-12));
  // Flat: H = log 4 up to the 1e-5 in the logarithm, so 0.3 / 4.
  CHECK(near(rule.threshold(distribution_view<double>(flat, 4.0)), 0.075, 1e-5));
}

TEST_CASE("the longest acceptable path wins and every node of it is flagged") {
  verify_case given;
  const node_id likely = given.add(0, 0);
  const node_id less_likely = given.add(0, 1);
  const node_id below = given.add(less_likely, 2);
  given.rows = {{6, 3, 1}, {1, 1, 1}, {0, 1, 4}, {5, 4, 0}};
  told_chance chance{{}, {1}};
  const auto seen = run_verifier(generous, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(seen.made.path == path{0, less_likely, below});
  CHECK(seen.made.relaxed == path{less_likely, below});
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::bonus);
  CHECK(likely == 1);
  REQUIRE(chance.draws.size() == 1);
  CHECK(chance.draws[0].key == sample_key(13));
  CHECK(chance.coins.empty());
}

TEST_CASE("equally long paths go to the likelier one, then to the earlier one") {
  verify_case given;
  const node_id a = given.add(0, 1);
  const node_id b = given.add(0, 0);
  given.rows = {{6, 3, 1}, {1, 1, 1}, {1, 1, 1}};
  told_chance chance{{}, {0}};
  CHECK(run_verifier(generous, given, chance).made.path == path{0, b});
  given.rows[0] = {4, 4, 2};
  told_chance again{{}, {0}};
  CHECK(run_verifier(generous, given, again).made.path == path{0, a});
}

TEST_CASE("the last token is drawn from the tokens above the threshold") {
  verify_case given;
  given.rows = {{80, 15, 5}};
  told_chance chance{{}, {0}};
  (void)run_verifier(typical_acceptance{0.1, 0.9, false}, given, chance);
  CHECK(same_row(chance.draws[0].law, {80.0 / 95, 15.0 / 95, 0}));
  // When no token is above it, the whole law is drawn from.
  given.rows = {{1, 1, 1}};
  told_chance flat{{}, {0}};
  (void)run_verifier(typical_acceptance{0.99, 0.999999, false}, given, flat);
  CHECK(same_row(flat.draws[0].law, {1.0 / 3, 1.0 / 3, 1.0 / 3}));
}

TEST_CASE("the greedy form emits the most probable token without a draw") {
  verify_case given;
  given.rows = {{1, 5, 2}};
  told_chance chance;
  const auto seen = run_verifier(typical_acceptance{0.09, 0.3, true}, given, chance);
  CHECK(seen.made.last == 1);
  CHECK(chance.draws.empty());
}

TEST_CASE("nothing acceptable leaves the root") {
  verify_case given;
  (void)given.add(0, 2);
  given.rows = {{90, 9, 1}, {1, 1, 1}};
  told_chance chance{{}, {0}};
  const auto seen = run_verifier(typical_acceptance::documented(), given, chance);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.relaxed.empty());
  CHECK(seen.made.kind == last_token_kind::sample);
}

TEST_CASE("the walk in draw order stops at the first node whose children are all below the threshold") {
  verify_case given;
  (void)given.add(0, 2);
  const node_id second = given.add(0, 1);
  const node_id below = given.add(second, 0);
  (void)given.add(below, 2);
  given.rows = {{60, 39, 1}, {1, 1, 1}, {60, 39, 1}, {60, 39, 1}, {1, 1, 1}};
  told_chance chance;
  const auto made = run_verifier(typical_walk<>{typical_test::documented()}, given, chance).made;
  CHECK(made.path == path{0, second, below});
  CHECK(made.relaxed == path{second});  // token 0 is the target's own choice
  CHECK(made.last == 0);
  CHECK(made.kind == last_token_kind::sample);
}

TEST_CASE("the walk accepts every token of the golden law") {
  CHECK(near(typical_threshold(view_of(golden_p), 0.09, 0.3), 0.09, 1e-12));
  for (const token drafted : {0, 1, 2}) {
    verify_case given = drawn_case(drafted);
    told_chance chance{{}, {0}};
    const auto made = run_verifier(typical_walk<>{{}, correction_rule::draw}, given, chance).made;
    CHECK(made.path == path{0, 1});
    CHECK(near(made.loss.total_variation, .3, 1e-12));  // the emitted law is q
  }
}

TEST_CASE("the walk and the longest path use one threshold") {
  CHECK(typical_acceptance{0.2, 0.7}.threshold(view_of(golden_p)) == typical_threshold(view_of(golden_p), 0.2, 0.7));
  CHECK(typical_test::swapped() == typical_test{typical_acceptance::swapped().epsilon, 0.09});
  CHECK(typical_test{}.check().has_value());
  CHECK_FALSE(typical_walk<>{{0, 0.3}}.check().has_value());
  CHECK_FALSE(typical_walk<>{{0.3, 1}}.check().has_value());
}

TEST_CASE("typical acceptance reports a row that cannot be had") {
  verify_case given;
  const node_id a = given.add(0, 0);
  (void)given.add(a, 0);
  given.rows = {{9, 1}, {}, {1, 1}};
  told_chance chance{{}, {0}};
  CHECK(run_verifier(generous, given, chance).status == error_code::row_unavailable);
}

}  // namespace decant_test
