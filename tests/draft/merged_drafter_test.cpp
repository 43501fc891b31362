// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/merged_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/support/allocation_counter.hpp"
#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;
using paths = std::vector<tokens>;

/// Drafts given paths, in order, and remembers what it is told.
class path_drafter {
 public:
  static constexpr tree_class produces = tree_class::deterministic;
  static constexpr bool chains_only = false;

  explicit path_drafter(std::vector<tokens> list) : paths_(std::move(list)) {}

  [[nodiscard]] std::size_t length() const { return length_; }
  result<void> extend(token_span added) {
    if (fails) return error_code::model_failed;
    length_ += added.size();
    return {};
  }
  result<void> truncate(std::size_t length) {
    length_ = std::min(length_, length);
    return {};
  }
  template <class Chance>
  result<void> start(token_draft<float>&, const draft_site& site, Chance&) {
    limits = site.limits;
    return {};
  }
  template <class Chance>
  result<void> run(token_draft<float>& draft, Chance&) {
    if (fails) return error_code::model_failed;
    for (const tokens& path : paths_) {
      node_id at = 0;
      for (const token t : path) {
        const node_id known = draft.tree.child_with(at, t);
        at = known == no_node ? draft.tree.append(at, t) : known;
      }
    }
    return {};
  }
  [[nodiscard]] node_span wanted() const { return {}; }
  void observe(const token_tree& tree, node_span kept) {
    seen_tree = tree;
    seen_path.clear();
    for (const node_id n : kept) seen_path.push_back(tree.token_of(n));
  }

  draft_limits limits{};
  token_tree seen_tree;
  tokens seen_path;
  bool fails = false;

 private:
  std::vector<tokens> paths_;
  std::size_t length_ = 0;
};

const tokens context{5, 6, 7};

