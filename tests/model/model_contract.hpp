// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The contract of the Model concept as checks that any deterministic, batch-invariant tree model must pass, bit for
// bit. `make(context_size)` returns a fresh model.
#ifndef DECANT_TESTS_MODEL_MODEL_CONTRACT_HPP
#define DECANT_TESTS_MODEL_MODEL_CONTRACT_HPP

#include <decant/model/model.hpp>

#include <algorithm>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

using decant::error_code;
using decant::node_id;
using decant::node_span;
using decant::token;
using decant::token_span;
using decant::token_tree;

using text = std::vector<token>;

template <class Make>
class model_contract {
 public:
  explicit model_contract(Make make) : make_(std::move(make)) {}

  void check_all() {
    rows_of_a_tree_are_rows_of_its_paths();
    a_tree_may_be_evaluated_in_parts();
    a_random_history_equals_a_fresh_start();
    prefill_in_parts_equals_prefill_at_once();
    bad_calls_change_nothing();
    old_and_foreign_rows_are_empty();
    a_full_context_is_an_error();
    forks_are_independent();
  }

 private:
  using model = decltype(std::declval<Make&>()(std::size_t{}));
  using real = typename model::rows_type::value_type;
  using row_values = std::vector<real>;
  static constexpr std::size_t context_size = 96;

  [[nodiscard]] static row_values copied(std::span<const real> row) { return {row.begin(), row.end()}; }

  [[nodiscard]] token_tree random_tree(token root, std::size_t size, std::size_t vocab_size) {
    token_tree tree(root);
    while (tree.size() < size) {
      tree.append(static_cast<node_id>(random_.below(tree.size())), random_.token_below(vocab_size));
    }
    return tree;
  }
  [[nodiscard]] text random_text(std::size_t size, std::size_t vocab_size) {
    text tokens(size);
    for (token& t : tokens) t = random_.token_below(vocab_size);
    return tokens;
  }
  [[nodiscard]] static std::vector<node_id> root_path(const token_tree& tree, node_id end) {
    std::vector<node_id> path;
    for (node_id n = end; n != decant::no_node; n = tree.parent(n)) path.push_back(n);
    std::reverse(path.begin(), path.end());
    return path;
  }
  [[nodiscard]] static text with_path(text tokens, const token_tree& tree, node_id end) {
    for (const node_id n : root_path(tree, end)) tokens.push_back(tree.token_of(n));
    return tokens;
  }

  /// The row after a text, from a model that has seen nothing else.
  [[nodiscard]] row_values fresh_row(const text& tokens) {
    auto fresh = make_(context_size);
    REQUIRE(fresh.prefill(token_span(tokens).first(tokens.size() - 1)));
    return root_row(fresh, tokens.back());
  }
  /// The row after the committed tokens and one more; leaves nothing pending.
  [[nodiscard]] static row_values root_row(model& m, token root) {
    const token_tree tree(root);
    auto rows = m.evaluate(tree, tree.all());
    REQUIRE(rows);
    const row_values row = copied(rows->row(0));
    REQUIRE(row.size() == m.vocab_size());
    REQUIRE(m.truncate(m.length()));
    return row;
  }

  void rows_of_a_tree_are_rows_of_its_paths() {
    for (const std::size_t prompt_size : {std::size_t{0}, std::size_t{1}, std::size_t{9}}) {
      auto m = make_(context_size);
      const text prompt = random_text(prompt_size, m.vocab_size());
      REQUIRE(m.prefill(prompt));
      const token_tree tree = random_tree(random_.token_below(m.vocab_size()), 70, m.vocab_size());
      auto rows = m.evaluate(tree, tree.all());
      REQUIRE(rows);
      for (node_id n = 69; n >= 0; n -= 3) CHECK(copied(rows->row(n)) == fresh_row(with_path(prompt, tree, n)));
      CHECK(rows->row(69).data() == rows->row(69).data());
    }
  }

