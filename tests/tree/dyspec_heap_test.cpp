// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/dyspec_heap.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/drawn_trees.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// Algorithm 1 as the paper prints it, over all outcomes: heap entries hold a value, a node and a residual row.
template <class Real>
class by_the_book {
 public:
  by_the_book(const proof::toy<Real>& world, std::size_t nodes, std::size_t depth)
      : world_(world), nodes_(nodes), depth_(depth) {}

  [[nodiscard]] tree_law<Real> law() {
    std::vector<entry> heap;
    if (depth_ > 0) heap.push_back({Real(1), {}, draft_row(world_, {})});
    grow(heap, {}, Real(1));
    return std::move(law_);
  }

 private:
  struct entry {  // older entries come first in the list
    Real value;
    std::vector<token> path;
    std::vector<Real> rest;
  };

  void grow(const std::vector<entry>& heap, const drawn_tree& tree, const Real& probability) {
    if (tree.size() == nodes_ || heap.empty()) {
      law_.try_emplace(tree, Real(0)).first->second += probability;
      return;
    }
    std::size_t best = 0;
    for (std::size_t i = 1; i < heap.size(); ++i) {
      if (heap[best].value < heap[i].value) best = i;
    }
    const entry popped = heap[best];
    for (std::size_t y = 0; y < popped.rest.size(); ++y) {
      const Real share = popped.rest[y];
      if (!(share > Real(0))) continue;
      std::vector<entry> next = heap;
      next.erase(next.begin() + static_cast<std::ptrdiff_t>(best));
      if (share < Real(1)) next.push_back({popped.value * (Real(1) - share), popped.path, without(popped.rest, y)});
      std::vector<token> child = popped.path;
      child.push_back(static_cast<token>(y));
      if (child.size() < depth_) next.push_back({popped.value * share, child, draft_row(world_, child)});
      drawn_tree larger = tree;
      larger.push_back(child);
      grow(next, larger, probability * share);
    }
  }
  [[nodiscard]] static std::vector<Real> without(std::vector<Real> row, std::size_t y) {
    const Real left = Real(1) - row[y];
    row[y] = Real(0);
    for (Real& w : row) w = w / left;
    return row;
  }

  const proof::toy<Real>& world_;
  std::size_t nodes_;
  std::size_t depth_;
  tree_law<Real> law_;
};

/// The values at which the draws of a finished tree were made, in order, from the laws alone.
template <class Real>
std::vector<double> values_taken(const token_draft<Real>& draft) {
  const token_tree& tree = draft.tree;
  std::vector<double> reached(tree.size(), 1.0);
  std::vector<double> left(tree.size(), 1.0);
  std::vector<double> values;
  for (const node_id n : tree.all().subspan(1)) {
    const std::size_t parent = index(tree.parent(n));
    const double share = draft.row_of(tree.edge(n)).probability(tree.token_of(n));
    values.push_back(reached[parent] * left[parent]);
    left[parent] -= share;
    reached[index(n)] = reached[parent] * share;
  }
  return values;
}

}  // namespace

TEST_CASE("DySpec of fixed size draws the trees of the printed algorithm") {
  for (const auto& world : proof::standard_toys<exact_scalar>(4, 20)) {
    INFO(world.name);
    for (const std::int32_t nodes : {1, 2, 3, 4}) {
      for (const std::int32_t depth : {1, 2, 5}) {
        const auto expected = by_the_book<exact_scalar>(world, index(nodes), index(depth)).law();
        const dyspec_heap builder{.nodes = nodes, .batch = 2, .row_block = nodes == 4 ? 256 : 2};
        CHECK(same_law(enumerated_trees(world, builder, {64, depth}), expected));
        CHECK(same_law(enumerated_trees(world, dyspec_heap{.nodes = 9}, {nodes, depth}), expected));
      }
    }
  }
}

TEST_CASE("the values at which DySpec draws never rise") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    philox_chance chance{seed};
    const path_law law{seed, 3 + seed, seed % 3 == 0 ? 0.6 : 0.0};
    const auto built = build(dyspec_heap{.nodes = 100}, {1000, 30}, law, chance);
    const std::vector<double> values = values_taken(built.draft);
    for (std::size_t i = 1; i < values.size(); ++i) CHECK(values[i] <= values[i - 1] * (1 + 1e-12));
    check_draft(built.draft, {100, 30}, law.vocab_size);
    CHECK(built.draft.tree.size() == 101);
  }
}

