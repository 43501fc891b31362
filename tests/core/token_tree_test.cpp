// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/token_tree.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <set>
#include <string>
#include <vector>

namespace {

using decant::edge_law;
using decant::error_code;
using decant::index;
using decant::no_node;
using decant::node_id;
using decant::node_kind;
using decant::token;
using decant::token_tree;
using decant::tree_draw;
using decant::tree_edge;
using decant_test::random_source;

using nodes = std::vector<node_id>;

token_tree tree_of(const nodes& parents) {
  token_tree tree(100);
  for (std::size_t i = 1; i < parents.size(); ++i) tree.append(parents[i], static_cast<token>(100 + i));
  return tree;
}

template <class Read>
std::vector<std::int32_t> column(const token_tree& tree, Read&& read) {
  std::vector<std::int32_t> out;
  for (const node_id n : tree.all()) out.push_back(read(n));
  return out;
}

std::vector<tree_draw> draws_below(const token_tree& tree, node_id n) {
  std::vector<tree_draw> draws;
  tree.for_each_draw(n, [&](const tree_draw& draw) {
    draws.push_back(draw);
    return false;
  });
  return draws;
}

nodes children_drawn(const token_tree& tree, node_id n) {
  nodes out;
  for (const tree_draw& draw : draws_below(tree, n)) out.push_back(draw.child);
  return out;
}

std::string complaint(const decant::result<void>& checked) { return checked.error().message().c_str(); }

/// One step of building a tree, so that a tree can be built up to any size twice.
struct build_step {
  enum class kind { append, probe, repeat } what;
  node_id where;
  token id;
  tree_edge edge;
  nodes visible;
};

build_step random_step(random_source& random, const token_tree& tree) {
  const tree_edge edge{static_cast<edge_law>(random.below(3)), static_cast<std::int32_t>(random.below(4))};
  const auto where = static_cast<node_id>(random.below(tree.size()));
  const std::size_t choice = random.below(10);
  if (choice == 0 && where != 0) return {build_step::kind::repeat, where, 0, edge, {}};
  if (choice <= 2 || tree.kind(where) == node_kind::probe) {
    return {
        build_step::kind::probe, where, random.token_below(50), {}, {static_cast<node_id>(random.below(tree.size()))}};
  }
  return {build_step::kind::append, where, random.token_below(20), edge, {}};
}

void apply(const build_step& step, token_tree& tree) {
  switch (step.what) {
    case build_step::kind::append: tree.append(step.where, step.id, step.edge); break;
    case build_step::kind::probe: tree.append_probe(step.where, step.id, step.visible); break;
    case build_step::kind::repeat: tree.repeat(step.where, step.edge); break;
  }
}

/// Everything a tree tells about itself.
void check_same(const token_tree& a, const token_tree& b) {
  REQUIRE(a == b);
  for (const node_id n : a.all()) {
    CHECK(a.first_child(n) == b.first_child(n));
    CHECK(a.next_sibling(n) == b.next_sibling(n));
    CHECK(a.depth(n) == b.depth(n));
    CHECK(nodes(a.also_visible(n).begin(), a.also_visible(n).end()) ==
          nodes(b.also_visible(n).begin(), b.also_visible(n).end()));
    CHECK(children_drawn(a, n) == children_drawn(b, n));
  }
}

}  // namespace

TEST_CASE("the worked example of a tree of seven nodes") {
  const token_tree tree = tree_of({-1, 0, 0, 1, 1, 2, 3});
  CHECK(column(tree, [&](node_id n) { return tree.parent(n); }) == nodes{-1, 0, 0, 1, 1, 2, 3});
  CHECK(column(tree, [&](node_id n) { return tree.depth(n); }) == nodes{0, 1, 1, 2, 2, 2, 3});
  CHECK(column(tree, [&](node_id n) { return tree.position_offset(n); }) == nodes{0, 1, 1, 2, 2, 2, 3});
  CHECK(column(tree, [&](node_id n) { return tree.first_child(n); }) == nodes{1, 3, 5, 6, -1, -1, -1});
  CHECK(column(tree, [&](node_id n) { return tree.next_sibling(n); }) == nodes{-1, 2, -1, 4, -1, -1, -1});
  CHECK(column(tree, [&](node_id n) { return tree.token_of(n); }) == nodes{100, 101, 102, 103, 104, 105, 106});
  CHECK(nodes(tree.all().begin(), tree.all().end()) == nodes{0, 1, 2, 3, 4, 5, 6});
  std::vector<token> path;
  tree.path_tokens(6, path);
  CHECK(path == std::vector<token>{101, 103, 106});
  tree.path_tokens(0, path);
  CHECK(path.empty());
  CHECK(tree.child_with(1, 104) == 4);
  CHECK(tree.child_with(1, 105) == no_node);
  CHECK_FALSE(tree.is_chain());
}