  void a_tree_may_be_evaluated_in_parts() {
    auto m = make_(context_size);
    const text prompt = random_text(5, m.vocab_size());
    REQUIRE(m.prefill(prompt));
    token_tree tree = random_tree(1, 8, m.vocab_size());
    REQUIRE(m.evaluate(tree, tree.all()));
    const std::vector<node_id> added{tree.append(3, 0), tree.append(7, 1), tree.append(8, 0)};
    auto rows = m.evaluate(tree, added);
    REQUIRE(rows);
    for (const node_id n : added) CHECK(copied(rows->row(n)) == fresh_row(with_path(prompt, tree, n)));
    const auto path = root_path(tree, added.back());
    REQUIRE(m.commit(path));
    text expected = with_path(prompt, tree, added.back());
    REQUIRE(m.length() == expected.size());
    expected.push_back(1);
    CHECK(root_row(m, 1) == fresh_row(expected));
  }

  void a_random_history_equals_a_fresh_start() {
    auto m = make_(context_size);
    text expected;
    for (int step = 0; step < 120; ++step) {
      if (expected.size() > 60 || random_.coin(0.2)) {
        expected.resize(random_.between(0, expected.size()));
        REQUIRE(m.truncate(expected.size()));
      } else if (random_.coin(0.2)) {
        const text more = random_text(random_.between(0, 4), m.vocab_size());
        REQUIRE(m.prefill(more));
        expected.insert(expected.end(), more.begin(), more.end());
      } else {
        const token_tree tree =
            random_tree(random_.token_below(m.vocab_size()), random_.between(1, 12), m.vocab_size());
        REQUIRE(m.evaluate(tree, tree.all()));
        const auto end = static_cast<node_id>(random_.below(tree.size()));
        REQUIRE(m.commit(root_path(tree, end)));
        expected = with_path(expected, tree, end);
      }
      REQUIRE(m.length() == expected.size());
      const token root = random_.token_below(m.vocab_size());
      text seen = expected;
      seen.push_back(root);
      REQUIRE(root_row(m, root) == fresh_row(seen));
    }
  }

  void prefill_in_parts_equals_prefill_at_once() {
    auto m = make_(context_size);
    const text tokens = random_text(23, m.vocab_size());
    for (std::size_t done = 0; done < 22; done += 11) REQUIRE(m.prefill(token_span(tokens).subspan(done, 11)));
    CHECK(root_row(m, tokens.back()) == fresh_row(tokens));
  }

  void bad_calls_change_nothing() {
    auto m = make_(context_size);
    const text prompt = random_text(6, m.vocab_size());
    REQUIRE(m.prefill(prompt));
    token_tree tree(1);
    const node_id a = tree.append(0, 0);
    const node_id b = tree.append(a, 1);
    const std::vector<node_id> first{0, a};
    auto rows = m.evaluate(tree, first);
    REQUIRE(rows);

    const auto vocab = static_cast<token>(m.vocab_size());
    token_tree outside(vocab);
    token_tree negative(0);
    negative.append(0, -1);
    const auto evaluate = [&](const token_tree& t, std::vector<node_id> nodes) { return m.evaluate(t, nodes).code(); };
    CHECK(evaluate(outside, {0}) == error_code::invalid_token);
    CHECK(evaluate(negative, {1}) == error_code::invalid_token);
    CHECK(evaluate(tree, {a}) == error_code::invalid_tree);     // pending already
    CHECK(evaluate(tree, {b, b}) == error_code::invalid_tree);  // twice
    CHECK(evaluate(tree, {b, 9}) == error_code::invalid_tree);  // no such node
    CHECK(evaluate(tree, {-1}) == error_code::invalid_tree);
    token_tree deep = tree;
    const node_id c = deep.append(deep.append(b, 0), 1);
    CHECK(evaluate(deep, {c}) == error_code::invalid_tree);     // its parent was not evaluated
    CHECK(evaluate(deep, {c, b}) == error_code::invalid_tree);  // parents come first
    const std::vector<node_id> not_evaluated{0, a, b};
    CHECK(m.commit(not_evaluated).code() == error_code::invalid_tree);
    const std::vector<node_id> upwards{a, 0};
    CHECK(m.commit(upwards).code() == error_code::invalid_tree);
    const std::vector<node_id> twice{0, 0};
    CHECK(m.commit(twice).code() == error_code::invalid_tree);
    for (const token bad : {token{-1}, vocab}) {
      const text tokens{0, bad};
      CHECK(m.prefill(tokens).code() == error_code::invalid_token);
    }

    CHECK(m.length() == prompt.size());
    const std::vector<node_id> last{b};
    auto more = m.evaluate(tree, last);
    REQUIRE(more);
    CHECK(copied(more->row(b)) == fresh_row(with_path(prompt, tree, b)));
    REQUIRE(m.commit(not_evaluated));
    CHECK(m.length() == prompt.size() + 3);
    text seen = with_path(prompt, tree, b);
    seen.push_back(0);
    CHECK(root_row(m, 0) == fresh_row(seen));
  }

