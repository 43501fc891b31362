// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/model/chain_model.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/laws.hpp>

#include <vector>

#include "tests/model/model_contract.hpp"
#include "tests/support/allocation_counter.hpp"

using namespace decant;
using decant_test::allocations_of;

namespace {

hashed_law<float> small_law() {
  hashed_law<float> law;
  law.vocabulary = 7;
  law.context = whole_context;
  law.seed = 3;
  return law;
}

using model = law_model<hashed_law<float>>;

std::vector<float> weights_after(const std::vector<token>& context) {
  std::vector<float> out(7);
  small_law().weights(context, out);
  return out;
}

std::vector<float> row_of(model& m, const token_tree& tree, node_span nodes, node_id n) {
  auto rows = m.evaluate(tree, nodes);
  REQUIRE(rows);
  const auto row = rows->row(n);
  return {row.begin(), row.end()};
}

}  // namespace

TEST_CASE("a law model keeps the contract of models") {
  decant_test::check_model_contract([](std::size_t context) { return make_law_model(small_law(), context); });
}

TEST_CASE("a law model with logits keeps the contract of models") {
  decant_test::check_model_contract([](std::size_t context) {
    hashed_law<double> law;
    law.vocabulary = 5;
    law.zero_share = 100;
    return make_law_model<row_content::logits>(law, context);
  });
}

TEST_CASE("the rows of a law model are the law") {
  model m(small_law(), 32);
  const std::vector<token> prompt{4, 2};
  REQUIRE(m.prefill(prompt));
  token_tree tree(6);
  const node_id a = tree.append(0, 1);
  const node_id b = tree.append(0, 3);
  const node_id c = tree.append(b, 5);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  const auto row = [&](node_id n) { return std::vector<float>(rows->row(n).begin(), rows->row(n).end()); };
  CHECK(row(0) == weights_after({4, 2, 6}));
  CHECK(row(a) == weights_after({4, 2, 6, 1}));
  CHECK(row(b) == weights_after({4, 2, 6, 3}));
  CHECK(row(c) == weights_after({4, 2, 6, 3, 5}));
}

TEST_CASE("rows of logits are logarithms of the weights") {
  table_law<double> law(3, 0);
  law.row(std::size_t{0})[0] = 4;
  law.row(std::size_t{0})[1] = 0;
  auto m = make_law_model<row_content::logits>(law, 8);
  const token_tree tree(0);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(rows->row(0)[0] == std::log(4.0));
  CHECK(rows->row(0)[1] == -std::numeric_limits<double>::infinity());
  CHECK(rows->row(0)[2] == 0.0);
}

TEST_CASE("a path that skips a node changes the law") {
  model m(small_law(), 32);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  const node_id b = tree.append(a, 3);
  const std::vector<node_id> gap{0, b};
  REQUIRE(m.evaluate(tree, tree.all()));
  REQUIRE(m.commit(gap));
  CHECK(m.length() == 2);
  CHECK(m.committed()[1] == cached_token{3, 2});
  const token_tree next(4);
  CHECK(row_of(m, next, next.all(), 0) != weights_after({1, 3, 4}));
}

TEST_CASE("a path through two siblings changes the law") {
  model m(small_law(), 32);
  token_tree tree(1);
  tree.append(0, 2);
  tree.append(0, 3);
  REQUIRE(m.evaluate(tree, tree.all()));
  REQUIRE(m.commit(tree.all()));
  const token_tree next(4);
  CHECK(row_of(m, next, next.all(), 0) != weights_after({1, 2, 3, 4}));
}

TEST_CASE("broken positions never give the law of the tokens") {
  // Even a law that is one-hot already is told apart.
  table_law<float> one_hot(2, 0);
  one_hot.row(std::size_t{0})[0] = 0;
  law_model m(one_hot, 8);
  token_tree tree(0);
  tree.append(0, 1);
  tree.append(0, 1);
  REQUIRE(m.evaluate(tree, tree.all()));
  REQUIRE(m.commit(tree.all()));
  const token_tree next(0);
  auto rows = m.evaluate(next, next.all());
  REQUIRE(rows);
  CHECK(rows->row(0)[0] == 1.0f);
  CHECK(rows->row(0)[1] == 0.0f);
}

TEST_CASE("a probe sees what it names, at the position it names") {
  model m(small_law(), 32);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  const node_id b = tree.append(0, 3);
  const std::vector<node_id> also{b};
  const node_id at_depth = tree.append_probe(a, 5);
  const node_id crowded = tree.append_probe(a, 5, also);  // two nodes at position 1
  const node_id moved = tree.append_probe(a, 5, {}, 4);   // leaves a gap
  const node_id in_place = tree.append_probe(0, 5, {}, 1);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  const auto row = [&](node_id n) { return std::vector<float>(rows->row(n).begin(), rows->row(n).end()); };
  CHECK(row(at_depth) == weights_after({1, 2, 5}));
  CHECK(row(in_place) == weights_after({1, 5}));
  CHECK(row(crowded) != weights_after({1, 2, 3, 5}));
  CHECK(row(moved) != weights_after({1, 2, 5}));
  CHECK(row(crowded) != row(moved));
}

