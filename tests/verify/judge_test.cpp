// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/judge.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// Rows by node; an empty one cannot be had.
struct listed_rows {
  std::vector<std::vector<float>> rows{};

  [[nodiscard]] std::span<const float> hidden(node_id n) const {
    return index(n) < rows.size() ? std::span<const float>(rows[index(n)]) : std::span<const float>{};
  }
};

/// A model that keeps two levels.
struct two_levels {
  listed_rows first{};
  listed_rows second{};

  [[nodiscard]] std::span<const float> hidden(std::size_t level, node_id n) const {
    return level == 0 ? first.hidden(n) : second.hidden(n);
  }
};

using judge_rows = judge_test<listed_rows>;
using sampling_judge = judge<standard_test::rejection, listed_rows>;
using greedy_judge = judge<standard_test::greedy, listed_rows>;

}  // namespace

TEST_CASE("a judge scores the row of the drafted token itself") {
  const listed_rows rows{{{9, 9}, {1, -2}}};
  const judge_rows test{{{.5f, .25f}, .1}, .5, {&rows}};
  CHECK(near(*test.score(1), .1, 1e-9));
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  CHECK(run_verifier(sampling_judge{test}, given, chance).made.relaxed == path{1});
  // sigmoid(.1) = .52498
  told_chance below{{false}, {0}};
  CHECK(run_verifier(sampling_judge{{{{.5f, .25f}, .1}, .525, {&rows}}}, given, below).made.path == path{0});
  told_chance above{{false}, {0}};
  CHECK(run_verifier(sampling_judge{{{{.5f, .25f}, .1}, .5249, {&rows}}}, given, above).made.path == path{0, 1});
}

TEST_CASE("scores far from zero neither overflow nor lose the two limits") {
  for (const float extreme : {-1e30f, -800.0f, 0.0f, 800.0f, 1e30f}) {
    const listed_rows rows{{{0}, {extreme}}};
    verify_case given = drawn_case(2);
    told_chance at_zero{{false}, {0}};
    CHECK(run_verifier(sampling_judge{{{{1.0f}, 0}, 0, {&rows}}}, given, at_zero).made.path == path{0, 1});
    told_chance at_one{{false}, {0}};
    CHECK(run_verifier(sampling_judge{{{{1.0f}, 0}, 1, {&rows}}}, given, at_one).made.path == path{0});
  }
}

TEST_CASE("a judge without the row it needs fails the step, unless the standard test accepts first") {
  const listed_rows rows{{{1, 1}}};  // node 1 has none
  const sampling_judge judging{{{{1, 1}, 0}, .5, {&rows}}};
  verify_case given = drawn_case(2);
  told_chance refused{{false}, {0}};
  CHECK(run_verifier(judging, given, refused).status == error_code::row_unavailable);
  told_chance accepted{{true}, {0}};
  CHECK(run_verifier(judging, given, accepted).status == error_code::none);
  // A row of another size than the head's is as good as none.
  const listed_rows longer{{{1, 1}, {1, 1, 1}}};
  told_chance again{{false}, {0}};
  CHECK(run_verifier(sampling_judge{{{{1, 1}, 0}, .5, {&longer}}}, given, again).status == error_code::row_unavailable);
}

TEST_CASE("a judge over two sources joins their rows") {
  const listed_rows draft{{{0}, {2}}};
  const listed_rows target{{{0, 0}, {3, 5}}};
  const judge_test<listed_rows, listed_rows> both{{{10, 100, 1000}, 1}, .5, {&draft, &target}};
  CHECK(near(*both.score(1), 20 + 300 + 5000 + 1, 1e-9));
  const judge_test<listed_rows, listed_rows> too_long{{{1, 1, 1, 1}, 0}, .5, {&draft, &target}};
  CHECK_FALSE(too_long.score(1).has_value());
}

TEST_CASE("a level of a model is a source of rows") {
  const two_levels model{{{{1}, {2}}}, {{{3}, {4}}}};
  const hidden_level<two_levels> deepest{&model, 1};
  const judge_test<hidden_level<two_levels>> test{{{1}, 0}, .5, {&deepest}};
  CHECK(near(*test.score(1), 4, 0));
}

