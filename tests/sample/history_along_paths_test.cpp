// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every step with memory, on every node of random trees: its state and its law are those of the path decoded from
// scratch. A node sees the committed text and its own path, no other branch, and a copy shares nothing with what it was
// copied from (engines lost the counts of a penalty's copy, and let drafted tokens go unseen).
#include <decant/sample/node_laws.hpp>

#include <decant/sample/presets.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::index;
using decant::make_sampler;
using decant::node_id;
using decant::token;
using decant::token_tree;
using decant_test::random_source;
using tokens = std::vector<token>;

constexpr std::size_t vocab_size = 12;

/// Calls `visit(sampler)` for every step with memory, in windows that lose tokens inside a tree.
template <class Visit>
void for_each_step_with_memory(Visit&& visit) {
  visit(make_sampler(decant::penalties{1.4f, 0.3f, 0.2f, 5}));
  visit(make_sampler(decant::penalties{1.4f, 0.3f, 0.2f, -1, true}));
  visit(make_sampler(decant::penalties{1.2f, 0.3f, 0.2f, -1, false, true}));
  visit(make_sampler(decant::dry{0.5f, 1.5f, 1, 7, decant::sequence_breakers({{3}, {1, 2}})}));
  visit(make_sampler(decant::dry{0.5f, 1.5f, 2, -1}));
  visit(make_sampler(decant::sequence_bias{{{{1}, 0.5f}, {{2, 1}, -1.0f}, {{0, 1, 2}, 2.0f}}}));
  visit(make_sampler(decant::bad_words({{1, 2}, {0, 0, 0}}, true)));
  visit(make_sampler(decant::no_repeat_ngram{3}));
  visit(make_sampler(decant::min_length{8, {0, 1}}));
  visit(make_sampler(decant::min_length{3, {2}, true}));
  visit(make_sampler(decant::suppress_at_begin{{0, 4}}));
  visit(make_sampler(decant::xtc{0.5f, 0.05f, 1, 3}));
  visit(decant::hf_order({.repetition_penalty = 1.3f, .no_repeat_ngram_size = 3, .bad_words_ids = {{1, 0}}}));
  visit(decant::vllm_order({.presence_penalty = 0.5f, .min_tokens = 2, .stop_token_ids = {3}}));
}

/// A tree whose tokens come from so few that texts repeat themselves.
token_tree random_tree(random_source& random, token root) {
  token_tree tree(root);
  for (std::size_t i = random.below(18); i > 0; --i) {
    tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(4));
  }
  return tree;
}

}  // namespace

TEST_CASE("steps with memory know the path of every node, and nothing else") {
  std::uint64_t seed = 701;
  for_each_step_with_memory([&](const auto& sampler) {
    using sampler_type = std::remove_cvref_t<decltype(sampler)>;
    REQUIRE(sampler.check().has_value());
    random_source random(seed++);
    decant::law_workspace<double, sampler_type> work;
    tokens committed{1, 2};
    for (int step = 0; step < 14; ++step) {
      const token_tree tree = random_tree(random, committed.back());
      const auto values = random.logits<double>(tree.size() * vocab_size);
      decant::matrix_rows<double> rows{values, vocab_size, 0};
      const std::size_t prompt = random.below(committed.size() + 1);
      const auto root_state = decant_test::state_after(sampler, committed, prompt);
      decant::node_laws laws(sampler, root_state, tree, rows, work, vocab_size);
      for (const std::size_t n : random.permutation(tree.size())) {
        const auto node = static_cast<node_id>(n);
        tokens text = committed;
        tokens path;
        tree.path_tokens(node, path);
        text.insert(text.end(), path.begin(), path.end());
        const auto row = rows.row(node);
        const auto* law = laws.law(node);
        REQUIRE(law != nullptr);
        CHECK(decant_test::dense_probabilities(law->view()) ==
              decant_test::probabilities(sampler, std::vector<double>(row.begin(), row.end()), text, prompt));
        CHECK(laws.state(node) == decant_test::state_after(sampler, text, prompt));
      }
      CHECK(root_state == decant_test::state_after(sampler, committed, prompt));
      committed.push_back(random.token_below(4));
    }
  });
}

TEST_CASE("where earlier outputs began does not matter to any step with memory") {
  std::uint64_t seed = 741;
  for_each_step_with_memory([&](const auto& sampler) {
    random_source random(seed++);
    for (int round = 0; round < 30; ++round) {
      tokens text(random.below(20));
      for (token& t : text) t = random.token_below(4);
      const std::size_t prompt = random.below(text.size() + 1);
      auto state = sampler.initial_state();
      for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == prompt || (i < prompt && random.coin(0.3))) decant::begin_output(sampler, state);
        sampler.advance(state, text[i]);
      }
      if (prompt == text.size()) decant::begin_output(sampler, state);
      CHECK(state == decant_test::state_after(sampler, text, prompt));
    }
  });
}

TEST_CASE("steps with memory allocate nothing once warm") {
  for_each_step_with_memory([](const auto& sampler) {
    using sampler_type = std::remove_cvref_t<decltype(sampler)>;
    decant::law_workspace<float, sampler_type> work;
    random_source random(751);
    token_tree tree(0);
    for (int i = 0; i < 15; ++i) tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(4));
    constexpr std::size_t wide = 64;  // a whole text of no more tokens fits into what a row takes
    const auto values = random.logits<float>(tree.size() * wide);
    decant::matrix_rows<float> rows{values, wide, 0};
    auto state = sampler.initial_state();
    std::size_t missing = 0;
    const auto step = [&](token t) {
      sampler.advance(state, t);
      decant::node_laws laws(sampler, state, tree, rows, work, wide);
      for (const node_id n : tree.all()) missing += laws.law(n) == nullptr;
    };
    for (token t = 0; t < 12; ++t) step(t);
    CHECK(decant_test::allocations_of([&] {
            for (token t = 0; t < 12; ++t) step(t / 2);
          }) == 0);
    CHECK(missing == 0);
  });
}
