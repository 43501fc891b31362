// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/uniform_tail.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/support/laws.hpp"

#include <set>

using namespace decant;
using namespace decant_test;

namespace {

template <class Real = double>
token_draft<Real> draft_with(const std::vector<Real>& weights, bool sparse) {
  token_draft<Real> draft;
  draft.reset(0);
  draft.add_row_after(0).assign(law_in_form(weights, sparse));
  return draft;
}

}  // namespace

TEST_CASE("without exhaustion the uniform tail is drawing without replacement") {
  random_source random(361);
  for (int round = 0; round < 100; ++round) {
    const auto weights = random.weights<double>(20);
    const philox_chance chance{random.bits()};
    token_draft<double> plain = draft_with(weights, random.coin());
    token_draft<double> tailed = plain;
    without_replacement{}.draw(plain, 0, 8, 40, chance);
    uniform_tail{}.draw(tailed, 0, 8, 40, chance);
    CHECK(same_draft(plain, tailed));
  }
}

TEMPLATE_TEST_CASE("an exhausted row is followed by the tokens it gives no weight", "", float, double) {
  random_source random(362);
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = random.between(2, 30);
    const auto weights = random.weights<TestType>(size, 0.6);
    const auto support = static_cast<std::size_t>(
        std::count_if(weights.begin(), weights.end(), [](TestType w) { return w > TestType(0); }));
    const std::size_t count = random.between(0, size + 3);
    const bool sparse = random.coin();
    token_draft<TestType> draft = draft_with(weights, sparse);
    const philox_chance chance{random.bits()};
    uniform_tail{}.draw(draft, 0, static_cast<std::int32_t>(count), 40, chance);
    const std::vector<token> children = child_tokens(draft.tree, 0);
    CHECK(children.size() == std::min(count, size));
    CHECK(std::set<token>(children.begin(), children.end()).size() == children.size());
    for (std::size_t i = 0; i < children.size(); ++i) {
      const tree_edge edge = draft.tree.edge(static_cast<node_id>(i) + 1);
      CHECK(edge == tree_edge{edge_law::without_replacement, i < support ? 0 : 1});
      CHECK((weights[index(children[i])] > TestType(0)) == (i < support));
      CHECK(draft.row_of(edge).weight_of(children[i]) > TestType(0));
    }
    CHECK(draft.tree.validate(size, draft.rows.size(), true).has_value());
    CHECK(draft.rows.size() == (children.size() > support ? 2u : 1u));
  }
}

TEST_CASE("the tail is uniform and drawn with noise of its own") {
  const std::vector<double> weights{0, 3, 0, 0, 1, 0};
  std::vector<double> first(6);
  std::vector<double> second(6);
  constexpr int rounds = 20000;
  for (int round = 0; round < rounds; ++round) {
    token_draft<double> draft = draft_with(weights, true);
    const philox_chance chance{static_cast<std::uint64_t>(round)};
    uniform_tail{}.draw(draft, 0, 4, 3, chance);
    first[index(draft.tree.token_of(3))] += 1;
    if (draft.tree.token_of(1) == 4) second[index(draft.tree.token_of(3))] += 1;  // given an unusual first draw
  }
  const double quarter = rounds / 4.0;
  CHECK(frequencies_agree(first, {quarter, 0, quarter, quarter, 0, quarter}));
  const double sixteenth = rounds / 16.0;
  CHECK(frequencies_agree(second, {sixteenth, 0, sixteenth, sixteenth, 0, sixteenth}));
}

TEST_CASE("trees with a uniform tail are as wide as asked for") {
  philox_chance chance{7};
  const path_law law{3, 12, 0.7};
  const auto built = build(static_widths<uniform_tail>{{6, 3}}, {64, 4}, law, chance);
  CHECK(built.draft.tree.size() == 1 + 6 + 18);
  CHECK(built.draft.tree.validate(12, built.draft.rows.size(), true).has_value());
}