TEST_CASE("what a probe sees besides its ancestors is not inherited by the probe below it") {
  model m(small_law(), 32);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  const std::vector<node_id> also{a};
  const node_id looking = tree.append_probe(0, 4, also, 2);  // sees 1, 2 and itself at positions 0, 1, 2
  const node_id below = tree.append_probe(looking, 5, {}, 3);
  const std::vector<node_id> too{a};
  const node_id looking_too = tree.append_probe(looking, 5, too, 3);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  const auto row = [&](node_id n) { return std::vector<float>(rows->row(n).begin(), rows->row(n).end()); };
  CHECK(row(looking) == weights_after({1, 2, 4}));
  CHECK(row(below) != weights_after({1, 2, 4, 5}));  // position 1 is missing
  CHECK(row(looking_too) == weights_after({1, 2, 4, 5}));
}

TEST_CASE("rows are computed when they are asked for and counted once") {
  model m(small_law(), 32);
  const std::vector<token> prompt{0, 1, 2};
  REQUIRE(m.prefill(prompt));
  token_tree tree(1);
  tree.append(0, 2);
  tree.append(0, 3);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(m.counts() == model_counts{1, 3, 0, 3});
  (void)rows->row(2);
  (void)rows->row(2);
  (void)rows->row(0);
  CHECK(m.counts() == model_counts{1, 3, 2, 3});
  CHECK(m.evaluate(tree, tree.all()).code() == error_code::invalid_tree);
  CHECK(m.counts().passes == 1);
}

TEST_CASE("rows handed out stay where they are while others are computed") {
  model m(small_law(), 64);
  token_tree tree(1);
  while (tree.size() < 40) tree.append(static_cast<node_id>(tree.size()) - 1, 2);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  const auto first = rows->row(0);
  const std::vector<float> before(first.begin(), first.end());
  for (const node_id n : tree.all()) (void)rows->row(n);
  CHECK(std::equal(before.begin(), before.end(), first.begin()));
  CHECK(rows->row(0).data() == first.data());
}

TEST_CASE("a warm law model does not allocate") {
  model m(small_law(), 256);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  tree.append(0, 3);
  tree.append(a, 4);
  const std::vector<node_id> path{0, a};
  const auto round = [&] {
    for (int step = 0; step < 50; ++step) {
      auto rows = m.evaluate(tree, tree.all());
      for (const node_id n : tree.all()) (void)rows->row(n);
      (void)m.commit(path);
    }
    (void)m.truncate(0);
  };
  round();
  CHECK(allocations_of(round) == 0);
}

TEST_CASE("an allocation that fails leaves a law model as it was") {
  for (std::size_t which = 0;; ++which) {
    model m(small_law(), 512);
    const std::vector<token> prompt(40, 1);
    REQUIRE(m.prefill(prompt));
    token_tree tree(1);
    const node_id a = tree.append(0, 2);
    while (tree.size() < 80) tree.append(a, 3);
    const std::vector<node_id> path{0, a};
    bool happened = false;
    bool committed = false;
    {
      decant_test::failing_allocation fails(which);
      try {
        auto rows = m.evaluate(tree, tree.all());
        if (rows) (void)rows->row(a);
        (void)m.commit(path);
        committed = true;
      } catch (const std::bad_alloc&) {
      }
      happened = fails.happened();
    }
    CHECK(m.length() == (committed ? 42u : 40u));
    REQUIRE(m.truncate(40));
    std::vector<token> expected(40, 1);
    expected.push_back(1);
    const token_tree next(1);
    CHECK(row_of(m, next, next.all(), 0) == weights_after(expected));
    if (!happened) {
      CHECK(which > 4);
      break;
    }
  }
}

TEST_CASE("a chain model refuses trees that branch and keeps working") {
  auto inner = make_law_model(small_law(), 32);
  chain_model m(inner);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  auto rows = m.evaluate(tree, tree.all());
  REQUIRE(rows);
  CHECK(std::vector<float>(rows->row(a).begin(), rows->row(a).end()) == weights_after({1, 2}));
  REQUIRE(m.commit(tree.all()));
  tree.append(0, 3);
  CHECK(m.evaluate(tree, tree.all()).code() == error_code::unsupported);
  token_tree with_probe(1);
  with_probe.append_probe(0, 2);
  CHECK(m.evaluate(with_probe, with_probe.all()).code() == error_code::unsupported);
  CHECK(m.length() == 2);
  CHECK(inner.counts().passes == 1);
  auto forked = m.fork();
  REQUIRE(forked);
  CHECK(forked->length() == 2);
  const token_tree next(4);
  CHECK(row_of(forked->model(), next, next.all(), 0) == weights_after({1, 2, 4}));
}
