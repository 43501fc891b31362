// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/merge.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include "tests/support/draft_building.hpp"

#include <set>

using namespace decant;
using namespace decant_test;

static_assert(ChanceSource<chance_lane<philox_chance>> && ChanceSource<chance_lane<const philox_chance>>);

namespace {

using tokens = std::vector<token>;

std::set<tokens> paths_of(const token_tree& tree) {
  std::set<tokens> paths;
  for (const node_id n : tree.all()) paths.insert(tokens_to(tree, n));
  return paths;
}

struct tested_draw {
  token id;
  tree_edge edge;
  friend bool operator==(const tested_draw&, const tested_draw&) = default;
};

std::vector<tested_draw> draws_below(const token_tree& tree, node_id n) {
  std::vector<tested_draw> draws;
  tree.for_each_draw(n, [&](const tree_draw& draw) {
    draws.push_back({tree.token_of(draw.child), draw.edge});
    return false;
  });
  return draws;
}

/// Two draft models, one builder: both draft, the trees are merged.
template <class Builder>
class two_models {
 public:
  static constexpr tree_class produces = class_after_merging(Builder::produces, Builder::produces);
  static constexpr bool chains_only = false;
  using model = law_model<shifted_law<double>>;

  two_models(const shifted_law<double>& first, const shifted_law<double>& second, const Builder& builder,
             std::uint32_t second_lane)
      : first_(model(first), builder), second_(model(second), builder), second_lane_(second_lane) {}

  [[nodiscard]] std::size_t length() const { return std::min(first_.length(), second_.length()); }
  result<void> extend(token_span added) {
    (void)first_.extend(added);
    return second_.extend(added);
  }
  result<void> truncate(std::size_t length) {
    (void)first_.truncate(length);
    return second_.truncate(length);
  }
  template <class Chance>
  result<void> start(token_draft<double>& draft, const draft_site& site, Chance& chance) {
    limits_ = site.limits;
    other_.reset(draft.tree.token_of(0));
    if (auto started = first_.start(draft, site, chance); !started) return started;
    return second_.start(other_, site, chance);
  }
  template <class Chance>
  result<void> run(token_draft<double>& draft, Chance& chance) {
    chance_lane<Chance> second{chance, second_lane_};
    if (auto finished = first_.run(draft, chance); !finished) return finished;
    if (auto finished = second_.run(other_, second); !finished) return finished;
    merger_.merge(draft, other_, limits_.nodes);
    return {};
  }
  [[nodiscard]] node_span wanted() const { return {}; }
  void observe(const token_tree& tree, node_span kept) {
    first_.observe(tree, kept);
    std::vector<node_id> own;
    for (const node_id n : kept) {
      if (merger_.came_from(n) == no_node) break;
      own.push_back(merger_.came_from(n));
    }
    second_.observe(other_.tree, own);
  }

 private:
  model_drafter<model, Builder, given_law> first_;
  model_drafter<model, Builder, given_law> second_;
  std::uint32_t second_lane_;
  token_draft<double> other_;
  draft_merger merger_;
  draft_limits limits_{};
};

/// A toy and the draft law of its first model; the second is the same everywhere.
struct merge_world {
  proof::toy<double> toy;
  shifted_law<double> first;

  template <class Builder>
  [[nodiscard]] two_models<Builder> drafter(const Builder& builder, std::uint32_t second_lane = 1) const {
    return {first, shifted_law<double>::toy_a_second_draft(1), builder, second_lane};
  }
};

merge_world world_a() { return {proof::toy_a<double>(), shifted_law<double>::toy_a_draft(1)}; }
/// Its residual has two tokens, so it shows mistakes that toy A hides.
merge_world world_b() { return {proof::toy_b<double>(), shifted_law<double>::toy_b_draft(1)}; }

}  // namespace

