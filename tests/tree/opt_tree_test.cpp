// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/warm_builds.hpp"

#include <map>
#include <set>

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

struct scored_path {
  tokens path;
  float reach;
};

/// Every path of positive probability down to a depth, by levels.
template <class Law>
std::vector<std::vector<scored_path>> all_levels(const Law& law, std::size_t depth) {
  std::vector<std::vector<scored_path>> levels{{{{0}, 1.0f}}};
  for (std::size_t d = 0; d < depth; ++d) {
    std::vector<scored_path> next;
    for (const scored_path& above : levels.back()) {
      const std::vector<double> weights = law(above.path);
      const double mass = std::accumulate(weights.begin(), weights.end(), 0.0);
      for (std::size_t v = 0; v < weights.size(); ++v) {
        if (weights[v] <= 0) continue;
        scored_path below = above;
        below.path.push_back(static_cast<token>(v));
        below.reach *= static_cast<float>(weights[v] / mass);
        next.push_back(below);
      }
    }
    levels.push_back(next);
  }
  return levels;
}

/// The `count` likeliest paths of the first levels, the shorter first among equals.
std::vector<scored_path> best_of(const std::vector<std::vector<scored_path>>& levels, std::size_t depth,
                                 std::size_t count) {
  std::vector<scored_path> all;
  for (std::size_t d = 1; d <= depth; ++d) all.insert(all.end(), levels[d].begin(), levels[d].end());
  std::stable_sort(all.begin(), all.end(),
                   [](const scored_path& a, const scored_path& b) { return a.reach > b.reach; });
  if (all.size() > count) all.resize(count);
  return all;
}

std::set<tokens> paths_of(const token_tree& tree) {
  std::set<tokens> paths;
  for (const node_id n : tree.all().subspan(1)) paths.insert(tokens_to(tree, n));
  return paths;
}
std::set<tokens> paths_of(const std::vector<scored_path>& list) {
  std::set<tokens> paths;
  for (const scored_path& one : list) paths.insert(one.path);
  return paths;
}

double sum_of(const std::vector<scored_path>& list) {
  double sum = 0;
  for (const scored_path& one : list) sum += static_cast<double>(one.reach);
  return sum;
}

}  // namespace

TEST_CASE("opt_tree finds the likeliest nodes of all, as full enumeration does") {
  philox_chance chance{1};
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const path_law law{seed, 5, seed % 3 == 0 ? 0.3 : 0.0};
    const auto levels = all_levels(law, 5);
    for (const std::int32_t nodes : {0, 1, 2, 5, 11, 40}) {
      const auto built = build(opt_tree{nodes, 0, 5}, {100, 100}, law, chance);
      check_draft(built.draft, {nodes, 5}, law.vocab_size);
      CHECK(paths_of(built.draft.tree) == paths_of(best_of(levels, 5, index(nodes))));
    }
  }
}

TEST_CASE("opt_tree stops once a layer adds no more than min_growth") {
  philox_chance chance{1};
  std::map<std::size_t, int> passes_seen;
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    const path_law law{seed, 4, 0.3};
    constexpr std::size_t count = 8;
    const auto levels = all_levels(law, 6);
    for (const double least : {0.05, 0.3, 0.5, 0.9}) {
      std::size_t depth = 1;
      double last = 0;
      while (depth < 6) {
        const double expected = sum_of(best_of(levels, depth, count));
        if (expected - last <= least) break;
        last = expected;
        ++depth;
      }
      const auto built = build(opt_tree{count, least, 6}, {100, 100}, law, chance);
      CHECK(paths_of(built.draft.tree) == paths_of(best_of(levels, depth, count)));
      CHECK(built.wanted.size() <= depth);
      ++passes_seen[built.wanted.size()];
    }
  }
  CHECK(passes_seen.size() >= 4);
}

TEST_CASE("the worked example of opt_tree") {
  philox_chance chance{1};
  const auto law = [](const tokens& path) -> std::vector<double> {
    if (path.size() == 1) return {6, 4, 0};
    return path[1] == 0 ? std::vector<double>{9, 1, 0} : std::vector<double>{0, 5, 5};
  };
  const auto built = build(opt_tree{3, 0.5, 2}, {100, 100}, law, chance);
  CHECK(paths_of(built.draft.tree) == std::set<tokens>{{0, 0}, {0, 1}, {0, 0, 0}});
  REQUIRE(built.wanted.size() == 2);
  CHECK(built.wanted[1] == std::vector<node_id>{1, 2});
  // Where the third layer is allowed, the only new node of the second is the only one expanded.
  const auto deeper = build(opt_tree{3, 0.5, 3}, {100, 100}, law, chance);
  REQUIRE(deeper.wanted.size() == 3);
  CHECK(deeper.wanted[2].size() == 1);
}

TEST_CASE("certain rows make a chain from the root, cut at its end") {
  philox_chance chance{1};
  const auto law = [](const tokens& path) -> std::vector<double> {
    std::vector<double> weights(4, 0);
    weights[path.size() % 4] = 1;
    return weights;
  };
  const auto built = build(opt_tree{3, 0.5, 10}, {100, 100}, law, chance);
  REQUIRE(built.draft.tree.size() == 4);
  CHECK(built.draft.tree.is_chain());
}

TEST_CASE("opt_tree respects the limits and drafts nothing without room") {
  philox_chance chance{1};
  for (std::int32_t nodes = 0; nodes < 9; ++nodes) {
    for (std::int32_t depth = 0; depth < 5; ++depth) {
      const path_law law{index(nodes * 7 + depth), 6, 0.4};
      const auto built = build(opt_tree{50, 0.01, 10}, {nodes, depth}, law, chance);
      check_draft(built.draft, {nodes, depth}, law.vocab_size);
      CHECK(built.wanted.size() <= index(depth));
      CHECK(built.wanted.empty() == (nodes == 0 || depth == 0));
    }
  }
  CHECK(build(opt_tree{0}, {9, 9}, path_law{}, chance).draft.tree.size() == 1);
  CHECK(build(opt_tree{9, 0.5, 0}, {9, 9}, path_law{}, chance).draft.tree.size() == 1);
}

TEST_CASE("opt_tree in float makes the tree it makes in double") {
  philox_chance chance{1};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const path_law law{seed, 6, 0.2};
    const opt_tree builder{12, 0.1, 4};
    CHECK(build<float>(builder, {100, 100}, law, chance).draft.tree ==
          build<double>(builder, {100, 100}, law, chance).draft.tree);
  }
}

TEST_CASE("opt_tree checks its fields") {
  CHECK(opt_tree{}.check().has_value());
  CHECK_FALSE(opt_tree{-1}.check().has_value());
  CHECK_FALSE(opt_tree{5, -0.1}.check().has_value());
  CHECK_FALSE(opt_tree{5, 0.1, -1}.check().has_value());
  CHECK(opt_tree{} == opt_tree{50, 0.5, 10});
  CHECK(opt_tree{} != opt_tree{49});
  static_assert(pairing<guided_drafter<opt_tree>, match>::ok);
}

TEST_CASE("opt_tree allocates nothing once warm") {
  const opt_tree builder{20, 0.05, 5};
  const warm_build made = build_twice(builder, {20, 5}, path_law{2, 12, 0}({1}));
  CHECK(made.nodes == 21);
  CHECK(made.allocations == 0);
}
