// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/children.hpp>

#include "tests/support/draft_building.hpp"

#include <map>

using namespace decant;
using namespace decant_test;

namespace {

/// A draft whose root has this law.
template <class Real = double>
token_draft<Real> draft_with(const std::vector<double>& weights) {
  token_draft<Real> draft;
  draft.reset(0);
  write_law(draft.add_row_after(0), weights);
  return draft;
}

/// Weight-descending order, lowest id first among equals, positive weights only.
std::vector<token> by_weight(const std::vector<double>& weights) {
  std::vector<token> order;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) order.push_back(static_cast<token>(i));
  }
  std::stable_sort(order.begin(), order.end(), [&](token a, token b) { return weights[index(a)] > weights[index(b)]; });
  return order;
}

/// Counts the draws below a node, repeated ones included.
std::size_t draws_below(const token_tree& tree, node_id n) {
  std::size_t count = 0;
  tree.for_each_draw(n, [&](const tree_draw&) { return ++count == 0; });
  return count;
}

/// Records keys and answers from a list.
struct scripted_chance {
  std::vector<token> answers;
  std::vector<chance_key> keys{};

  bool accept(chance_key, double, double) { return true; }
  token pick(chance_key key, distribution_view<double>) {
    keys.push_back(key);
    return answers[keys.size() - 1];
  }
  std::size_t ordered_sample(chance_key key, distribution_view<double>, std::span<token> out) {
    keys.push_back(key);
    std::copy_n(answers.begin(), out.size(), out.begin());
    return out.size();
  }
};

}  // namespace

TEST_CASE("ranked children are the most probable tokens, ties to the lowest id") {
  random_source random(1);
  philox_chance chance{1};
  for (int round = 0; round < 200; ++round) {
    std::vector<double> weights = random.weights<double>(random.between(1, 40), 0.3);
    for (double& w : weights) w = std::floor(w * 6) / 6 + (w > 0 ? 1.0 / 6 : 0);  // many ties
    const auto count = random.between(0, 45);
    token_draft<double> draft = draft_with(weights);
    ranked{}.draw(draft, 0, static_cast<std::int32_t>(count), 7, chance);
    std::vector<token> expected = by_weight(weights);
    expected.resize(std::min(expected.size(), count));
    CHECK(child_tokens(draft.tree, 0) == expected);
    for (const node_id n : draft.tree.all().subspan(1)) CHECK(draft.tree.edge(n) == tree_edge{});
  }
}

TEST_CASE("ranked children of long rows with few different weights, with block masses and without") {
  philox_chance chance;
  random_source random(2);
  for (const std::size_t vocab_size : {63u, 64u, 65u, 256u, 257u, 582u, 1000u}) {
    for (const double levels : {1.0, 4.0, 1e6}) {
      std::vector<double> weights(vocab_size);
      for (double& w : weights) w = std::floor(levels * random.uniform());
      weights[vocab_size - 1] = levels;
      const std::vector<token> order = by_weight(weights);
      const token_draft<double> draft = draft_with(weights);
      const distribution_view<double> law = draft.rows.row(0);
      CHECK(law.block_masses().empty() == (vocab_size <= law_block));
      for (const distribution_view<double> seen : {law, {law.weights(), law.mass()}}) {
        for (const std::size_t count : {1u, 3u, 64u, 256u}) {
          std::vector<token> chosen(count);
          chosen.resize(ranked{}.choose(seen, chance_key{}, chance, std::span<token>(chosen)));
          const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(count, order.size()));
          CHECK(chosen == std::vector<token>(order.begin(), end));
        }
      }
    }
  }
}

TEST_CASE("the estimate of a child is the probability of its path under the draft laws") {
  philox_chance chance{3};
  token_draft<float> draft = draft_with<float>({1, 3, 0, 4});
  ranked{}.draw(draft, 0, 2, 7, chance);
  CHECK(draft.tree.acceptance(0) == 1.0f);
  CHECK(draft.tree.acceptance(1) == 0.5f);
  CHECK(draft.tree.acceptance(2) == 0.375f);
  write_law(draft.add_row_after(2), {0, 1, 1, 2});
  without_replacement{}.draw(draft, 2, 4, 7, chance);
  REQUIRE(draft.tree.size() == 6);
  for (const node_id n : {3, 4, 5}) {
    CHECK(draft.tree.acceptance(n) == (draft.tree.token_of(n) == 3 ? 0.1875f : 0.09375f));
  }
}

