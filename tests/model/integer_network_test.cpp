// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/model/integer_network.hpp>

#include <set>
#include <vector>

#include "tests/model/model_contract.hpp"
#include "tests/support/allocation_counter.hpp"

using namespace decant;
using decant_test::random_source;

namespace {

using tokens = std::vector<token>;
using matrix = integer_weights::matrix;
constexpr std::size_t width = integer_weights::width;

/// What an entry of a flat sequence is.
struct placed_token {
  token id;
  std::int64_t position;
};

double centred(double x) { return x - 17 * std::floor((x + 8) / 17); }

using column = std::vector<double>;

column product(const integer_weights& w, std::size_t layer, matrix m, const column& x) {
  column y(width, 0);
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = width; j-- > 0;) y[i] += w.weight(layer, m, i, j) * x[j];
    y[i] = centred(y[i]);
  }
  return y;
}

/// The network from scratch, written down a second time: no cache, no mask, whole sequence layer by layer, in double,
/// summing backwards. Equal rows therefore also show that no sum depends on its order.
std::vector<float> flat_row(const integer_weights& w, const std::vector<placed_token>& sequence) {
  std::vector<column> x;
  for (const placed_token t : sequence) {
    const auto input = w.input(t.id, t.position);
    x.emplace_back(input.begin(), input.end());
  }
  for (std::size_t layer = 0; layer < w.layers(); ++layer) {
    std::vector<column> keys;
    std::vector<column> values;
    for (const column& at : x) {
      keys.push_back(product(w, layer, matrix::key, at));
      values.push_back(product(w, layer, matrix::value, at));
    }
    for (std::size_t i = x.size(); i-- > 0;) {
      const column query = product(w, layer, matrix::query, x[i]);
      column attended(width, 0);
      for (std::size_t j = i + 1; j-- > 0;) {
        for (std::size_t c = 0; c < width; ++c) {
          const std::size_t head = c - c % integer_weights::head_width;
          double score = 0;
          for (std::size_t k = integer_weights::head_width; k-- > 0;) score += query[head + k] * keys[j][head + k];
          attended[c] += (1 + score - 16 * std::floor(score / 16)) * values[j][c];
        }
      }
      for (double& value : attended) value = centred(value);
      column after = product(w, layer, matrix::output, attended);
      for (std::size_t c = 0; c < width; ++c) after[c] = centred(after[c] + x[i][c]);
      column inner = product(w, layer, matrix::up, after);
      for (double& value : inner) value = value < 0 ? 0 : value;
      const column added = product(w, layer, matrix::down, inner);
      for (std::size_t c = 0; c < width; ++c) x[i][c] = centred(after[c] + added[c]);
    }
  }
  std::vector<float> row;
  for (std::size_t v = 0; v < w.vocab_size(); ++v) {
    double dot = 0;
    for (std::size_t c = width; c-- > 0;) dot += w.unembedding(static_cast<token>(v), c) * x.back()[c];
    row.push_back(static_cast<float>(dot / 64));
  }
  return row;
}

std::vector<placed_token> in_order(const tokens& text) {
  std::vector<placed_token> sequence;
  for (const token t : text) sequence.push_back({t, static_cast<std::int64_t>(sequence.size())});
  return sequence;
}

std::vector<float> copied(std::span<const float> row) { return {row.begin(), row.end()}; }

}  // namespace

TEST_CASE("the integer network keeps the contract of models") {
  decant_test::check_model_contract([](std::size_t context) { return integer_network<float>(13, context, 5, 2); });
}

TEST_CASE("cached rows of a tree equal a flat evaluation from scratch") {
  random_source random(1);
  integer_network<float> network(19, 128, 2, 3);
  tokens prompt;
  for (int step = 0; step < 6; ++step) {
    token_tree tree(random.token_below(19));
    while (tree.size() < 14) tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(19));
    auto rows = network.evaluate(tree, tree.all());
    REQUIRE(rows);
    tokens below;
    for (const node_id n : tree.all()) {
      tree.path_tokens(n, below);
      tokens text = prompt;
      text.push_back(tree.token_of(0));
      text.insert(text.end(), below.begin(), below.end());
      CHECK(copied(rows->row(n)) == flat_row(network.weights(), in_order(text)));
    }
    std::vector<node_id> path;
    for (node_id n = 13; n != no_node; n = tree.parent(n)) path.insert(path.begin(), n);
    for (const node_id n : path) prompt.push_back(tree.token_of(n));
    REQUIRE(network.commit(path));
  }
}

