// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/window_verifier.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// Passes a mismatch when the token after it is a match.
struct next_agrees {
  template <class Real>
  [[nodiscard]] bool may_pass(const chain_view<Real>& chain, std::size_t i) const {
    return i + 1 < chain.size() && chain.is_greedy[i + 1] != 0;
  }
};

/// A chain of token 1 whose i-th law has it as its best token where `agrees[i]` is 1; the row after the last token has
/// best token 2.
[[nodiscard]] verify_case chain_case(const std::vector<int>& agrees) {
  verify_case given;
  node_id end = 0;
  for (const int one : agrees) {
    end = given.add(end, 1);
    given.rows.push_back(one == 1 ? std::vector<double>{1, 4, 2} : std::vector<double>{4, 1, 2});
  }
  given.rows.push_back({1, 1, 5});
  return given;
}

[[nodiscard]] verdict judged(const std::vector<int>& agrees, const window_verifier<next_agrees>& verifier = {}) {
  verify_case given = chain_case(agrees);
  told_chance chance;
  const auto seen = run_verifier(verifier, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(chance.draws.empty());
  CHECK(chance.coins.empty());
  return seen.made;
}

}  // namespace

TEST_CASE("a window verifier keeps the leading run that matches or passes") {
  const verdict made = judged({1, 0, 1, 0, 0, 1});
  CHECK(made.path == path{0, 1, 2, 3});
  CHECK(made.relaxed == path{2});
  CHECK(made.last == 0);
  CHECK(made.kind == last_token_kind::sample);
  CHECK(made.loss.relaxed == 1);
  CHECK(near(made.loss.regret, std::log(4.0), 1e-12));
}

TEST_CASE("a window verifier ends a whole chain with the best token after it") {
  const verdict made = judged({1, 0, 1});
  CHECK(made.path == path{0, 1, 2, 3});
  CHECK(made.last == 2);
  CHECK(made.kind == last_token_kind::bonus);
  CHECK(judged({}).path == path{0});
}

TEST_CASE("all rows of the chain are looked at before the first decision") {
  verify_case given = chain_case({0, 0, 1});
  told_chance chance;
  const auto seen = run_verifier(window_verifier<next_agrees>{}, given, chance);
  CHECK(seen.asked_rows == path{0, 1, 2});
  given.rows[2] = {};
  CHECK(run_verifier(window_verifier<next_agrees>{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("an end token is kept only where it is the best one") {
  CHECK(judged({1, 0, 1}, {{}, {{1}}}).path == path{0, 1});
  CHECK(judged({1, 0, 1}, {{}, {{1}, true}}).path == path{0, 1, 2, 3});
}

TEST_CASE("a window verifier asks for a chain and nothing else") {
  CHECK(window_verifier<next_agrees>::needs == edge_needs::nothing);
  CHECK(window_verifier<next_agrees>::shape == shape_needs::chain);
  CHECK(window_verifier<next_agrees>::promises == guarantee::lossy);
}

}  // namespace decant_test