TEST_CASE("independent draws have keys of their own and record repeated tokens") {
  scripted_chance chance{{2, 1, 2, 2, 3}};
  token_draft<double> draft = draft_with({1, 1, 1, 1, 1});
  independent{}.draw(draft, 0, 5, 50, chance);
  CHECK(child_tokens(draft.tree, 0) == std::vector<token>{2, 1, 3});
  REQUIRE(draft.tree.repeats().size() == 2);
  const tree_edge edge{edge_law::independent, 0};
  CHECK(draft.tree.repeats()[0] == repeated_draw{1, edge, 3});
  CHECK(draft.tree.repeats()[1] == repeated_draw{1, edge, 3});
  std::vector<node_id> tested;
  draft.tree.for_each_draw(0, [&](const tree_draw& draw) {
    tested.push_back(draw.child);
    CHECK(draw.edge == edge);
    return false;
  });
  CHECK(tested == std::vector<node_id>{1, 2, 1, 1, 3});
  REQUIRE(chance.keys.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(chance.keys[i] == draft_key(50, static_cast<node_id>(i) + 1));
}

TEST_CASE("children without replacement keep the draw order and one key per parent") {
  scripted_chance chance{{4, 0, 2}};
  token_draft<double> draft = draft_with({1, 1, 1, 1, 1});
  without_replacement{}.draw(draft, 0, 3, 50, chance);
  CHECK(child_tokens(draft.tree, 0) == std::vector<token>{4, 0, 2});
  for (const node_id n : {1, 2, 3}) CHECK(draft.tree.edge(n) == tree_edge{edge_law::without_replacement, 0});
  REQUIRE(chance.keys.size() == 1);
  CHECK(chance.keys[0] == draft_key(50, 0));
  CHECK(draft.tree.repeats().empty());
}

TEST_CASE("no more children are drawn than the row has tokens") {
  philox_chance chance{5};
  const std::vector<double> weights{0, 2, 0, 1, 0, 0, 5};
  for (const std::int32_t count : {0, 1, 2, 3, 4, 200}) {
    const std::size_t expected = std::min<std::size_t>(index(count), 3);
    token_draft<double> drawn = draft_with(weights);
    without_replacement{}.draw(drawn, 0, count, 9, chance);
    CHECK(drawn.tree.size() == expected + 1);
    token_draft<double> repeated = draft_with(weights);
    independent{}.draw(repeated, 0, count, 9, chance);
    CHECK(draws_below(repeated.tree, 0) == expected);
    token_draft<double> chosen = draft_with(weights);
    ranked{}.draw(chosen, 0, count, 9, chance);
    CHECK(chosen.tree.size() == expected + 1);
    check_draft(drawn, {200, 1}, 7);
    check_draft(repeated, {200, 1}, 7);
  }
}

TEST_CASE("a sparse and a dense row give the same children") {
  random_source random(11);
  philox_chance chance{6};
  for (int round = 0; round < 50; ++round) {
    const std::vector<double> weights = random.weights<double>(60, 0.8);
    token_draft<double> dense = draft_with(weights);
    token_draft<double> sparse;
    sparse.reset(0);
    distribution<double>& law = sparse.add_row_after(0);
    law.begin_sparse(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] > 0) law.push(static_cast<token>(i), weights[i]);
    }
    REQUIRE(law.finish() == error_code::none);
    const auto all = [&](token_draft<double>& draft) {
      ranked{}.draw(draft, 0, 3, 100 + index(round), chance);
      without_replacement{}.draw(draft, 0, 3, 200 + index(round), chance);
      independent{}.draw(draft, 0, 3, 300 + index(round), chance);
    };
    all(dense);
    all(sparse);
    CHECK(dense.tree == sparse.tree);
  }
}

TEST_CASE("drawn children follow their row") {
  const std::vector<double> weights{1, 4, 0, 2, 3};
  const int rounds = 20000;
  std::map<std::vector<token>, double> pairs;
  std::map<token, double> singles;
  for (int round = 0; round < rounds; ++round) {
    philox_chance chance{static_cast<std::uint64_t>(round)};
    token_draft<double> without = draft_with(weights);
    without_replacement{}.draw(without, 0, 2, 3, chance);
    pairs[child_tokens(without.tree, 0)] += 1.0 / rounds;
    token_draft<double> with = draft_with(weights);
    independent{}.draw(with, 0, 1, 3, chance);
    singles[with.tree.token_of(1)] += 1.0 / rounds;
  }
  CHECK(singles.count(2) == 0);
  for (const token a : {0, 1, 3, 4}) {
    CHECK(near(singles[a], weights[index(a)] / 10, 0.02));
    for (const token b : {0, 1, 3, 4}) {
      const double law = a == b ? 0 : weights[index(a)] / 10 * weights[index(b)] / (10 - weights[index(a)]);
      CHECK(near(pairs[{a, b}], law, 0.02));
    }
  }
}