TEST_CASE("every visible token and position reaches every row") {
  const integer_network<float> network(17, 64, 3, 2);
  random_source random(4);
  tokens text(12);
  for (token& t : text) t = random.token_below(17);
  const auto sequence = in_order(text);
  std::set<std::vector<float>> rows{flat_row(network.weights(), sequence)};
  std::size_t variants = 1;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    auto other_token = sequence;
    other_token[i].id = (other_token[i].id + 1) % 17;
    auto other_position = sequence;
    other_position[i].position += 1;
    rows.insert(flat_row(network.weights(), other_token));
    rows.insert(flat_row(network.weights(), other_position));
    variants += 2;
    if (i + 1 < sequence.size()) {
      auto shorter = sequence;
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
      rows.insert(flat_row(network.weights(), shorter));
      ++variants;
    }
  }
  CHECK(rows.size() == variants);
}

TEST_CASE("a probe of the integer network honours its mask and position") {
  integer_network<float> network(11, 64);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  const node_id b = tree.append(0, 3);
  const std::vector<node_id> also{b};
  const node_id probe = tree.append_probe(a, 5, also, 7);
  auto rows = network.evaluate(tree, tree.all());
  REQUIRE(rows);
  // b does not see a, so the row differs from the chain 1 2 3 5 at these positions, and from the one without b.
  const auto row = copied(rows->row(probe));
  CHECK(row != flat_row(network.weights(), {{1, 0}, {2, 1}, {5, 7}}));
  CHECK(row != flat_row(network.weights(), {{1, 0}, {2, 1}, {3, 1}, {5, 7}}));
  token_tree alone(1);
  const node_id first = alone.append(0, 2);
  const node_id plain = alone.append_probe(first, 5, {}, 7);
  REQUIRE(network.truncate(0));
  auto more = network.evaluate(alone, alone.all());
  REQUIRE(more);
  CHECK(copied(more->row(plain)) == flat_row(network.weights(), {{1, 0}, {2, 1}, {5, 7}}));
}

TEST_CASE("a wrong path of the integer network changes its rows") {
  const auto row_with = [](std::vector<node_id> kept) {
    integer_network<float> network(11, 64);
    token_tree tree(1);
    const node_id a = tree.append(0, 2);
    tree.append(0, 2);
    tree.append(a, 4);
    REQUIRE(network.evaluate(tree, tree.all()));
    REQUIRE(network.commit(kept));
    const token_tree next(6);
    auto rows = network.evaluate(next, next.all());
    REQUIRE(rows);
    return copied(rows->row(0));
  };
  const auto right = row_with({0, 1, 3});
  CHECK(right == flat_row(integer_network<float>(11, 64).weights(), in_order({1, 2, 4, 6})));
  CHECK(right != row_with({0, 3}));
  CHECK(right != row_with({0, 1, 2}));
  CHECK(right != row_with({0, 1, 2, 3}));
  CHECK(row_with({0, 1}) == row_with({0, 2}));  // equal siblings are interchangeable
}

TEST_CASE("logits of the integer network are multiples of 1/64 and spread") {
  integer_network<float> network(50, 64);
  const token_tree tree(7);
  auto rows = network.evaluate(tree, tree.all());
  REQUIRE(rows);
  std::set<float> distinct;
  for (const float logit : rows->row(0)) {
    CHECK(logit * 64 == std::floor(logit * 64));
    distinct.insert(logit);
  }
  CHECK(distinct.size() > 35);
}

TEST_CASE("a warm integer network does not allocate") {
  integer_network<float> network(11, 128);
  token_tree tree(1);
  const node_id a = tree.append(0, 2);
  tree.append(0, 3);
  const std::vector<node_id> path{0, a};
  const auto round = [&] {
    for (int step = 0; step < 20; ++step) {
      auto rows = network.evaluate(tree, tree.all());
      for (const node_id n : tree.all()) (void)rows->row(n);
      (void)network.commit(path);
    }
    (void)network.truncate(0);
  };
  round();
  CHECK(decant_test::allocations_of(round) == 0);
}