TEST_CASE("a merged tree has the paths of both, each once") {
  random_source random(1);
  draft_merger merger;
  for (int round = 0; round < 100; ++round) {
    philox_chance chance{index(round)};
    const static_widths<ranked> builder{.widths = {3, 2, 2}};
    const auto a = build(builder, {static_cast<std::int32_t>(random.between(0, 20)), 3}, path_law{1, 6, 0.2}, chance);
    const auto b =
        build(builder, {static_cast<std::int32_t>(random.between(0, 20)), 3}, path_law{index(round), 6, 0.2}, chance);
    token_draft<double> merged = a.draft;
    merger.merge(merged, b.draft);
    std::set<tokens> expected = paths_of(a.draft.tree);
    expected.merge(paths_of(b.draft.tree));
    CHECK(paths_of(merged.tree) == expected);
    CHECK(merged.tree.size() == expected.size());
    CHECK(merged.tree.validate(6, merged.rows.size(), true).has_value());
    CHECK(merged.tree.repeats().empty());  // a second point mass says nothing new
    token_tree front = merged.tree;
    front.truncate(a.draft.tree.size());
    CHECK(front == a.draft.tree);
    for (const node_id n : b.draft.tree.all()) {
      CHECK(tokens_to(merged.tree, merger.merged_as(n)) == tokens_to(b.draft.tree, n));
      CHECK(merger.came_from(merger.merged_as(n)) == n);
      CHECK(merged.row_after(merger.merged_as(n)) >= std::min(b.draft.row_after(n), 0));
    }
  }
}

TEST_CASE("a merged node keeps the laws of both drafts, in draw order") {
  token_draft<double> a;
  a.reset(0);
  write_law(a.add_row_after(0), {0.5, 0.25, 0.25});
  const tree_edge law_a{edge_law::independent, 0};
  a.tree.append(0, 0, law_a, {0.5f, 1});
  a.tree.append(0, 1, law_a);
  a.tree.repeat(1, law_a);

  token_draft<double> b;
  b.reset(0);
  write_law(b.add_row_after(0), {0.1, 0.2, 0.7});
  const tree_edge law_b{edge_law::without_replacement, 0};
  b.tree.append(0, 1, law_b);
  b.tree.append(0, 2, law_b, {0.7f, 2});
  b.tree.append(0, 0, law_b);
  write_law(b.add_row_after(1), {1, 0, 0});
  b.tree.append(1, 0, {edge_law::independent, 1});
  b.tree.repeat(1, tree_edge{});

  draft_merger merger;
  merger.merge(a, b);
  const tree_edge moved{edge_law::without_replacement, 1};
  CHECK(draws_below(a.tree, 0) ==
        std::vector<tested_draw>{{0, law_a}, {1, law_a}, {0, law_a}, {1, moved}, {2, moved}, {0, moved}, {1, {}}});
  CHECK(draws_below(a.tree, 2) == std::vector<tested_draw>{{0, {edge_law::independent, 2}}});
  CHECK(a.rows.size() == 3);
  CHECK(a.rows.row(1).weight_of(2) == 0.7);
  CHECK(a.row_after(0) == 0);  // the row of the first draft stays
  CHECK(a.row_after(2) == 2);
  CHECK(a.tree.acceptance(1) == 0.5f);
  CHECK(a.tree.source(3) == 2);
  CHECK(a.tree.validate(3, a.rows.size(), true).has_value());
}

TEST_CASE("a full tree takes no further draw, not even one that needs no node") {
  const auto chain_of = [](const tokens& path) {
    token_draft<double> draft;
    draft.reset(0);
    node_id end = 0;
    for (const token t : path) {
      if (draft.row_after(end) < 0) write_law(draft.add_row_after(end), {1, 1, 1});
      end = draft.tree.append(end, t, {edge_law::independent, draft.row_after(end)});
    }
    return draft;
  };
  draft_merger merger;
  token_draft<double> full = chain_of({1, 2});
  merger.merge(full, chain_of({1, 2, 1}), 2);
  CHECK(full.tree == chain_of({1, 2}).tree);
  CHECK(merger.merged_as(1) == no_node);

  token_draft<double> room = chain_of({1, 2});
  merger.merge(room, chain_of({1, 2, 1, 1}), 3);
  CHECK(room.tree.size() == 4);
  CHECK(room.tree.repeats().size() == 2);
  CHECK(merger.merged_as(3) == 3);
  CHECK(merger.merged_as(4) == no_node);

  token_draft<double> again = chain_of({2});
  again.tree.repeat(1, again.tree.edge(1));
  token_draft<double> small = chain_of({1});
  merger.merge(small, again, 2);
  CHECK(small.tree.size() == 3);
  CHECK(small.tree.repeats().empty());
}

