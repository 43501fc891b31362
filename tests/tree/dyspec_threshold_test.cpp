// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/dyspec_threshold.hpp>

#include "tests/proof/zoo_builders.hpp"
#include "tests/support/draft_building.hpp"
#include "tests/tree/support/drawn_trees.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// Algorithm 2 as the paper prints it (with v > t), over all outcomes, and with a limit on the nodes.
template <class Real>
class by_the_book {
 public:
  by_the_book(const proof::toy<Real>& world, double threshold, std::size_t nodes, std::size_t depth)
      : world_(world), threshold_(threshold), nodes_(nodes), depth_(depth) {}

  [[nodiscard]] tree_law<Real> law() {
    grow_layer({{Real(1), {}}}, {}, Real(1));
    return std::move(law_);
  }

 private:
  struct entry {
    Real value;
    std::vector<token> path;
  };

  void grow_layer(const std::vector<entry>& layer, const drawn_tree& tree, const Real& probability) {
    if (layer.empty() || layer.front().path.size() == depth_) {
      law_.try_emplace(tree, Real(0)).first->second += probability;
    } else {
      grow_node(layer, 0, layer[0].value, draft_row(world_, layer[0].path), {}, tree, probability);
    }
  }
  void grow_node(const std::vector<entry>& layer, std::size_t at, const Real& value, const std::vector<Real>& rest,
                 const std::vector<entry>& next, const drawn_tree& tree, const Real& probability) {
    Real left(0);
    for (const Real& w : rest) left += w;
    if (tree.size() < nodes_ && as_double(value) > threshold_ && left > Real(0)) {
      for (std::size_t y = 0; y < rest.size(); ++y) {
        const Real share = rest[y] / left;
        if (!(share > Real(0))) continue;
        entry child{value * share, layer[at].path};
        child.path.push_back(static_cast<token>(y));
        std::vector<Real> fewer = rest;
        fewer[y] = Real(0);
        std::vector<entry> longer = next;
        longer.push_back(child);
        drawn_tree larger = tree;
        larger.push_back(child.path);
        grow_node(layer, at, value * (Real(1) - share), fewer, longer, larger, probability * share);
      }
    } else if (at + 1 < layer.size()) {
      grow_node(layer, at + 1, layer[at + 1].value, draft_row(world_, layer[at + 1].path), next, tree, probability);
    } else {
      grow_layer(next, tree, probability);
    }
  }

  const proof::toy<Real>& world_;
  double threshold_;
  std::size_t nodes_;
  std::size_t depth_;
  tree_law<Real> law_;
};

}  // namespace

TEST_CASE("DySpec with a threshold draws the trees of the printed algorithm") {
  for (const auto& world : proof::standard_toys<exact_scalar>(4, 20)) {
    INFO(world.name);
    for (const double threshold : {0.6, 0.35, 0.22}) {
      for (const std::int32_t nodes : {2, 5, 64}) {
        if (world.vocab_size() == 4 && threshold < 0.3) continue;  // many outcomes
        const auto expected = by_the_book<exact_scalar>(world, threshold, index(nodes), 3).law();
        const dyspec_threshold builder{.threshold = threshold, .nodes = nodes, .row_block = nodes == 2 ? 256 : 2};
        CHECK(same_law(enumerated_trees(world, builder, {64, 3}), expected));
        CHECK(same_law(enumerated_trees(world, dyspec_threshold{.threshold = threshold}, {nodes, 3}), expected));
      }
    }
  }
}

TEST_CASE("threshold 1/4 and two levels are the plain threshold tree of the proofs") {
  for (const auto& world : {proof::toy_a<exact_scalar>(), proof::toy_b<exact_scalar>()}) {
    const auto expected = enumerated_trees(world, zoo::threshold_tree<false>{.depth = 2});
    CHECK(same_law(enumerated_trees(world, dyspec_threshold{.threshold = 0.25}, {64, 2}), expected));
  }
}

