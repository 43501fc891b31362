// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/warm_builds.hpp"

#include <set>

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

struct scored_node {
  tokens path;
  float score;
  std::size_t layer;
};

bool better(const scored_node& a, const scored_node& b) {
  return a.score != b.score ? a.score > b.score : a.layer < b.layer;
}

/// The paper's procedure word by word: every child of every expanded node is scored, then all are sorted.
template <class Law>
std::set<tokens> plain_tree(const expand_and_rerank& shape, const Law& law) {
  std::vector<scored_node> generated;
  std::vector<scored_node> frontier{{{0}, 1.0f, 0}};
  for (std::int32_t layer = 0; layer <= shape.depth; ++layer) {
    std::vector<scored_node> fresh;
    for (const scored_node& above : frontier) {
      const std::vector<double> weights = law(above.path);
      const double mass = std::accumulate(weights.begin(), weights.end(), 0.0);
      std::vector<std::size_t> order(weights.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
      for (std::size_t rank = 0; rank < std::min(order.size(), index(shape.top_k)); ++rank) {
        if (weights[order[rank]] <= 0) break;
        scored_node child = above;
        child.path.push_back(static_cast<token>(order[rank]));
        child.score *= static_cast<float>(weights[order[rank]] / mass);
        child.layer = index(layer);
        fresh.push_back(child);
      }
    }
    generated.insert(generated.end(), fresh.begin(), fresh.end());
    std::stable_sort(fresh.begin(), fresh.end(), better);
    if (fresh.size() > index(shape.top_k)) fresh.resize(index(shape.top_k));
    frontier = fresh;
  }
  std::stable_sort(generated.begin(), generated.end(), better);
  if (generated.size() > index(shape.total - 1)) generated.resize(index(shape.total - 1));
  std::set<tokens> paths;
  for (const scored_node& one : generated) paths.insert(one.path);
  return paths;
}

std::set<tokens> paths_of(const token_tree& tree) {
  std::set<tokens> paths;
  for (const node_id n : tree.all().subspan(1)) paths.insert(tokens_to(tree, n));
  return paths;
}

/// Few different weights, so that many paths are equally likely.
struct tied_law {
  std::uint64_t seed;
  std::size_t vocab_size = 6;

  std::vector<double> operator()(const tokens& path) const {
    std::uint64_t mixed = seed;
    for (const token t : path) mixed = mixed * 31 + static_cast<std::uint64_t>(t) + 1;
    random_source random(mixed);
    std::vector<double> weights(vocab_size, 0);
    const std::size_t first = random.below(vocab_size);
    weights[first] = 1;
    if (random.coin()) weights[(first + 1) % vocab_size] = 1;
    if (random.coin(0.3)) weights[(first + 2) % vocab_size] = 2;
    return weights;
  }
};

}  // namespace

TEST_CASE("expand_and_rerank makes the tree of the plain procedure") {
  philox_chance chance{1};
  random_source random(4);
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const path_law law{seed, 9, seed % 2 == 0 ? 0.0 : 0.5};
    const expand_and_rerank shape{static_cast<std::int32_t>(random.between(1, 40)),
                                  static_cast<std::int32_t>(random.between(1, 6)),
                                  static_cast<std::int32_t>(random.between(0, 5))};
    const auto built = build(shape, {100, 100}, law, chance);
    check_draft(built.draft, {shape.total - 1, shape.depth + 1}, law.vocab_size);
    CHECK(paths_of(built.draft.tree) == plain_tree(shape, law));
    CHECK(built.wanted.size() <= index(shape.depth) + 1);
    for (const auto& batch : built.wanted) CHECK(batch.size() <= index(shape.top_k));
  }
}

TEST_CASE("equally likely nodes are kept in the order of their making, parents before children") {
  philox_chance chance{1};
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    const tied_law law{seed};
    const expand_and_rerank shape{static_cast<std::int32_t>(2 + seed % 9), 3, 4};
    const auto built = build(shape, {100, 100}, law, chance);
    CHECK(paths_of(built.draft.tree) == plain_tree(shape, law));
  }
}

TEST_CASE("the worked example of expand_and_rerank") {
  philox_chance chance{1};
  const auto law = [](const tokens& path) -> std::vector<double> {
    if (path.size() == 1) return {5, 3, 2};
    return path[1] == 0 ? std::vector<double>{6, 4, 0} : std::vector<double>{9, 1, 0};
  };
  const auto built = build(expand_and_rerank{4, 2, 1}, {100, 100}, law, chance);
  CHECK(paths_of(built.draft.tree) == std::set<tokens>{{0, 0}, {0, 1}, {0, 0, 0}});
}

TEST_CASE("expand_and_rerank respects the limits and drafts nothing without room") {
  philox_chance chance{1};
  for (std::int32_t nodes = 0; nodes < 9; ++nodes) {
    for (std::int32_t depth = 0; depth < 5; ++depth) {
      const path_law law{index(nodes * 7 + depth), 12, 0.2};
      const auto built = build(expand_and_rerank{}, {nodes, depth}, law, chance);
      check_draft(built.draft, {nodes, depth}, law.vocab_size);
      CHECK(built.wanted.size() <= index(depth));
      CHECK(built.wanted.empty() == (nodes == 0 || depth == 0));
      if (nodes > 0 && depth > 0) {
        CHECK(paths_of(built.draft.tree) == plain_tree(expand_and_rerank{nodes + 1, 10, depth - 1}, law));
      }
    }
  }
}

TEST_CASE("what a builder has removed is still known by the number it was drafted under") {
  philox_chance chance{1};
  bool some_removed = false;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto law = [seed](const tokens& path) {
      std::vector<double> weights = path_law{seed, 9, 0}(path);
      for (double& weight : weights) weight *= weight * weight * weight;  // peaked, so that deep nodes push out others
      return weights;
    };
    const auto built = build(expand_and_rerank{8, 4, 3}, {100, 100}, law, chance);
    const token_tree& tree = built.draft.tree;
    for (const node_id n : tree.all().subspan(1)) {
      const node_id old = built.draft.drafted_as(n);
      CHECK(old >= n);
      some_removed = some_removed || old != n;
      // A node that was expanded has its row, one with children was expanded.
      const bool expanded = std::any_of(built.wanted.begin(), built.wanted.end(), [&](const auto& batch) {
        return std::find(batch.begin(), batch.end(), old) != batch.end();
      });
      CHECK(expanded == (built.draft.row_after(n) >= 0));
      CHECK((expanded || tree.first_child(n) == no_node));
    }
  }
  CHECK(some_removed);
}

TEST_CASE("expand_and_rerank checks its fields") {
  CHECK(expand_and_rerank{}.check().has_value());
  CHECK_FALSE(expand_and_rerank{0}.check().has_value());
  CHECK_FALSE(expand_and_rerank{5, 0}.check().has_value());
  CHECK_FALSE(expand_and_rerank{5, 257}.check().has_value());
  CHECK_FALSE(expand_and_rerank{5, 5, -1}.check().has_value());
  CHECK(expand_and_rerank{} == expand_and_rerank{60, 10, 7});
  static_assert(pairing<guided_drafter<expand_and_rerank>, match>::ok);
}

TEST_CASE("expand_and_rerank allocates nothing once warm") {
  const expand_and_rerank builder{20, 4, 5};
  const warm_build made = build_twice(builder, {64, 16}, path_law{2, 12, 0}({1}));
  CHECK(made.nodes == 20);
  CHECK(made.allocations == 0);
}
