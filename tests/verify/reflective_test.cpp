// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/reflective.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// A root, one drawn token, and the copy of the root with a law of its own.
[[nodiscard]] verify_case reflected_case(const std::vector<double>& p, const std::vector<double>& second_look) {
  verify_case given;
  const std::int32_t row = given.add_row(golden_q);
  (void)given.add(0, 2, {edge_law::independent, row});
  const node_id prompt = given.draft.tree.append_probe(0, 1);
  const std::vector<node_id> root{0};
  (void)given.draft.tree.append_probe(prompt, 0, root);
  given.rows = {p, {1, 1, 1}, {1, 1, 1}, second_look};
  return given;
}

/// The law the base tests against: its coin for token 2 is pi(2) / q(2), its residual norm(relu(pi - q)).
struct tested {
  double ratio;
  std::vector<double> residual;
  path asked;
};

[[nodiscard]] tested tested_by(const reflection& rule, verify_case given) {
  told_chance chance{{false}, {0}};
  const auto seen = run_verifier(reflective_verification<>{rule, {}, {}, false}, given, chance);
  REQUIRE(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 1);
  return {chance.coins[0].a / chance.coins[0].b, chance.draws[0].law, seen.asked_rows};
}

const std::vector<double> second{.2, .3, .5};

}  // namespace

TEST_CASE("probability fusion mixes the two laws") {
  const auto seen = tested_by({.5, reflection_fusion::probability}, reflected_case(golden_p, second));
  CHECK(near(seen.ratio, .35 / .5, 1e-12));
  CHECK(same_row(seen.residual, {1, 0, 0}));
  CHECK(seen.asked == path{0, 3});
}

TEST_CASE("logit fusion is the law of the mixed logits") {
  const std::vector<double> z{1.2, -.4, .3};
  const std::vector<double> y{-2, .5, 1.1};
  constexpr double alpha = .3;
  for (const double temperature : {.5, 1.0, 2.0}) {
    std::vector<double> p(3);
    std::vector<double> r(3);
    std::vector<double> mixed(3);
    double total = 0;
    for (std::size_t v = 0; v < 3; ++v) {
      p[v] = std::exp(z[v] / temperature);
      r[v] = std::exp(y[v] / temperature);
      mixed[v] = std::exp(((1 - alpha) * z[v] + alpha * y[v]) / temperature);
      total += mixed[v];
    }
    const auto seen = tested_by({alpha, reflection_fusion::logit}, reflected_case(p, r));
    CHECK(near(seen.ratio, mixed[2] / total / .5, 1e-12));
  }
}

TEST_CASE("fusion keeps to the laws at its two ends") {
  for (const auto fusion : {reflection_fusion::probability, reflection_fusion::logit}) {
    const auto none = tested_by({0, fusion}, reflected_case(golden_p, second));
    CHECK(near(none.ratio, .2 / .5, 1e-15));
    CHECK(none.asked == path{0});  // the copy's row is not even asked for
    const auto all = tested_by({1, fusion}, reflected_case(golden_p, {.6, .3, .1}));
    CHECK(near(all.ratio, .1 / .5, 1e-12));
  }
}

TEST_CASE("logit fusion of disjoint laws keeps the target's") {
  const auto seen = tested_by({.5, reflection_fusion::logit}, reflected_case({3, 2, 0}, {0, 0, 1}));
  CHECK(seen.ratio == 0);
  const auto extreme = tested_by({.5, reflection_fusion::logit}, reflected_case({1, 1e-300, 1e-300}, {0, 1e-300, 1}));
  CHECK(near(extreme.ratio, 1 / .5, 1e-9));  // no underflow: token 2 has nearly all that is left
}

TEST_CASE("probability fusion stays within alpha of the target") {
  std::uint64_t state = 41;
  for (int i = 0; i < 100; ++i) {
    const auto p = random_row(state, 3, true);
    verify_case given = reflected_case(p, random_row(state, 3, true));
    told_chance chance{{true}, {0}};
    const reflective_verification<> verifier{{.25, reflection_fusion::probability}};
    const auto seen = run_verifier(verifier, given, chance);
    REQUIRE(seen.made.loss.total_variation <= .25 + 1e-12);
    REQUIRE(seen.made.loss.positions == 2);
  }
}

TEST_CASE("nodes without a copy keep the target's law") {
  verify_case given = drawn_case(2);
  told_chance chance{{true}, {0}};
  const auto seen = run_verifier(reflective_verification<>{{.9}}, given, chance);
  CHECK(near(chance.coins[0].a / chance.coins[0].b, .4, 1e-12));
  CHECK(seen.made.loss.total_variation == 0);
}

TEST_CASE("a copy is the probe that lists its node last") {
  verify_case given = reflected_case(golden_p, second);
  CHECK(reflected_copy(given.draft.tree, 0) == 3);
  CHECK(reflected_copy(given.draft.tree, 1) == no_node);  // a leaf has none
}

TEST_CASE("a copy whose row is missing fails the step") {
  verify_case given = reflected_case(golden_p, {});
  told_chance chance{{true}, {0}};
  CHECK(run_verifier(reflective_verification<>{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("a weight outside its range is refused") {
  CHECK(reflection{1}.check().has_value());
  for (const double wrong : {-.1, 1.1, std::nan("")}) CHECK_FALSE(reflection{wrong}.check().has_value());
}

}  // namespace decant_test