TEST_CASE("siblings stay in draw order, with their laws and facts") {
  token_tree tree(1);
  tree.append(0, 5, {edge_law::without_replacement, 0}, {0.5f, 3});
  tree.append(0, 4);
  tree.append(1, 6);
  tree.append(0, 5, {edge_law::independent, 2});
  CHECK(children_drawn(tree, 0) == nodes{1, 2, 4});
  CHECK(tree.child_with(0, 5) == 1);
  CHECK(tree.edge(1) == tree_edge{edge_law::without_replacement, 0});
  CHECK(tree.edge(2) == tree_edge{});
  CHECK(tree.acceptance(1) == 0.5f);
  CHECK(tree.source(1) == 3);
  CHECK(tree.acceptance(0) == 1.0f);
}

TEST_CASE("a chain is a tree of width one") {
  token_tree tree(1);
  CHECK(tree.is_chain());
  tree.append(0, 2);
  tree.append(1, 3);
  CHECK(tree.is_chain());
  token_tree forked = tree;
  forked.append(1, 4);
  CHECK_FALSE(forked.is_chain());
  tree.append_probe(2, 5);
  CHECK_FALSE(tree.is_chain());
}

TEST_CASE("probes hang outside the child lists") {
  token_tree tree(1);
  tree.append(0, 2);
  const node_id probe = tree.append_probe(0, 5000, {}, 7);
  const node_id below = tree.append_probe(probe, 5001, nodes{1});
  tree.append(0, 3);
  CHECK(tree.kind(probe) == node_kind::probe);
  CHECK(tree.kind(1) == node_kind::drafted);
  CHECK(children_drawn(tree, 0) == nodes{1, 4});
  CHECK(tree.first_child(probe) == no_node);
  CHECK(tree.depth(below) == 2);
  CHECK(tree.position_offset(probe) == 7);
  CHECK(tree.position_offset(below) == 2);
  CHECK(tree.also_visible(below).size() == 1);
  CHECK(tree.also_visible(below)[0] == 1);
  CHECK(tree.also_visible(probe).empty());
  CHECK(tree.validate(10).has_value());
}

TEST_CASE("draws below a node include the repeated ones, in the order they happened") {
  token_tree tree(1);
  const node_id a = tree.append(0, 5, {edge_law::independent, 0});
  tree.repeat(a, {edge_law::independent, 0});
  const node_id b = tree.append(0, 6, {edge_law::independent, 0});
  const node_id under_a = tree.append(a, 7, {edge_law::independent, 1});
  tree.repeat(under_a, {edge_law::independent, 1});
  tree.repeat(a, {edge_law::independent, 2});
  tree.repeat(b, {edge_law::deterministic, -1});
  CHECK(children_drawn(tree, 0) == nodes{a, a, b, a, b});
  CHECK(children_drawn(tree, a) == nodes{under_a, under_a});
  CHECK(children_drawn(tree, b).empty());
  CHECK(draws_below(tree, 0)[3].edge == tree_edge{edge_law::independent, 2});
  std::set<node_id> coins;
  std::size_t count = 0;
  for (const node_id n : tree.all()) {
    for (const tree_draw& draw : draws_below(tree, n)) {
      coins.insert(draw.coin);
      ++count;
    }
  }
  CHECK(count == 7);
  CHECK(coins.size() == 7);
}

TEST_CASE("a visit of draws stops when told to") {
  token_tree tree(1);
  tree.append(0, 5);
  tree.append(0, 6);
  tree.repeat(1, {});
  for (int stop_at = 0; stop_at <= 3; ++stop_at) {
    int seen = 0;
    const bool stopped = tree.for_each_draw(0, [&](const tree_draw&) { return seen++ == stop_at; });
    CHECK(stopped == (stop_at < 3));
    CHECK(seen == std::min(stop_at + 1, 3));
  }
}