TEST_CASE("a node has children as long as what is left of it exceeds the threshold, one pass per level") {
  constexpr double threshold = 0.01;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    philox_chance chance{seed};
    const path_law law{seed, 3 + seed, seed % 3 == 0 ? 0.6 : 0.0};
    const auto built = build(dyspec_threshold{.threshold = threshold}, {1000, 30}, law, chance);
    const token_tree& tree = built.draft.tree;
    std::vector<double> reached(tree.size(), 1.0);
    for (const node_id n : tree.all()) {
      double left = reached[index(n)];
      for (node_id c = tree.first_child(n); c != no_node; c = tree.next_sibling(c)) {
        CHECK(left > threshold * (1 - 1e-9));
        reached[index(c)] = reached[index(n)] * built.draft.row_of(tree.edge(c)).probability(tree.token_of(c));
        left -= reached[index(c)];
      }
      CHECK(left <= threshold * (1 + 1e-9));
    }
    check_draft(built.draft, {768, 30}, law.vocab_size);
    for (std::size_t level = 0; level < built.wanted.size(); ++level) {
      for (const node_id n : built.wanted[level]) {
        CHECK(index(tree.depth(n)) == level);
        CHECK(tree.first_child(n) != no_node);
      }
    }
  }
}

TEST_CASE("DySpec with a threshold keeps to its limits, with rows that are exhausted") {
  random_source random(8);
  for (std::uint64_t round = 0; round < 200; ++round) {
    const dyspec_threshold builder{.threshold = random.uniform(0, 0.2),
                                   .nodes = static_cast<std::int32_t>(random.between(0, 60)),
                                   .row_block = static_cast<std::int32_t>(random.between(1, 9))};
    REQUIRE(builder.check().has_value());
    const draft_limits limits{static_cast<std::int32_t>(random.between(0, 60)) - 1,
                              static_cast<std::int32_t>(random.between(0, 5)) - 1};
    philox_chance chance{round};
    const path_law law{round, random.between(1, 9), 0.7};
    const auto built = build(builder, limits, law, chance);
    check_draft(built.draft, {std::max(0, limits.nodes), std::max(0, limits.depth)}, law.vocab_size);
    CHECK(static_cast<std::int32_t>(built.draft.tree.size()) - 1 <= std::max(0, std::min(builder.nodes, limits.nodes)));
    if (limits.nodes <= 0 || limits.depth <= 0 || builder.nodes == 0) CHECK(built.wanted.empty());
    // No row is asked for that the draws left cannot reach.
    std::size_t drawn = 0;
    for (const auto& batch : built.wanted) {
      CHECK(batch.size() <= index(limits.nodes) - drawn);
      drawn = index(batch.back());
    }
  }
}

TEST_CASE("the node limit cuts a threshold tree from the right") {
  philox_chance chance{1};
  const path_law law{3, 12, 0};
  const auto whole = build(dyspec_threshold{.threshold = 0.02}, {1000, 100}, law, chance);
  const std::size_t size = whole.draft.tree.size() - 1;
  REQUIRE(size > 50);
  for (std::size_t nodes = 0; nodes <= size; ++nodes) {
    const auto cut = build(dyspec_threshold{.threshold = 0.02}, {static_cast<std::int32_t>(nodes), 100}, law, chance);
    drawn_tree expected = paths_of(whole.draft.tree);
    expected.resize(nodes);
    CHECK(paths_of(cut.draft.tree) == expected);
  }
}

TEMPLATE_TEST_CASE("the threshold form draws the same tree from sparse and dense rows and allocates nothing once warm",
                   "", float, double) {
  check_rows_and_allocations<TestType>(dyspec_threshold{.threshold = 0.01, .nodes = 200}, {200, 200}, 20);
}

TEST_CASE("DySpec with a threshold is checked and compared") {
  CHECK(dyspec_threshold{}.check().has_value());
  CHECK(dyspec_threshold{.threshold = 0}.check().has_value());
  CHECK(dyspec_threshold{.threshold = 1}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_threshold{.threshold = -0.1}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_threshold{.threshold = std::nan("")}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_threshold{.nodes = -1}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_threshold{.row_block = 0}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_threshold{.threshold = 0.5} == dyspec_threshold{.threshold = 0.5});
  CHECK(dyspec_threshold{.threshold = 0.5} != dyspec_threshold{.threshold = 0.4});
}
