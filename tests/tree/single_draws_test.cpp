// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/single_draws.hpp>

#include "tests/support/random.hpp"
#include "tests/tree/support/drawn_trees.hpp"

using namespace decant;
using namespace decant_test;

namespace {

template <class Real>
void add_row(token_draft<Real>& draft, node_id n, const std::vector<Real>& weights, bool sparse) {
  draft.add_row_after(n).assign(law_in_form(weights, sparse).view());
}

/// Draws `count` tokens below the root, or as many as there are.
template <class Real, class Chance>
std::vector<token> draw_many(single_draws<Real>& draws, token_draft<Real>& draft, const std::vector<Real>& weights,
                             bool sparse, std::size_t count, std::int32_t block, Chance& chance) {
  draft.reset(0);
  add_row(draft, 0, weights, sparse);
  draws.start(1, block);
  const std::size_t row = draws.open(draft, 0);
  std::vector<token> drawn;
  while (drawn.size() < count && draws.share_left(row) > mass_t<Real>(0)) {
    drawn.push_back(draft.tree.token_of(draws.draw(draft, row, 7, chance)));
  }
  return drawn;
}

using order_law = law_of<std::vector<token>, exact_scalar>;

/// P(order) = product of w / (what is left), written down directly.
void successive_draws(const std::vector<exact_scalar>& weights, std::size_t count, std::vector<token>& order,
                      const exact_scalar& probability, order_law& law) {
  exact_scalar left(0);
  for (const exact_scalar& w : weights) left += w;
  if (order.size() == count || !(left > exact_scalar(0))) {
    law[order] = probability;
    return;
  }
  for (std::size_t v = 0; v < weights.size(); ++v) {
    if (!(weights[v] > exact_scalar(0))) continue;
    std::vector<exact_scalar> rest = weights;
    rest[v] = exact_scalar(0);
    order.push_back(static_cast<token>(v));
    successive_draws(rest, count, order, probability * weights[v] / left, law);
    order.pop_back();
  }
}

}  // namespace