TEST_CASE("truncating gives the tree as it was") {
  random_source random(401);
  for (int round = 0; round < 200; ++round) {
    token_tree tree(7);
    std::vector<build_step> steps;
    const std::size_t length = random.between(1, 40);
    while (steps.size() < length) {
      steps.push_back(random_step(random, tree));
      apply(steps.back(), tree);
    }
    const std::size_t keep = random.between(1, tree.size());
    tree.truncate(keep);
    // Repeated draws recorded before the first node that goes belong to the tree as it was.
    token_tree expected(7);
    for (const build_step& step : steps) {
      if (step.what != build_step::kind::repeat && expected.size() == keep) break;
      apply(step, expected);
    }
    check_same(tree, expected);
    const build_step more = random_step(random, tree);  // and it can be built on
    apply(more, tree);
    apply(more, expected);
    check_same(tree, expected);
  }
}

TEST_CASE("trees differ by token, shape, law, draws and probes") {
  const auto base = [] {
    token_tree tree(1);
    tree.append(0, 2, {edge_law::independent, 0});
    tree.append(0, 3);
    tree.repeat(1, {edge_law::independent, 0});
    tree.append_probe(2, 9, nodes{1});
    return tree;
  };
  CHECK(base() == base());
  token_tree other = base();
  other.append(2, 4);
  CHECK_FALSE(other == base());
  other = base();
  other.repeat(2, {});
  CHECK_FALSE(other == base());
  token_tree plain(1);
  CHECK_FALSE(plain == token_tree(2));
  plain.append(0, 2, {edge_law::independent, 1});
  plain.append(0, 3);
  plain.repeat(1, {edge_law::independent, 0});
  plain.append_probe(2, 9, nodes{1});
  CHECK_FALSE(plain == base());
}

TEST_CASE("validation explains the first broken invariant") {
  CHECK(complaint(token_tree().validate(10)) == "the token tree is not valid: it has no root");
  token_tree tree(3);
  CHECK(tree.validate(10).has_value());
  CHECK(tree.validate(3).code() == error_code::invalid_token);
  tree.append(0, 10);
  CHECK(complaint(tree.validate(10)) == "a token id is not below the vocabulary size: node 1 carries token 10");
  CHECK(tree.validate(11).has_value());

  tree.reset(3);
  tree.append(0, -1);
  CHECK(complaint(tree.validate(10)) == "a token id is not below the vocabulary size: node 1 carries token -1");

  tree.reset(3);
  tree.append(0, 4, {edge_law::independent, 2});
  CHECK(complaint(tree.validate(10, 2)) ==
        "the token tree is not valid: node 1 was sampled from a row that is not stored: 2");
  CHECK(tree.validate(10, 3).has_value());
  tree.repeat(1, {edge_law::without_replacement, -1});
  CHECK(complaint(tree.validate(10, 3)) ==
        "the token tree is not valid: node 1 was drawn again from a row that is not stored: -1");

  tree.reset(3);
  tree.append(0, 4);
  tree.append(0, 5);
  tree.append(1, 4);
  tree.append(0, 4);
  CHECK(tree.validate(10).has_value());
  CHECK(complaint(tree.validate(10, 0, true)) == "the token tree is not valid: node 1 has a sibling with its token 4");

  tree.reset(3);
  tree.append_probe(0, 4000);
  CHECK(tree.validate(10).has_value());
  tree.append_probe(0, -1);
  CHECK(tree.validate(10).code() == error_code::invalid_token);
}

TEST_CASE("a reset tree is as new and keeps its memory") {
  token_tree tree(1);
  const nodes seen{1, 2};
  const auto build = [&] {
    tree.reset(9);
    for (node_id n = 0; n < 40; ++n) tree.append(n / 2, n);
    tree.append_probe(3, 1, seen);
    tree.repeat(4, {});
  };
  build();
  CHECK(decant_test::allocations_of(build) == 0);
  tree.reset(5);
  check_same(tree, token_tree(5));
}
