// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/draft/reflecting_drafter.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/reflective.hpp>

#include "tests/support/test_kit.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

namespace {

using ids = std::vector<node_id>;

const std::vector<token> text{0, 1, 2, 3, 0};

/// The draft that a reflecting drafter makes over the draft law of toy A.
template <class Builder>
[[nodiscard]] token_draft<double> drafted(const Builder& builder, const reflection_settings& settings,
                                          draft_limits limits = {64, 16}) {
  reflecting_drafter drafter(proof::drafter_of(proof::toy_a<double>(), builder), settings);
  const philox_chance chance{5};
  token_draft<double> draft;
  draft.reset(text.back());
  drafter.extend(text).value_or_throw();
  drafter.start(draft, {text, limits, 4}, chance).value_or_throw();
  drafter.run(draft, chance).value_or_throw();
  drafter.run(draft, chance).value_or_throw();  // nothing more comes of it
  return draft;
}

[[nodiscard]] ids seen_by(const token_tree& tree, node_id n) {
  const node_span seen = tree.also_visible(n);
  return {seen.begin(), seen.end()};
}

[[nodiscard]] std::size_t drafted_nodes(const token_tree& tree) {
  std::size_t count = 0;
  for (const node_id n : tree.all()) count += n > 0 && tree.kind(n) == node_kind::drafted;
  return count;
}

}  // namespace

TEST_CASE("a chain is followed by prompt, text and copies of its inner nodes") {
  const auto draft = drafted(chain<independent>{3}, {{2, 1}, 2});
  const token_tree& tree = draft.tree;
  REQUIRE(tree.size() == 1 + 3 + 2 + 2 + 2);
  CHECK(tree.token_of(4) == 2);
  CHECK(tree.token_of(5) == 1);
  CHECK(tree.token_of(6) == 3);  // the last two tokens of the text
  CHECK(tree.token_of(7) == 0);
  CHECK(tree.token_of(8) == tree.token_of(1));
  CHECK(tree.token_of(9) == tree.token_of(2));
  for (node_id n = 4; n < 10; ++n) {
    CHECK(tree.kind(n) == node_kind::probe);
    CHECK(tree.parent(n) == (n == 4 ? 0 : n - 1));
    CHECK(tree.position_offset(n) == n);  // after the deepest drafted node, one after the other
  }
  CHECK(seen_by(tree, 4).empty());
  CHECK(seen_by(tree, 6).empty());
  CHECK(seen_by(tree, 7) == ids{0});
  CHECK(seen_by(tree, 8) == ids{1});
  CHECK(seen_by(tree, 9) == ids{1, 2});
}

TEST_CASE("copies that see the whole draft list their node last") {
  const auto draft = drafted(chain<independent>{3}, {{2, 1}, 2, reflection_view::whole_draft});
  const token_tree& tree = draft.tree;
  REQUIRE(tree.size() == 10);
  CHECK(seen_by(tree, 4) == ids{1, 2, 3});
  CHECK(seen_by(tree, 7) == ids{1, 2, 3, 0});
  CHECK(seen_by(tree, 8) == ids{2, 3, 1});
  CHECK(seen_by(tree, 9) == ids{1, 3, 2});
  CHECK(reflected_copy(tree, 0) == 7);
  CHECK(reflected_copy(tree, 1) == 8);
  CHECK(reflected_copy(tree, 2) == 9);
  CHECK(reflected_copy(tree, 3) == no_node);
}

TEST_CASE("in a tree every inner node has a copy that sees its own path") {
  const auto draft = drafted(static_widths<without_replacement>{{2, 2, 1}}, {{1}, 3});
  const token_tree& tree = draft.tree;
  const std::size_t nodes = drafted_nodes(tree);
  REQUIRE(nodes == 2 + 4 + 4);
  std::size_t copies = 0;
  for (const node_id n : tree.all().first(1 + nodes)) {
    const node_id copy = reflected_copy(tree, n);
    CHECK((copy == no_node) == (tree.first_child(n) == no_node));
    if (copy == no_node) continue;
    ++copies;
    CHECK(tree.token_of(copy) == tree.token_of(n));
    CHECK(tree.position_offset(copy) == 3 + 1 + 3 + tree.depth(n));
    if (n == 0) continue;
    CHECK(tree.parent(copy) == reflected_copy(tree, tree.parent(n)));
    ids path;
    for (node_id at = n; at > 0; at = tree.parent(at)) path.insert(path.begin(), at);
    CHECK(seen_by(tree, copy) == path);
  }
  CHECK(copies == 7);
  CHECK(tree.size() == 1 + nodes + 1 + 3 + 6);
}