TEST_CASE("single draws have the law of successive draws, whatever the block and the form of the row") {
  const std::vector<std::vector<exact_scalar>> rows{{1, 4, 2, 3}, {0, 5, 0, 1, 2}, {1, 1, 1, 1}, {0, 0, 3}, {2}};
  for (const auto& weights : rows) {
    for (const std::size_t count : {std::size_t{2}, weights.size()}) {
      order_law expected;
      std::vector<token> order;
      successive_draws(weights, count, order, exact_scalar(1), expected);
      for (const std::int32_t block : {1, 2, 3, 256}) {
        for (const bool sparse : {false, true}) {
          order_law found;
          proof::enumerating_chance<exact_scalar> chance;
          single_draws<exact_scalar> draws;
          token_draft<exact_scalar> draft;
          proof::enumerate(chance, [&] {
            const auto drawn = draw_many(draws, draft, weights, sparse, count, block, chance);
            const auto place = found.try_emplace(drawn, exact_scalar(0)).first;
            place->second += chance.probability();
          });
          CHECK(chance.failure().empty());
          CHECK(same_law(found, expected));
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("sparse and dense rows draw the same tokens until nothing is left", "", float, double) {
  random_source random(3);
  single_draws<TestType> draws;
  token_draft<TestType> draft;
  for (std::uint64_t round = 0; round < 200; ++round) {
    const std::size_t size = random.between(1, 700);
    const auto weights = random.weights<TestType>(size, 0.9);
    const auto block = static_cast<std::int32_t>(random.between(1, 300));
    const philox_chance chance{round};
    const auto dense = draw_many(draws, draft, weights, false, size, block, chance);
    const auto sparse = draw_many(draws, draft, weights, true, size, block, chance);
    CHECK(dense == sparse);
    CHECK(dense.size() == static_cast<std::size_t>(std::count_if(weights.begin(), weights.end(),
                                                                 [](TestType w) { return w > TestType(0); })));
    for (const node_id n : draft.tree.all().subspan(1)) {
      CHECK(draft.tree.edge(n) == tree_edge{edge_law::without_replacement, 0});
      CHECK(draft.tree.child_with(0, draft.tree.token_of(n)) == n);  // no token twice
    }
  }
}

TEST_CASE("single draws from large rows have their frequencies") {
  struct size {
    std::size_t vocab;
    std::size_t bins;  ///< tokens are counted in so many bins of neighbours
    std::size_t rounds;
  };
  for (const auto [vocab, bins, rounds] : {size{1000, 1000, 60'000}, size{32'000, 50, 4'000}}) {
    random_source random(5);
    std::vector<float> weights = random.weights<float>(vocab);
    for (std::size_t i = 0; i < vocab; i += 7) weights[i] *= 40;
    for (std::size_t i = 0; i < vocab; i += 301) weights[i] *= 200;
    std::vector<double> p;
    double mass = 0;
    for (const float w : weights) mass += static_cast<double>(w);
    double odds = 0;  // of all tokens
    for (const float w : weights) {
      p.push_back(static_cast<double>(w) / mass);
      odds += p.back() / (1 - p.back());
    }
    const auto bin_of = [bins = bins, vocab = vocab](std::size_t v) { return v * bins / vocab; };
    std::vector<double> found[2];
    std::vector<double> expected[2];
    for (std::size_t draw = 0; draw < 2; ++draw) {
      found[draw].assign(bins, 0.0);
      expected[draw].assign(bins, 0.0);
    }
    for (std::size_t v = 0; v < vocab; ++v) {
      expected[0][bin_of(v)] += static_cast<double>(rounds) * p[v];
      expected[1][bin_of(v)] += static_cast<double>(rounds) * p[v] * (odds - p[v] / (1 - p[v]));
    }
    single_draws<float> draws;
    token_draft<float> draft;
    draft.reset(0);
    add_row(draft, 0, weights, false);
    for (std::size_t round = 0; round < rounds; ++round) {
      const philox_chance chance{round};
      draft.tree.reset(0);
      draws.start(1, usual_row_block);
      const std::size_t row = draws.open(draft, 0);
      for (auto& counts : found) ++counts[bin_of(index(draft.tree.token_of(draws.draw(draft, row, 7, chance))))];
    }
    for (std::size_t draw = 0; draw < 2; ++draw) CHECK(frequencies_agree(found[draw], expected[draw]));
  }
}

TEST_CASE("what is left of a row keeps its digits when one token held nearly all of it") {
  std::vector<float> weights(600, 1e-12f);
  weights[300] = 1;
  single_draws<float> draws;
  token_draft<float> draft;
  const philox_chance chance{1};
  const auto drawn = draw_many(draws, draft, weights, false, 2, 256, chance);
  CHECK(drawn[0] == 300);
  CHECK(near(draws.share_left(0) / 598e-12, 1, 1e-6));
  CHECK(draws.share_of(draft, 0, 300) <= 1);
}

TEST_CASE("rows are drawn from in any order, each without its own tokens") {
  const philox_chance chance{9};
  token_draft<double> draft;
  draft.reset(0);
  add_row(draft, 0, {1, 1, 1}, false);
  single_draws<double> draws;
  draws.start(4, 2);
  const std::size_t root = draws.open(draft, 0);
  CHECK(draws.share_left(root) == 1);
  const node_id a = draws.draw(draft, root, 7, chance);
  add_row(draft, a, {1, 1, 0}, true);
  const std::size_t below = draws.open(draft, a);
  CHECK(near(draws.share_left(root), 2.0 / 3, 1e-15));
  const node_id b = draws.draw(draft, below, 7, chance);
  const node_id c = draws.draw(draft, root, 7, chance);
  CHECK(draws.share_left(below) == 0.5);
  (void)draws.draw(draft, below, 7, chance);
  (void)draws.draw(draft, root, 7, chance);
  CHECK(draws.share_left(below) == 0);
  CHECK(draws.share_left(root) == 0);
  CHECK(draft.tree.parent(b) == a);
  CHECK(draft.tree.parent(c) == 0);
  CHECK(draft.tree.validate(3, 2, true).has_value());
}