TEST_CASE("probes are merged with what they see") {
  token_draft<double> a;
  a.reset(0);
  a.tree.append(0, 5);
  token_draft<double> b;
  b.reset(0);
  const node_id first = b.tree.append(0, 4);
  const node_id second = b.tree.append(0, 5);
  const std::vector<node_id> seen{first};
  b.tree.append_probe(second, 9000, seen, 4);
  draft_merger merger;
  merger.merge(a, b);
  REQUIRE(a.tree.size() == 4);
  CHECK(a.tree.kind(3) == node_kind::probe);
  CHECK(a.tree.parent(3) == 1);
  CHECK(a.tree.position_offset(3) == 4);
  REQUIRE(a.tree.also_visible(3).size() == 1);
  CHECK(a.tree.also_visible(3)[0] == 2);
}

TEST_CASE("the class of a merged tree") {
  CHECK(class_after_merging(tree_class::deterministic, tree_class::deterministic) == tree_class::deterministic);
  CHECK(class_after_merging(tree_class::deterministic, tree_class::sampled) == tree_class::sampled);
  CHECK(class_after_merging(tree_class::sampled, tree_class::sampled) == tree_class::sampled);
  CHECK(class_after_merging(tree_class::counted, tree_class::counted) == tree_class::sampled);
  CHECK(class_after_merging(tree_class::sampled, tree_class::arbitrary) == tree_class::arbitrary);
}

TEST_CASE("lanes of a chance source draw differently, lane 0 as the source") {
  const philox_chance source{7};
  chance_lane<const philox_chance> zero{source, 0};
  chance_lane<const philox_chance> one{source, 1};
  distribution<double> law;
  write_law(law, std::vector<double>(1000, 1));
  int same = 0;
  for (node_id n = 0; n < 50; ++n) {
    const chance_key key = draft_key(9, n);
    CHECK(zero.pick(key, law.view()) == source.pick(key, law.view()));
    same += one.pick(key, law.view()) == source.pick(key, law.view());
  }
  CHECK(same < 5);
}

TEST_CASE("trees merged from two models are exact under recursive rejection") {
  const auto prove = [](const merge_world& world, const auto& builder, const proof::proof_options& options) {
    const auto report = proof::prove_drafter(world.toy, world.drafter(builder), recursive_rejection{}, options);
    INFO(report.describe());
    CHECK(report.exact());
    return report.expected_emitted();
  };
  // What the same two chains reach unmerged, at least.
  CHECK(prove(world_a(), chain<independent>{.length = 2}, {}) >= 2.403 - 1e-12);
  for (const merge_world& world : {world_a(), world_b()}) {
    prove(world, chain<independent>{.length = 1}, {.steps = 2});
    prove(world, static_widths<without_replacement>{.widths = {2}}, {});
    prove(world, static_widths<independent>{.widths = {2}}, {});
    // Cut by the node limit, which never looks at a token.
    prove(world, chain<independent>{.length = 2}, {.limits = {3, 2}});
    prove(world, static_widths<independent>{.widths = {2}}, {.limits = {3, 2}});
  }
}

TEST_CASE("two models that share their noise are not exact") {
  const merge_world world = world_b();
  const auto drafter = world.drafter(chain<independent>{.length = 1}, 0);
  CHECK_FALSE(proof::prove_drafter(world.toy, drafter, recursive_rejection{}).exact());
}