TEST_CASE("how many rows are asked for at once does not change the tree") {
  const path_law law{11, 40, 0.2};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    philox_chance chance{seed};
    const auto one_by_one = build(dyspec_heap{.nodes = 64, .batch = 1}, {64, 64}, law, chance);
    for (const auto& batch : one_by_one.wanted) CHECK(batch.size() == 1);
    std::size_t passes = one_by_one.wanted.size();
    for (const std::int32_t batch : {2, 4, 8, 64}) {
      const auto built = build(dyspec_heap{.nodes = 64, .batch = batch}, {64, 64}, law, chance);
      CHECK(paths_of(built.draft.tree) == paths_of(one_by_one.draft.tree));
      for (const auto& wanted : built.wanted) CHECK(wanted.size() <= index(batch));
      CHECK(built.wanted.size() <= passes);
      passes = built.wanted.size();
      // Prefetched rows may stay unused; no more than all nodes are asked for.
      CHECK(built.rows_wanted() >= one_by_one.rows_wanted());
      CHECK(built.rows_wanted() <= 64);
    }
  }
}

TEST_CASE("DySpec asks for no row that the draws left cannot reach") {
  philox_chance chance{4};
  const path_law law{2, 30, 0};
  for (std::int32_t nodes = 1; nodes < 40; ++nodes) {
    const auto built = build(dyspec_heap{.nodes = nodes, .batch = 1000}, {64, 64}, law, chance);
    std::size_t drawn = 0;
    for (const auto& wanted : built.wanted) {
      CHECK(wanted.size() <= index(nodes) - drawn);
      drawn = index(wanted.back());  // at least so many nodes were in the tree when it was asked for
    }
  }
  // A chain: one row after the other, none for the last node.
  const auto certain = [](const std::vector<token>&) { return std::vector<double>{0, 0, 1, 0}; };
  const auto built = build(dyspec_heap{.nodes = 7, .batch = 4}, {64, 64}, certain, chance);
  CHECK(built.draft.tree.is_chain());
  CHECK(built.draft.tree.size() == 8);
  CHECK(built.rows_wanted() == 7);
}

TEST_CASE("DySpec keeps to its limits, with rows that are exhausted") {
  random_source random(8);
  for (std::uint64_t round = 0; round < 200; ++round) {
    const dyspec_heap builder{.nodes = static_cast<std::int32_t>(random.between(0, 30)),
                              .batch = static_cast<std::int32_t>(random.between(1, 9)),
                              .row_block = static_cast<std::int32_t>(random.between(1, 9))};
    REQUIRE(builder.check().has_value());
    const draft_limits limits{static_cast<std::int32_t>(random.between(0, 40)) - 1,
                              static_cast<std::int32_t>(random.between(0, 5)) - 1};
    philox_chance chance{round};
    const path_law law{round, random.between(1, 9), 0.7};
    const auto built = build(builder, limits, law, chance);
    check_draft(built.draft, {std::max(0, limits.nodes), std::max(0, limits.depth)}, law.vocab_size);
    CHECK(static_cast<std::int32_t>(built.draft.tree.size()) - 1 <= std::max(0, std::min(builder.nodes, limits.nodes)));
    if (limits.nodes <= 0 || limits.depth <= 0 || builder.nodes == 0) CHECK(built.wanted.empty());
  }
}

TEMPLATE_TEST_CASE("DySpec draws the same tree from sparse and dense rows and allocates nothing once warm", "", float,
                   double) {
  check_rows_and_allocations<TestType>(dyspec_heap{.nodes = 64}, {64, 64}, 64);
}

TEST_CASE("DySpec of fixed size is checked and compared") {
  CHECK(dyspec_heap{}.check().has_value());
  CHECK(dyspec_heap{.nodes = 0}.check().has_value());
  CHECK(dyspec_heap{.nodes = -1}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_heap{.batch = 0}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_heap{.row_block = 0}.check().code() == error_code::invalid_argument);
  CHECK(dyspec_heap{.nodes = 3} == dyspec_heap{.nodes = 3});
  CHECK(dyspec_heap{.nodes = 3} != dyspec_heap{.nodes = 4});
}
