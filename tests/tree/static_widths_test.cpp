// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/model/shifted_law.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

namespace {

/// Weights of a law after a path whose root is the prompt of toy A.
std::vector<double> weights_of(const shifted_law<double>& law, const std::vector<token>& path) {
  std::vector<double> weights(law.vocab_size());
  law.weights(path, weights);
  return weights;
}

/// Tokens per step when the target's own sample walks the tree: one, plus the probability of every path.
double match_length(const token_tree& tree, const shifted_law<double>& target) {
  std::vector<double> reached(tree.size(), 1);
  double sum = 1;
  for (const node_id n : tree.all().subspan(1)) {
    const std::vector<double> weights = weights_of(target, tokens_to(tree, tree.parent(n)));
    double mass = 0;
    for (const double w : weights) mass += w;
    reached[index(n)] = reached[index(tree.parent(n))] * weights[index(tree.token_of(n))] / mass;
    sum += reached[index(n)];
  }
  return sum;
}

}  // namespace

TEST_CASE("every node of a level has the width of its level") {
  philox_chance chance{1};
  const path_law law{3, 12, 0};
  const auto built = build(static_widths<without_replacement>{.widths = {3, 2, 1}}, {100, 100}, law, chance);
  const token_tree& tree = built.draft.tree;
  CHECK(tree.size() == 1 + 3 + 6 + 6);
  for (const node_id n : tree.all()) {
    const std::size_t expected[] = {3, 2, 1, 0};
    CHECK(child_tokens(tree, n).size() == expected[index(tree.depth(n))]);
  }
  // One draft pass per level; rows of leaves are never wanted.
  REQUIRE(built.wanted.size() == 3);
  CHECK(built.wanted[0] == std::vector<node_id>{0});
  CHECK(built.wanted[1] == std::vector<node_id>{1, 2, 3});
  CHECK(built.wanted[2] == std::vector<node_id>{4, 5, 6, 7, 8, 9});
  check_draft(built.draft, {15, 3}, law.vocab_size);
}

TEST_CASE("top-k trees of toy A have their golden tokens per step under match") {
  const auto target = shifted_law<double>::toy_a_target(1);
  const auto draft = shifted_law<double>::toy_a_draft(1);
  philox_chance chance{1};
  const auto length = [&](const static_widths<ranked>& builder) {
    const auto law = [&](const std::vector<token>& path) { return weights_of(draft, path); };
    return match_length(build(builder, {100, 100}, law, chance).draft.tree, target);
  };
  CHECK(near(length({.widths = {2}}), 1.4, 1e-12));
  CHECK(near(length({.widths = {3}}), 1.6, 1e-12));
  CHECK(near(length({.widths = {2, 2}}), 1.64, 1e-12));
  CHECK(near(length({.widths = {2, 1}}), 1.54, 1e-12));
  CHECK(near(length({.widths = {1, 2}}), 1.48, 1e-12));
}

TEMPLATE_TEST_CASE("widths respect the limits and want no row they do not use", "", ranked, independent,
                   without_replacement) {
  random_source random(8);
  for (int round = 0; round < 300; ++round) {
    static_widths<TestType> builder{.widths = {}};
    const std::size_t levels = random.between(0, 4);
    for (std::size_t i = 0; i < levels; ++i) builder.widths[i] = static_cast<std::int32_t>(random.between(1, 4));
    REQUIRE(builder.check().has_value());
    const draft_limits limits{static_cast<std::int32_t>(random.between(0, 40)),
                              static_cast<std::int32_t>(random.between(0, 5))};
    philox_chance chance{index(round)};
    const path_law law{index(round), random.between(1, 9), 0.4};
    const auto built = build(builder, limits, law, chance);
    check_draft(built.draft, limits, law.vocab_size);
    const token_tree& tree = built.draft.tree;
    CHECK(static_cast<std::int32_t>(tree.size() + tree.repeats().size()) - 1 <= limits.nodes);
    for (const auto& batch : built.wanted) {
      for (const node_id n : batch) CHECK(tree.first_child(n) != no_node);
    }
  }
}

TEST_CASE("the node limit cuts a level from the right") {
  philox_chance chance{1};
  const path_law law{3, 12, 0};
  const static_widths<ranked> builder{.widths = {3, 3, 3}};
  const auto whole = build(builder, {100, 100}, law, chance);
  for (std::int32_t nodes = 0; nodes <= 39; ++nodes) {
    auto cut = build(builder, {nodes, 100}, law, chance);
    CHECK(cut.draft.tree.size() == index(nodes) + 1);
    token_tree expected = whole.draft.tree;
    expected.truncate(index(nodes) + 1);
    CHECK(cut.draft.tree == expected);
  }
}

TEST_CASE("the number of draws never depends on what is drawn") {
  // All rows have full support, so the shape without replacement is the same at every seed.
  const path_law law{9, 6, 0};
  const static_widths<without_replacement> builder{.widths = {3, 2, 2}};
  std::vector<node_id> parents;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    philox_chance chance{seed};
    const auto built = build(builder, {17, 3}, law, chance);
    std::vector<node_id> found;
    for (const node_id n : built.draft.tree.all()) found.push_back(built.draft.tree.parent(n));
    if (seed == 0) parents = found;
    CHECK(found == parents);
  }
}

TEST_CASE("widths are checked and compared") {
  CHECK(static_widths<ranked>{}.check().has_value());
  CHECK(static_widths<ranked>{.widths = {}}.check().has_value());
  CHECK(static_widths<ranked>{.widths = {2, -1}}.check().code() == error_code::invalid_argument);
  CHECK(static_widths<ranked>{.widths = {2, 0, 1}}.check().code() == error_code::invalid_argument);
  CHECK(static_widths<ranked>{.widths = {257}}.check().code() == error_code::invalid_argument);
  CHECK(static_widths<ranked>{} == static_widths<ranked>{.widths = {4, 2, 2}});
  CHECK(static_widths<ranked>{} != static_widths<ranked>{.widths = {4, 2, 1}});
}