  void old_and_foreign_rows_are_empty() {
    auto m = make_(context_size);
    token_tree tree(0);
    tree.append(0, 1);
    const std::vector<node_id> root{0};
    auto first = m.evaluate(tree, root);
    REQUIRE(first);
    CHECK(first->row(0).size() == m.vocab_size());
    CHECK(first->row(1).empty());  // in the tree, not in the pass
    CHECK(first->row(7).empty());
    CHECK(first->row(-1).empty());
    const std::vector<node_id> child{1};
    auto second = m.evaluate(tree, child);
    REQUIRE(second);
    CHECK(first->row(0).empty());  // of an older pass
    CHECK(second->row(0).empty());
    CHECK(second->row(1).size() == m.vocab_size());
    REQUIRE(m.truncate(0));
    CHECK(second->row(1).empty());
    auto third = m.evaluate(tree, tree.all());
    REQUIRE(third);
    CHECK(second->row(1).empty());  // evaluated anew, but not by that pass
    CHECK(third->row(1).size() == m.vocab_size());
  }

  void a_full_context_is_an_error() {
    auto m = make_(4);
    const text five(5, 0);
    CHECK(m.prefill(five).code() == error_code::context_full);
    CHECK(m.length() == 0);
    REQUIRE(m.prefill(token_span(five).first(2)));
    token_tree tree(0);
    tree.append(0, 1);
    tree.append(0, 0);
    CHECK(m.evaluate(tree, tree.all()).code() == error_code::context_full);
    tree.truncate(2);
    REQUIRE(m.evaluate(tree, tree.all()));
    const node_id extra = tree.append(1, 0);
    const std::vector<node_id> one_more{extra};
    CHECK(m.evaluate(tree, one_more).code() == error_code::context_full);
    const std::vector<node_id> path{0, 1};
    REQUIRE(m.commit(path));
    CHECK(m.length() == 4);
    const token_tree next(0);
    CHECK(m.evaluate(next, next.all()).code() == error_code::context_full);
    CHECK(m.prefill(token_span(five).first(1)).code() == error_code::context_full);
    CHECK(m.prefill({}));
    REQUIRE(m.truncate(3));
    CHECK(m.evaluate(next, next.all()));
  }

  void forks_are_independent() {
    auto m = make_(context_size);
    const text prompt = random_text(7, m.vocab_size());
    REQUIRE(m.prefill(prompt));
    const token_tree pending(0);
    REQUIRE(m.evaluate(pending, pending.all()));
    auto forked = m.fork();
    REQUIRE(forked);
    CHECK(forked->length() == prompt.size());
    CHECK(forked->commit(pending.all()).code() == error_code::invalid_tree);  // pending nodes stay behind
    REQUIRE(forked->truncate(3));
    const text other{1, 0, 1};
    REQUIRE(forked->prefill(other));
    text of_fork(prompt.begin(), prompt.begin() + 3);
    of_fork.insert(of_fork.end(), {1, 0, 1, 0});
    CHECK(root_row(*forked, 0) == fresh_row(of_fork));
    REQUIRE(m.commit(pending.all()));
    text of_origin = prompt;
    of_origin.insert(of_origin.end(), {0, 1});
    CHECK(root_row(m, 1) == fresh_row(of_origin));
  }

  Make make_;
  random_source random_{20};
};

/// Checks everything; `make(context_size)` returns a fresh forkable tree model with at least two tokens.
template <class Make>
void check_model_contract(Make make) {
  model_contract<Make>(std::move(make)).check_all();
}

}  // namespace decant_test

#endif
