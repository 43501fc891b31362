// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/block_tree.hpp>
#include <decant/tree/published_paths.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/tree/support/warm_builds.hpp"

using namespace decant;
using namespace decant_test;

namespace {

using tokens = std::vector<token>;

/// As `build`, for a builder whose batches hold probes below other nodes of the batch. Checks that those come in order.
template <class Real = double, class Draw, class Law>
built_draft<Real> build_blocks(const block_tree<Draw>& builder, draft_limits limits, const Law& law,
                               philox_chance& chance) {
  built_draft<Real> built;
  built.draft.reset(0);
  typename block_tree<Draw>::template work<Real> work{};
  std::vector<node_id> given;
  builder.start(work, built.draft, limits);
  while (!node_span(builder.wanted(work)).empty()) {
    const node_span batch = builder.wanted(work);
    CHECK(std::is_sorted(batch.begin(), batch.end()));
    const token_tree& tree = built.draft.tree;
    const auto known = [&](node_id n) { return std::find(given.begin(), given.end(), n) != given.end(); };
    for (const node_id n : batch) {
      CHECK_FALSE(known(n));
      CHECK((n == 0 || known(tree.parent(n))));  // a model has evaluated what a node hangs below
      if (tree.kind(n) == node_kind::probe) CHECK(tree.token_of(n) == builder.mask_token);
      given.push_back(n);
    }
    built.wanted.emplace_back(batch.begin(), batch.end());
    for (const node_id n : batch) write_law(built.draft.add_row_after(n), law(tokens_to(built.draft.tree, n)));
    builder.grow(work, built.draft, 100, chance);
  }
  return built;
}

/// The weights a node's children come from, by definition: those after the path to the head of its block and as many
/// mask tokens as the node is levels below it.
template <class Law>
std::vector<double> block_weights(const tokens& path, std::int32_t block, token mask, const Law& law) {
  const std::size_t depth = path.size() - 1;
  tokens seen = path;
  const std::size_t inside = depth % index(block);
  std::fill(seen.end() - static_cast<std::ptrdiff_t>(inside), seen.end(), mask);
  return law(seen);
}

const static_paths<ranked> deep_shape(paths_from("0 1 2 00 01 10 000 002 100 0000 0020 00000"));

}  // namespace

TEST_CASE("inside a block the candidates come from the head's rows, whatever the path between") {
  philox_chance chance{1};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const path_law law{seed, 12, 0};
    for (const std::int32_t block : {1, 2, 3, 5, 9}) {
      const block_tree<ranked> builder{deep_shape, block, 7};
      const auto built = build_blocks(builder, {100, 100}, law, chance);
      const token_tree& tree = built.draft.tree;
      REQUIRE(tree.size() == deep_shape.size() + 1);
      CHECK(built.wanted.size() == index((5 + block - 1) / block));
      for (const node_id n : tree.all()) {
        CHECK(tree.kind(n) == node_kind::drafted);
        if (tree.first_child(n) == no_node) continue;
        const std::vector<double> weights = block_weights(tokens_to(tree, n), block, 7, law);
        const auto stored = built.draft.rows.row(built.draft.row_after(n));
        CHECK(std::equal(weights.begin(), weights.end(), stored.weights().begin(), stored.weights().end()));
        const double best = *std::max_element(weights.begin(), weights.end());
        CHECK(weights[index(tree.token_of(tree.first_child(n)))] == best);
      }
    }
  }
}

TEST_CASE("cousins inside a block have the same candidates") {
  philox_chance chance{1};
  const auto built = build_blocks(block_tree<ranked>{deep_shape, 2, 7}, {100, 100}, path_law{3, 12, 0}, chance);
  const token_tree& tree = built.draft.tree;
  CHECK(child_tokens(tree, 1)[0] == child_tokens(tree, 2)[0]);
  CHECK(built.draft.row_after(1) == built.draft.row_after(2));
}

TEMPLATE_TEST_CASE("blocks of one level are the plain tree of paths", "", ranked, without_replacement) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const path_law law{seed, 9, 0.2};
    philox_chance chance{seed};
    const auto shape = published_tree<TestType>(published_paths::eagle_25);
    CHECK(same_draft(build_blocks(block_tree<TestType>{shape, 1, 0}, {100, 100}, law, chance).draft,
                     build(shape, {100, 100}, law, chance).draft));
  }
}

TEST_CASE("drawn children carry the shared row as their law and are drawn anew below each parent") {
  const static_paths<without_replacement> shape({{0}, {1}, {0, 0}, {0, 1}, {1, 0}, {1, 1}});
  const path_law law{3, 20, 0};
  bool cousins_differ = false;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    philox_chance chance{seed};
    const auto built = build_blocks(block_tree<without_replacement>{shape, 2, 7}, {100, 100}, law, chance);
    const token_tree& tree = built.draft.tree;
    REQUIRE(tree.size() == 7);
    for (const node_id n : tree.all().subspan(1)) {
      CHECK(tree.edge(n) == tree_edge{edge_law::without_replacement, tree.depth(n) - 1});
    }
    cousins_differ = cousins_differ || child_tokens(tree, 1) != child_tokens(tree, 2);
  }
  CHECK(cousins_differ);
  static_assert(pairing<guided_drafter<block_tree<without_replacement>>, recursive_rejection>::ok);
  static_assert(pairing<guided_drafter<block_tree<ranked>>, match>::ok);
}

TEST_CASE("a block tree respects the limits and forgets its probes") {
  for (std::int32_t nodes = 0; nodes < 14; ++nodes) {
    for (std::int32_t depth = 0; depth < 7; ++depth) {
      philox_chance chance{1};
      const path_law law{index(nodes * 7 + depth), 10, 0.3};
      const auto built = build_blocks(block_tree<ranked>{deep_shape, 2, 7}, {nodes, depth}, law, chance);
      check_draft(built.draft, {nodes, depth}, law.vocab_size);
      CHECK(built.wanted.empty() == (nodes == 0 || depth == 0));
    }
  }
  philox_chance chance{1};
  const auto falcon = published_tree<ranked>(published_paths::falcon_depth_4);
  const auto built = build_blocks(block_tree<ranked>{falcon, 2, 7}, {100, 100}, path_law{1, 40, 0}, chance);
  CHECK(built.draft.tree.size() == 76);
  CHECK(built.wanted.size() == 2);
  // What was drafted is known under its old number.
  for (const node_id n : built.draft.tree.all()) CHECK(built.draft.drafted_as(n) >= n);
}

TEST_CASE("block_tree checks its fields") {
  CHECK(block_tree<ranked>{deep_shape}.check().has_value());
  CHECK_FALSE(block_tree<ranked>{deep_shape, 0}.check().has_value());
  CHECK_FALSE(block_tree<ranked>{deep_shape, 2, -1}.check().has_value());
  CHECK_FALSE(block_tree<ranked>{static_paths<ranked>({{0, 0}})}.check().has_value());
  CHECK(block_tree<ranked>{deep_shape} == block_tree<ranked>{deep_shape, 2, 0});
}

TEST_CASE("a block tree allocates nothing once warm") {
  const block_tree<ranked> builder{published_tree<ranked>(published_paths::falcon_depth_4), 2, 7};
  const warm_build made = build_twice(builder, {100, 16}, path_law{2, 40, 0}({1}));
  CHECK(made.nodes == 76);
  CHECK(made.allocations == 0);
}
