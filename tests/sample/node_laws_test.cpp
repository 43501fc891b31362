// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/node_laws.hpp>

#include <decant/sample/presets.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::error_code;
using decant::index;
using decant::node_id;
using decant::token;
using decant::token_tree;
using decant_test::random_source;

using tokens = std::vector<token>;

constexpr std::size_t vocab_size = 40;

token_tree random_tree(random_source& random, token root, std::size_t size) {
  token_tree tree(root);
  while (tree.size() < size) {
    tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(vocab_size));
  }
  return tree;
}

tokens path_from_root(const token_tree& tree, node_id n) {
  tokens path;
  tree.path_tokens(n, path);
  return path;
}

/// The sampler with history: each penalty matters, the window is short enough to lose tokens inside a tree.
const auto sampler = decant::llama_cpp_order(
    {.top_k = 12, .penalty_last_n = 6, .penalty_repeat = 1.4f, .penalty_freq = 0.3f, .penalty_present = 0.2f});
using sampler_type = std::remove_const_t<decltype(sampler)>;

}  // namespace

TEMPLATE_TEST_CASE("a law inside a tree is the law of its path decoded from scratch", "", float, double) {
  random_source random(111);
  decant::law_workspace<TestType, sampler_type> work;
  tokens committed{1, 2, 3};
  for (int step = 0; step < 60; ++step) {
    const token_tree tree = random_tree(random, committed.back(), random.between(1, 25));
    const auto values = random.logits<TestType>(tree.size() * vocab_size);
    decant::matrix_rows<TestType> rows{values, vocab_size, 0};
    const auto root_state = decant_test::state_after(sampler, committed);
    decant::node_laws laws(sampler, root_state, tree, rows, work, vocab_size);
    for (const std::size_t n : random.permutation(tree.size())) {
      const auto node = static_cast<node_id>(n);
      tokens history = committed;
      const tokens path = path_from_root(tree, node);
      history.insert(history.end(), path.begin(), path.end());
      const auto* law = laws.law(node);
      REQUIRE(law != nullptr);
      const auto row = rows.row(node);
      CHECK(decant_test::dense_probabilities(law->view()) ==
            decant_test::probabilities(sampler, std::vector<TestType>(row.begin(), row.end()), history));
      CHECK(laws.state(node) == decant_test::state_after(sampler, history));
    }
    CHECK(laws.processed() == tree.size());
    CHECK(root_state == decant_test::state_after(sampler, committed));  // no branch has leaked into the root
    committed.push_back(random.token_below(vocab_size));
  }
}

TEST_CASE("only the laws that are asked for are made, once each") {
  random_source random(112);
  const token_tree tree = random_tree(random, 0, 20);
  const auto values = random.logits<float>(tree.size() * vocab_size);
  int fetched = 0;
  auto rows = decant::rows_from<float>([&](node_id n) {
    ++fetched;
    return std::span<const float>(values).subspan(index(n) * vocab_size, vocab_size);
  });
  decant::law_workspace<float, sampler_type> work;
  const auto root_state = sampler.initial_state();
  decant::node_laws laws(sampler, root_state, tree, rows, work, vocab_size);
  CHECK(fetched == 0);
  const auto* first = laws.law(19);
  CHECK(laws.law(19) == first);
  CHECK(laws.law(7) != nullptr);
  CHECK(laws.law(19) == first);
  CHECK(fetched == 2);
  CHECK(laws.processed() == 2);
}

TEST_CASE("a bad row is reported and does not spoil the others") {
  const token_tree tree = [] {
    token_tree chain(0);
    chain.append(0, 1);
    chain.append(1, 2);
    chain.append(2, 3);
    return chain;
  }();
  const std::vector<float> good(vocab_size, 1.0f);
  std::vector<float> bad = good;
  bad[5] = std::nanf("");
  auto rows = decant::rows_from<float>([&](node_id n) -> std::span<const float> {
    if (n == 1) return {};
    if (n == 2) return bad;
    if (n == 3) return std::span<const float>(good).first(7);
    return good;
  });
  decant::law_workspace<float, sampler_type> work;
  const auto root_state = sampler.initial_state();
  decant::node_laws laws(sampler, root_state, tree, rows, work, vocab_size);
  CHECK(laws.law(1) == nullptr);
  CHECK(laws.status() == error_code::row_unavailable);
  CHECK(laws.law(2) == nullptr);
  CHECK(laws.status() == error_code::row_not_finite);
  CHECK(laws.law(3) == nullptr);
  CHECK(laws.status() == error_code::row_wrong_size);
  CHECK(laws.law(0) != nullptr);
  CHECK(laws.processed() == 1);
}

TEST_CASE("laws, states and their copies allocate nothing after warm-up") {
  random_source random(113);
  decant::law_workspace<float, sampler_type> work;
  auto state = decant_test::state_after(sampler, tokens{1, 2, 3, 4, 5, 6, 7, 8});
  constexpr std::size_t tree_size = 16;
  std::size_t after_warm_up = 0;
  for (int step = 0; step < 80; ++step) {
    const token_tree tree = random_tree(random, 0, tree_size);
    const auto values = random.logits<float>(tree_size * vocab_size);
    decant::matrix_rows<float> rows{values, vocab_size, 0};
    const std::size_t made = decant_test::allocations_of([&] {
      decant::node_laws laws(sampler, state, tree, rows, work, vocab_size);
      for (const node_id n : tree.all()) static_cast<void>(laws.law(n));
    });
    if (step == 0) CHECK(made > 0);
    if (step >= 1) after_warm_up += made;
    after_warm_up += decant_test::allocations_of([&] { sampler.advance(state, random.token_below(vocab_size)); });
  }
  CHECK(after_warm_up == 0);
}

TEST_CASE("an unbounded history allocates only when it outgrows what was seen") {
  const decant::penalties rule{1.2f, 0.0f, 0.0f, -1};
  auto state = rule.initial_state();
  decant::token_window branch = state;
  const std::size_t made = decant_test::allocations_of([&] {
    for (token id = 0; id < 1000; ++id) {
      rule.advance(state, id);
      branch = state;
      rule.advance(branch, id + 1);
    }
  });
  CHECK(made == 0);
}

TEST_CASE("a row costs no allocation once its vocabulary was seen") {
  random_source random(114);
  const auto check = [&](const auto& chain) {
    decant::candidates<float> scratch;
    decant::distribution<float> law;
    const auto state = chain.initial_state();
    const auto run = [&](const std::vector<float>& row) {
      return decant_test::allocations_of(
          [&] { static_cast<void>(chain.law(std::span<const float>(row), state, scratch, law)); });
    };
    static_cast<void>(run(std::vector<float>(3000, 1.0f)));  // a flat row: the most survivors there can be
    std::size_t made = 0;
    for (int round = 0; round < 20; ++round) made += run(random.logits<float>(3000, random.uniform(0, 4)));
    CHECK(made == 0);
  };
  check(decant::make_sampler());
  check(decant::make_sampler(decant::top_k{5}));
  check(decant::make_sampler(decant::top_k{2500}));
  check(decant::make_sampler(decant::top_p{0.999f}));
  check(decant::make_sampler(decant::min_p{0.01f, 3}));
  check(decant::make_sampler(decant::temperature{0.0f}));
  check(decant::llama_cpp_order({.penalty_repeat = 1.1f}));
}
