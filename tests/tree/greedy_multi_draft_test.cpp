// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/greedy_multi_draft.hpp>
#include <decant/tree/static_widths.hpp>

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

TEMPLATE_TEST_CASE("all but the last child are the most probable tokens", "", float, double) {
  random_source random(371);
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = random.between(1, 30);
    const auto weights = random.weights<TestType>(size, random.uniform(0, 0.7));
    const auto support = static_cast<std::size_t>(
        std::count_if(weights.begin(), weights.end(), [](TestType w) { return w > TestType(0); }));
    const std::size_t count = random.between(1, 8);
    token_draft<TestType> draft = draft_with(weights, random.coin());
    token_draft<TestType> top = draft;
    const philox_chance chance{random.bits()};
    greedy_multi_draft{}.draw(draft, 0, static_cast<std::int32_t>(count), 40, chance);
    const std::size_t found = std::min(count, support);
    ranked{}.draw(top, 0, static_cast<std::int32_t>(found) - 1, 40, chance);
    auto children = child_tokens(draft.tree, 0);
    REQUIRE(children.size() == found);
    const token last = children.back();
    children.pop_back();
    CHECK(children == child_tokens(top.tree, 0));
    CHECK(std::find(children.begin(), children.end(), last) == children.end());
    for (std::size_t n = 1; n < found; ++n) CHECK(draft.tree.edge(static_cast<node_id>(n)) == tree_edge{});
    const tree_edge edge = draft.tree.edge(static_cast<node_id>(found));
    CHECK(edge == tree_edge{edge_law::independent, 1});
    const auto rest = draft.row_of(edge);
    for (token t = 0; t < static_cast<token>(size); ++t) {
      const bool taken = std::find(children.begin(), children.end(), t) != children.end();
      CHECK(rest.weight_of(t) == (taken ? TestType(0) : weights[index(t)]));
    }
    CHECK(rest.sparse() == draft.rows.row(0).sparse());
    CHECK(rest.weight_of(last) > TestType(0));
  }
}

TEST_CASE("the last child follows the rest of the row") {
  std::vector<double> seen(5);
  constexpr int rounds = 20000;
  for (int round = 0; round < rounds; ++round) {
    token_draft<double> draft = draft_with<double>({1, 4, 0, 2, 3}, round % 2 == 0);
    const philox_chance chance{static_cast<std::uint64_t>(round)};
    greedy_multi_draft{}.draw(draft, 0, 2, 3, chance);
    seen[index(draft.tree.token_of(2))] += 1;
  }
  CHECK(frequencies_agree(seen, {rounds / 6.0, 0, 0, rounds / 3.0, rounds / 2.0}));
}

TEST_CASE("no greedy multi-draft child is asked for, none is made") {
  token_draft<double> draft = draft_with<double>({1, 1}, false);
  const philox_chance chance{1};
  greedy_multi_draft{}.draw(draft, 0, 0, 3, chance);
  CHECK(draft.tree.size() == 1);
  CHECK(draft.rows.size() == 1);
}

TEST_CASE("trees of greedy multi-drafts keep what every draft must keep") {
  philox_chance chance{7};
  for (const std::int32_t nodes : {0, 1, 4, 7, 64}) {
    const auto built = build(static_widths<greedy_multi_draft>{{3, 2, 1}}, {nodes, 3}, path_law{}, chance);
    check_draft(built.draft, {nodes, 3}, 12);
  }
}
