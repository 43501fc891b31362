// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/margin_acceptance.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] std::vector<token> accepted(const std::vector<double>& row, double margin) {
  const token_draft<double> draft;
  no_work<double> none;
  const auto says = margin_test{margin}.at(predicate_site<double>{draft, 0, view_of(row)}, none);
  std::vector<token> tokens;
  for (token v = 0; index(v) < row.size(); ++v) {
    if (says(v, no_node)) tokens.push_back(v);
  }
  return tokens;
}

using token_list = std::vector<token>;

}  // namespace

TEST_CASE("the runner-up passes when it is within the margin") {
  const double gap = std::log(.5 / .3);
  CHECK(accepted(golden_p, gap + 1e-9) == token_list{0, 1});
  CHECK(accepted(golden_p, gap - 1e-9) == token_list{0});
  CHECK(accepted({.2, .3, .5}, gap + 1e-9) == token_list{1, 2});
}

TEST_CASE("the margin does not depend on the scale of the weights, that is on a constant added to the logits") {
  for (const double shift : {-9.0, 0.0, 30.0}) {
    const std::vector<double> row{std::exp(10 + shift), std::exp(9.2 + shift), std::exp(1 + shift)};
    CHECK(accepted(row, .9) == token_list{0, 1});
    CHECK(accepted(row, .7) == token_list{0});
  }
}

TEST_CASE("a margin of zero accepts the best token only, even in a tie") {
  CHECK(accepted({2, 2, 1}, 0) == token_list{0});
  CHECK(accepted({1, 2, 2}, 0) == token_list{1});
  CHECK(accepted({1, 2, 2}, .001) == token_list{1, 2});
}

TEST_CASE("a runner-up without mass is no runner-up") {
  CHECK(accepted({0, 3, 0}, 1000) == token_list{1});
  CHECK(accepted({3}, 1) == token_list{0});
}

TEST_CASE("only the two best tokens are ever accepted") { CHECK(accepted({3, 3, 3, 3}, 5) == token_list{0, 1}); }

TEST_CASE("an accepted runner-up is flagged with its regret") {
  verify_case given;
  (void)given.add(0, 1);
  given.rows = {golden_p, golden_p};
  told_chance chance;
  const auto seen = run_verifier(margin_acceptance<standard_test::greedy>{{1}}, given, chance).made;
  CHECK(seen.relaxed == path{1});
  CHECK(near(seen.loss.regret, std::log(.5 / .3), 1e-12));
}

TEST_CASE("a negative margin is refused") {
  CHECK(margin_test{0}.check().has_value());
  CHECK_FALSE(margin_acceptance<>{{-1}}.check().has_value());
}

}  // namespace decant_test
