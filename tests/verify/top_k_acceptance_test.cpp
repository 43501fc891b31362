// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/greedy.hpp>
#include <decant/verify/top_k_acceptance.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// The tokens among the k best of a law.
[[nodiscard]] std::vector<token> accepted(distribution_view<double> law, std::size_t k) {
  const token_draft<double> draft;
  top_k_test::work<double> scratch;
  const auto says = top_k_test{k}.at(predicate_site<double>{draft, 0, law}, scratch);
  std::vector<token> tokens;
  for (token v = 0; index(v) < law.vocab_size(); ++v) {
    if (says(v, no_node)) tokens.push_back(v);
  }
  return tokens;
}

using token_list = std::vector<token>;

}  // namespace

TEST_CASE("top-k acceptance ranks by weight, then by id") {
  const std::vector<double> row{2, 5, 2, 2, 7};
  CHECK(accepted(view_of(row), 1) == token_list{4});
  CHECK(accepted(view_of(row), 2) == token_list{1, 4});
  CHECK(accepted(view_of(row), 3) == token_list{0, 1, 4});
  CHECK(accepted(view_of(row), 4) == token_list{0, 1, 2, 4});
  CHECK(accepted(view_of(row), 5) == token_list{0, 1, 2, 3, 4});
  CHECK(accepted(view_of(row), 50) == token_list{0, 1, 2, 3, 4});
}

TEST_CASE("a token the target excludes is never among the best") {
  const std::vector<double> row{0, 3, 0};
  CHECK(accepted(view_of(row), 3) == token_list{1});
  const std::vector<token> ids{2, 9};
  const std::vector<double> weights{1, 2};
  const distribution_view<double> sparse(ids, weights, 12, 3);
  CHECK(accepted(sparse, 1) == token_list{9});
  CHECK(accepted(sparse, 12) == token_list{2, 9});
}

TEST_CASE("top-k acceptance agrees with a full ranking") {
  std::uint64_t state = 31;
  for (int i = 0; i < 100; ++i) {
    auto row = random_row(state, 12, i % 2 == 0);
    for (double& x : row) x = std::floor(x * 20);  // ties
    if (std::count(row.begin(), row.end(), 0.0) == 12) continue;
    for (std::size_t k = 1; k <= 12; ++k) {
      token_list ranked;
      for (token v = 0; v < 12; ++v) ranked.push_back(v);
      std::stable_sort(ranked.begin(), ranked.end(), [&](token a, token b) { return row[index(a)] > row[index(b)]; });
      ranked.resize(k);
      std::erase_if(ranked, [&](token v) { return row[index(v)] == 0; });
      std::sort(ranked.begin(), ranked.end());
      REQUIRE(accepted(view_of(row), k) == ranked);
    }
  }
}

TEST_CASE("k of one walks as greedy verification does") {
  for (const token drafted : {0, 1, 2}) {
    verify_case given;
    const node_id a = given.add(0, drafted);
    (void)given.add(a, 1);
    given.rows = {golden_p, {1, 4, 2}, {1, 1, 3}};
    told_chance chance;
    const auto relaxed = run_verifier(top_k_acceptance<>{{1}}, given, chance).made;
    const auto strict = run_verifier(greedy{}, given, chance).made;
    CHECK(relaxed.path == strict.path);
    CHECK(relaxed.last == strict.last);
    CHECK(relaxed.kind == strict.kind);
    CHECK(relaxed.relaxed.empty());
  }
}

TEST_CASE("a k of zero is refused") {
  CHECK(top_k_test{1}.check().has_value());
  CHECK_FALSE(top_k_acceptance<>{{0}}.check().has_value());
}

}  // namespace decant_test