TEST_CASE("draft and probes keep to the node limit, and what is drafted depends on the limit alone") {
  for (std::int32_t nodes = 0; nodes < 24; ++nodes) {
    const auto draft = drafted(chain<independent>{6}, {{1, 2}, 3}, {nodes, 16});
    CHECK(draft.tree.size() - 1 <= index(nodes));
    CHECK(drafted_nodes(draft.tree) == index(std::clamp((nodes - 4) / 2, 0, 6)));
  }
}

TEST_CASE("a drafter without a draft gets no probes") {
  reflecting_drafter drafter(no_drafter{}, {{1, 2}, 3});
  const philox_chance chance{};
  token_draft<float> draft;
  draft.reset(0);
  REQUIRE(drafter.start(draft, {text, {64, 16}, 4}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
  CHECK(draft.tree.size() == 1);
}

TEST_CASE("a text shorter than what is to be repeated is repeated whole") {
  reflecting_drafter drafter(proof::drafter_of(proof::toy_a<double>(), chain<independent>{1}), {{}, 8});
  const philox_chance chance{};
  const std::vector<token> brief{2, 1};
  token_draft<double> draft;
  draft.reset(1);
  REQUIRE(drafter.extend(brief).has_value());
  REQUIRE(drafter.start(draft, {brief, {64, 16}, 4}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
  REQUIRE(draft.tree.size() == 4);
  CHECK(draft.tree.token_of(2) == 2);
  CHECK(draft.tree.token_of(3) == 1);
  CHECK(reflected_copy(draft.tree, 0) == 3);
}

TEST_CASE("wrong settings and a tree seen as a whole are refused") {
  CHECK(reflection_settings{}.check().has_value());
  CHECK_FALSE(reflection_settings{{}, 0}.check().has_value());
  const philox_chance chance{};
  token_draft<double> draft;
  draft.reset(text.back());
  const auto inner = [] { return proof::drafter_of(proof::toy_a<double>(), static_widths<ranked>{{2}}); };
  reflecting_drafter none(inner(), {{}, 0});
  CHECK_FALSE(none.start(draft, {text, {64, 16}, 4}, chance).has_value());
  reflecting_drafter whole(inner(), {{}, 1, reflection_view::whole_draft});
  REQUIRE(whole.extend(text).has_value());
  REQUIRE(whole.start(draft, {text, {64, 16}, 4}, chance).has_value());
  CHECK_FALSE(whole.run(draft, chance).has_value());
}

TEST_CASE("a reflecting drafter drives as its inner drafter does") {
  using self_driven = reflecting_drafter<prompt_lookup<>>;
  using host_driven = reflecting_drafter<guided_drafter<chain<independent>, given_law, float>>;
  CHECK(SelfDrivenDrafter<self_driven>);
  CHECK_FALSE(HostDrivenDrafter<self_driven>);
  CHECK(HostDrivenDrafter<host_driven>);
  CHECK_FALSE(SelfDrivenDrafter<host_driven>);
  CHECK(self_driven::produces == tree_class::deterministic);
  CHECK(host_driven::produces == chain<independent>::produces);
  CHECK_FALSE(host_driven::chains_only);
}

TEST_CASE("a host that supplies the rows gets the probes with the last of them") {
  reflecting_drafter<guided_drafter<chain<independent>, given_law, double>> drafter(
      guided_drafter<chain<independent>, given_law, double>(chain<independent>{2}), {{3}, 1});
  const philox_chance chance{};
  token_draft<double> draft;
  draft.reset(text.back());
  REQUIRE(drafter.extend(text).has_value());
  REQUIRE(drafter.start(draft, {text, {64, 16}, 4}, chance).has_value());
  const std::vector<double> weights{1, 2, 3, 4};
  auto rows = rows_from<double>([&](node_id) { return std::span<const double>(weights); });
  REQUIRE(drafter.supply(draft, rows, chance).has_value());
  CHECK(draft.tree.size() == 2);
  REQUIRE(drafter.supply(draft, rows, chance).has_value());
  CHECK(drafter.wanted().empty());
  CHECK(draft.tree.size() == 1 + 2 + 1 + 1 + 1);
}

}  // namespace decant_test