TEST_CASE("a folded scaler scores raw features as the head scores standardised ones") {
  std::uint64_t state = 77;
  for (int round = 0; round < 50; ++round) {
    constexpr std::size_t size = 24;
    const auto weights = random_row(state, size, false);
    const auto mean = random_row(state, size, true);
    const auto scale = random_row(state, size, false);
    const auto h = random_row(state, size, true);
    const auto folded = fold_scaler(weights, .25, mean, scale);
    REQUIRE(folded.has_value());
    double standardised = .25;
    double raw = folded->bias;
    for (std::size_t i = 0; i < size; ++i) {
      standardised += weights[i] * (h[i] - mean[i]) / scale[i];
      raw += static_cast<double>(folded->weights[i]) * h[i];
    }
    REQUIRE(near(raw, standardised, 1e-5 * (1 + std::abs(standardised))));
  }
  const std::vector<double> one{1};
  const std::vector<double> zero{0};
  CHECK_FALSE(fold_scaler(one, 0, one, zero).has_value());
  CHECK_FALSE(fold_scaler(one, 0, {}, one).has_value());
}

TEST_CASE("AutoJudge lets unimportant mismatches pass and stops at important ones") {
  const listed_rows rows{{{0}, {-3}, {.5f}, {3}}};
  // P(important) = sigmoid(h): .047, .62, .95.
  verify_case given;
  const node_id a = given.add(0, 1);
  const node_id b = given.add(a, 1);
  const node_id c = given.add(b, 1);
  given.rows = {{3, 1}, {3, 1}, {3, 1}, {1, 1}};
  told_chance chance;
  const auto strict = run_verifier(auto_judge({{1}, 0}, .1, &rows), given, chance).made;
  CHECK(strict.path == path{0, a});
  CHECK(strict.relaxed == path{a});
  CHECK(strict.last == 0);
  const auto loose = run_verifier(auto_judge({{1}, 0}, .7, &rows), given, chance).made;
  CHECK(loose.path == path{0, a, b});
  const auto all = run_verifier(auto_judge({{1}, 0}, 1, &rows), given, chance).made;
  CHECK(all.path == path{0, a, b, c});
  const auto none = run_verifier(auto_judge({{1}, 0}, 0, &rows), given, chance).made;
  CHECK(none.path == path{0});
}

TEST_CASE("the greedy judge follows the target where it agrees") {
  const listed_rows rows{{{0}, {-9}, {-9}}};
  verify_case given;
  const node_id a = given.add(0, 0);
  (void)given.add(a, 1);
  given.rows = {golden_p, golden_p, golden_p};
  told_chance chance;
  const auto seen = run_verifier(greedy_judge{{{{1}, 0}, .5, {&rows}}}, given, chance).made;
  CHECK(seen.path == path{0, a});
  CHECK(seen.relaxed.empty());
  CHECK(seen.last == 0);
}

TEST_CASE("the law of a judge is not measured but its regret is") {
  const listed_rows rows{{{0}, {1}}};
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  const auto loss = run_verifier(sampling_judge{{{{1}, 0}, .5, {&rows}}}, given, chance).made.loss;
  CHECK(loss.positions == 1);  // the bonus token's
  CHECK(loss.relaxed == 1);
  CHECK(near(loss.regret, std::log(2.5), 1e-12));
}

TEST_CASE("a judge outside its range is refused") {
  const listed_rows rows{};
  CHECK(judge_rows{{{1}, 0}, .5, {&rows}}.check().has_value());
  CHECK_FALSE(judge_rows{{{}, 0}, .5, {&rows}}.check().has_value());
  CHECK_FALSE(judge_rows{{{1}, 0}, 1.5, {&rows}}.check().has_value());
  CHECK_FALSE(judge_rows{{{1}, 0}, std::nan(""), {&rows}}.check().has_value());
  CHECK_FALSE(judge_rows{{{1}, 0}, .5, {nullptr}}.check().has_value());
}

}  // namespace decant_test
