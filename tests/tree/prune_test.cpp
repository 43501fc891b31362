// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/warm_builds.hpp"

#include <map>

using namespace decant;
using namespace decant_test;

namespace {

struct even_tokens {
  template <class Real>
  bool operator()(const token_draft<Real>& draft, node_id n) const {
    return draft.tree.token_of(n) % 2 == 0;
  }
};

using tokens = std::vector<token>;

/// A draft of everything a tree can hold, at random: probes, repeated draws, rows.
token_draft<double> random_draft(random_source& random, std::size_t size) {
  token_draft<double> draft;
  draft.reset(0);
  while (draft.tree.size() < size) {
    const auto parent = static_cast<node_id>(random.below(draft.tree.size()));
    const auto other = static_cast<node_id>(random.below(draft.tree.size()));
    if (random.coin(0.2)) {
      const std::vector<node_id> seen{other};
      draft.tree.append_probe(parent, 9000, seen);
    } else if (draft.tree.kind(parent) == node_kind::drafted) {
      if (draft.row_after(parent) < 0) write_law(draft.add_row_after(parent), random.weights<double>(8));
      const tree_edge edge{edge_law::independent, draft.row_after(parent)};
      const node_id added = draft.tree.append(parent, static_cast<token>(draft.tree.size()), edge,
                                              {static_cast<float>(random.uniform()), 3});
      if (random.coin(0.3)) draft.tree.repeat(added, edge);
    }
  }
  return draft;
}

}  // namespace

TEST_CASE("pruning keeps exactly the nodes whose whole path is kept") {
  random_source random(1);
  for (int round = 0; round < 200; ++round) {
    const token_draft<double> before = random_draft(random, random.between(1, 40));
    std::vector<bool> keep;
    for (std::size_t i = 0; i < before.tree.size(); ++i) keep.push_back(random.coin(0.8));
    const auto path_kept = [&](node_id n) {
      for (; n > 0; n = before.tree.parent(n)) {
        if (!keep[index(n)]) return false;
      }
      return true;
    };
    token_draft<double> after = before;
    prune<tree_class::arbitrary>(after, [&](node_id n) { return keep[index(n)]; });

    std::vector<node_id> kept;
    std::map<node_id, node_id> renamed{{no_node, no_node}};
    for (const node_id n : before.tree.all()) {
      if (!path_kept(n)) continue;
      renamed[n] = static_cast<node_id>(kept.size());
      kept.push_back(n);
    }
    REQUIRE(after.tree.size() == kept.size());
    for (const node_id n : after.tree.all()) {
      const node_id old = kept[index(n)];
      CHECK(after.drafted_as(n) == old);
      CHECK(after.tree.parent(n) == renamed[before.tree.parent(old)]);
      CHECK(after.tree.token_of(n) == before.tree.token_of(old));
      CHECK(after.tree.edge(n) == before.tree.edge(old));
      CHECK(after.tree.kind(n) == before.tree.kind(old));
      CHECK(after.tree.acceptance(n) == before.tree.acceptance(old));
      CHECK(after.tree.source(n) == before.tree.source(old));
      CHECK(after.tree.depth(n) == before.tree.depth(old));
      CHECK(after.row_after(n) == before.row_after(old));
      std::vector<node_id> seen;
      for (const node_id other : before.tree.also_visible(old)) {
        if (path_kept(other)) seen.push_back(renamed[other]);
      }
      CHECK(std::equal(seen.begin(), seen.end(), after.tree.also_visible(n).begin(), after.tree.also_visible(n).end()));
      // The draws below each node are the old ones without those of removed nodes.
      std::vector<node_id> draws_before;
      std::vector<node_id> draws_after;
      before.tree.for_each_draw(old, [&](const tree_draw& draw) {
        if (path_kept(draw.child)) draws_before.push_back(renamed[draw.child]);
        return false;
      });
      after.tree.for_each_draw(n, [&](const tree_draw& draw) {
        draws_after.push_back(draw.child);
        return false;
      });
      CHECK(draws_after == draws_before);
    }
  }
}

TEST_CASE("a pruned draft can be pruned again and appended to") {
  token_draft<double> draft;
  draft.reset(0);
  for (token t = 1; t <= 5; ++t) draft.tree.append(0, t);
  prune<tree_class::deterministic>(draft, [](node_id n) { return n != 2; });
  prune<tree_class::deterministic>(draft, [](node_id n) { return n != 1; });
  CHECK(child_tokens(draft.tree, 0) == tokens{3, 4, 5});
  CHECK(draft.drafted_as(1) == 3);
  CHECK(draft.drafted_as(3) == 5);
  const node_id added = draft.tree.append(0, 6);
  CHECK(draft.drafted_as(added) == no_node);
  CHECK(child_tokens(draft.tree, 0) == tokens{3, 4, 5, 6});
  draft.reset(0);
  CHECK(draft.drafted_as(4) == 4);
}