template <class D>
void draft_with(D& drafter, token_draft<float>& draft, const draft_limits& limits) {
  const philox_chance chance{3};
  draft.reset(7);
  REQUIRE(drafter.start(draft, {context, limits, 100}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
}

/// Kept path from the root along tokens.
std::vector<node_id> path_along(const token_tree& tree, const tokens& below) {
  std::vector<node_id> path{0};
  for (const token t : below) path.push_back(tree.child_with(path.back(), t));
  return path;
}

}  // namespace

static_assert(SelfDrivenDrafter<merged_drafter<float, path_drafter, no_drafter>>);
static_assert(merged_drafter<float, path_drafter, path_drafter>::produces == tree_class::deterministic);
static_assert(merged_drafter<float, path_drafter, no_drafter>::produces == tree_class::sampled);
static_assert(merged_drafter<float, no_drafter>::produces == no_drafter::produces);
static_assert(merged_drafter<float, no_drafter, any_drafter<float, chance_lane<philox_chance>>>::produces ==
              tree_class::arbitrary);

TEST_CASE("the trees of all parts become one, earlier parts first") {
  auto drafter = make_merged_drafter(path_drafter(paths{{1, 2}, {3}}), path_drafter(paths{{1, 4}, {5}}),
                                     path_drafter(paths{tokens{3, 6}}));
  token_draft<float> draft;
  draft_with(drafter, draft, {64, 16});
  token_tree expected(7);
  const node_id one = expected.append(0, 1);
  expected.append(one, 2);
  const node_id three = expected.append(0, 3);
  expected.append(one, 4);
  expected.append(0, 5);
  expected.append(three, 6);
  CHECK(draft.tree == expected);
  // Every part is told the same limits; the merged tree keeps to them.
  CHECK(drafter.part<2>().limits == draft_limits{64, 16});
  draft_with(drafter, draft, {4, 16});
  expected.truncate(5);
  CHECK(draft.tree == expected);
}

TEST_CASE("every part is told its own tree and the kept path as far as it lies there") {
  auto drafter = make_merged_drafter(path_drafter(paths{{1, 2}, {3}}), path_drafter(paths{{1, 4, 8}, {5}}));
  token_draft<float> draft;
  draft_with(drafter, draft, {64, 16});
  drafter.observe(draft.tree, path_along(draft.tree, {1, 4, 8}));
  CHECK(drafter.part<0>().seen_path == tokens{7, 1});
  CHECK(drafter.part<1>().seen_path == tokens{7, 1, 4, 8});
  CHECK(drafter.part<0>().seen_tree.size() == 4);
  CHECK(drafter.part<1>().seen_tree.size() == 5);
  drafter.observe(draft.tree, path_along(draft.tree, {3}));
  CHECK(drafter.part<0>().seen_path == tokens{7, 3});
  CHECK(drafter.part<1>().seen_path == tokens{7});
}

TEST_CASE("a part that failed is caught up, one that is ahead is not told twice") {
  auto drafter = make_merged_drafter(path_drafter(paths{tokens{1}}), path_drafter(paths{tokens{2}}));
  CHECK(drafter.extend(context).has_value());
  drafter.part<1>().fails = true;
  const tokens more{1, 2};
  CHECK(drafter.extend(more).error().code == error_code::model_failed);
  CHECK(drafter.length() == 3);
  CHECK(drafter.part<0>().length() == 5);
  token_draft<float> draft;
  const philox_chance chance{3};
  draft.reset(7);
  REQUIRE(drafter.start(draft, {context, {8, 8}, 100}, chance).has_value());
  CHECK(drafter.run(draft, chance).error().code == error_code::model_failed);
  drafter.part<1>().fails = false;
  CHECK(drafter.extend(more).has_value());
  CHECK(drafter.part<0>().length() == 5);
  CHECK(drafter.part<1>().length() == 5);
  CHECK(drafter.truncate(4).has_value());
  CHECK(drafter.length() == 4);
}

TEST_CASE("a part that is chosen at run time says at run time what it is") {
  using lane = chance_lane<const philox_chance>;
  auto drafter =
      make_merged_drafter(any_drafter<float, lane>(path_drafter(paths{tokens{1}})), path_drafter(paths{tokens{2}}));
  CHECK(drafter.produces == tree_class::arbitrary);
  CHECK(drafter.produces_value() == tree_class::deterministic);
  token_draft<float> draft;
  draft_with(drafter, draft, {8, 8});
  CHECK(draft.tree.size() == 3);
}

TEST_CASE("the parts draw independently, the first one as if it were alone") {
  auto world = proof::toy_a<double>();
  auto alone = proof::drafter_of(world, chain<independent>{3});
  const auto run = [&](auto& drafter, token_draft<double>& draft, std::uint64_t seed) {
    const philox_chance chance{seed};
    if (drafter.length() == 0) REQUIRE(drafter.extend(world.prompt).has_value());
    draft.reset(world.prompt.back());
    REQUIRE(drafter.start(draft, {world.prompt, {64, 16}, 4}, chance).has_value());
    REQUIRE(drafter.run(draft, chance).has_value());
  };
  merged_drafter<double, decltype(alone), decltype(alone)> both(alone, alone);
  token_draft<double> one;
  token_draft<double> two;
  std::size_t differ = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    run(alone, one, seed);
    run(both, two, seed);
    for (const node_id n : one.tree.all()) CHECK(two.tree.token_of(n) == one.tree.token_of(n));
    differ += two.tree.size() > one.tree.size();
  }
  CHECK(differ > 40);  // the second chain is the first one with probability (.01 + .16 + .04 + .09)^3
  std::size_t count = 0;
  for (std::uint64_t seed = 50; seed < 60; ++seed) count += allocations_of([&] { run(both, two, seed); });
  CHECK(count == 0);
}

TEST_CASE("three merged draft models keep the target's law") {
  for (const auto& world : proof::standard_toys<double>(3, 12)) {
    auto second = world;
    second.draft = proof::alternating(world.target, world.draft);
    auto third = world;
    third.draft = proof::alternating(world.draft, world.target);
    auto a = proof::drafter_of(world, chain<independent>{2});
    auto b = proof::drafter_of(second, chain<independent>{1});
    auto c = proof::drafter_of(third, static_widths<without_replacement>{{2}});
    for (const std::int32_t nodes : {2, 64}) {
      const merged_drafter<double, decltype(a), decltype(b), decltype(c)> merged(a, b, c, nodes);
      const auto rejected = proof::prove_drafter(world, merged, recursive_rejection{});
      INFO(world.name << ": " << rejected.describe());
      CHECK(rejected.exact());
      const auto traversed = proof::prove_drafter(world, merged, traversal{});
      INFO(world.name << ": " << traversed.describe());
      CHECK(traversed.exact());
    }
  }
}

TEST_CASE("merged draft models learn the committed text step by step") {
  // Two steps: each model is told what of its draft was kept, and fed the rest.
  const auto world = proof::toy_b<double>();
  auto second = world;
  second.draft = proof::alternating(world.target, world.draft);
  auto a = proof::drafter_of(world, chain<independent>{1});
  auto b = proof::drafter_of(second, chain<independent>{1});
  const merged_drafter<double, decltype(a), decltype(b)> merged(a, b);
  proof::proof_options options;
  options.steps = 2;
  const auto report = proof::prove_drafter(world, merged, recursive_rejection{}, options);
  INFO(report.describe());
  CHECK(report.exact());
}