TEST_CASE("pruning keeps the class of deterministic trees and takes it from sampled ones") {
  CHECK(pruned<static_widths<ranked>, even_tokens>::produces == tree_class::deterministic);
  CHECK(pruned<static_widths<independent>, even_tokens>::produces == tree_class::arbitrary);
  CHECK(reranked<static_widths<ranked>>::produces == tree_class::deterministic);
  CHECK(reranked<static_paths<without_replacement>>::produces == tree_class::arbitrary);
  CHECK(reranked<reranked<chain<independent>>>::produces == tree_class::arbitrary);
  CHECK(pruned<chain<ranked>, even_tokens>::chains_only);
  CHECK_FALSE(reranked<static_widths<ranked>>::chains_only);
  static_assert(pairing<guided_drafter<reranked<static_widths<independent>>>, match>::ok);
}

TEST_CASE("a pruned builder removes what its rule refuses") {
  philox_chance chance{1};
  const path_law law{3, 12, 0};
  const static_widths<ranked> inner{.widths = {4, 3, 2}};
  const auto whole = build(inner, {100, 100}, law, chance);
  const auto built = build(pruned<static_widths<ranked>, even_tokens>{inner, {}}, {100, 100}, law, chance);
  CHECK(built.wanted == whole.wanted);
  std::size_t expected = 1;
  for (const node_id n : whole.draft.tree.all().subspan(1)) {
    const tokens path = tokens_to(whole.draft.tree, n);
    expected += std::all_of(path.begin(), path.end(), [](token t) { return t % 2 == 0; });
  }
  CHECK(built.draft.tree.size() == expected);
  CHECK(expected > 1);
  CHECK(expected < whole.draft.tree.size());

  const auto likely = build(pruned<static_widths<ranked>, min_acceptance>{inner, {0.02f}}, {100, 100}, law, chance);
  for (const node_id n : likely.draft.tree.all()) CHECK(likely.draft.tree.acceptance(n) >= 0.02f);
  CHECK(likely.draft.tree.size() > 1);
  CHECK(likely.draft.tree.size() < whole.draft.tree.size());
}

TEST_CASE("a re-ranked tree is the best of a larger one") {
  random_source random(5);
  for (int round = 0; round < 60; ++round) {
    philox_chance chance{index(round)};
    const path_law law{index(round), 9, 0.2};
    const static_widths<ranked> inner{.widths = {4, 3, 3}};
    const auto keep = static_cast<std::int32_t>(random.between(0, 30));
    const auto whole = build(inner, {200, 3}, law, chance);
    const auto best = build(reranked<static_widths<ranked>>{inner, keep, 200}, {40, 3}, law, chance);
    check_draft(best.draft, {keep, 3}, law.vocab_size);
    REQUIRE(best.draft.tree.size() == std::min(index(keep), whole.draft.tree.size() - 1) + 1);
    // Its estimates are the largest ones of the whole tree.
    const auto sorted = [](const token_tree& tree) {
      std::vector<float> estimates;
      for (const node_id n : tree.all()) estimates.push_back(tree.acceptance(n));
      std::sort(estimates.rbegin(), estimates.rend());
      return estimates;
    };
    std::vector<float> expected = sorted(whole.draft.tree);
    expected.resize(best.draft.tree.size());
    CHECK(sorted(best.draft.tree) == expected);
  }
}

TEST_CASE("a re-ranked tree never holds more than the node limit, and drafts no more where that is small") {
  philox_chance chance{1};
  const path_law law{2, 12, 0};
  const reranked<static_widths<ranked>> builder{{.widths = {4, 4, 4}}, 10, 60};
  for (std::int32_t nodes = 0; nodes < 20; ++nodes) {
    const auto built = build(builder, {nodes, 3}, law, chance);
    CHECK(built.draft.tree.size() == index(std::min(nodes, 10)) + 1);
    if (nodes < 10) CHECK(built.rows_wanted() <= index(nodes));
  }
}

TEST_CASE("pruning allocates nothing once warm") {
  const reranked<static_widths<ranked>> builder{{.widths = {4, 4, 4}}, 10, 60};
  const warm_build made = build_twice(builder, {20, 3}, path_law{2, 12, 0}({1}));
  CHECK(made.nodes == 11);
  CHECK(made.allocations == 0);
}
