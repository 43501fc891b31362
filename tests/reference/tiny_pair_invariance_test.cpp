// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Batch invariance on the tiny pair: a row has the bits that it has alone, whatever it is computed together with, on
// any number of threads and with any instruction set.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reference/small_models.hpp"
#include "reference/tiny_pair.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant_test;
using decant::kv_type;

reference_options options_of(std::size_t threads, instruction_set kernels, kv_type cache) {
  reference_options options;
  options.threads = threads;
  options.kernels = kernels;
  options.cache = cache;
  return options;
}

/// A text, and the row after each of its tokens, computed one at a time by plain code on one thread.
struct known_rows {
  std::vector<token> text;
  std::vector<row_type> rows;

  known_rows(const std::string& file, kv_type cache, std::string_view words)
      : text(load_words(file).encode(words).value_or_throw()) {
    reference_model model = load_model(file, options_of(1, instruction_set::scalar, cache));
    const node_id root[] = {0};
    for (const token id : text) {
      rows.push_back(evaluate(model, token_tree(id)).front());
      model.commit(root).value_or_throw();
    }
  }

  [[nodiscard]] std::vector<token> part(std::size_t first, std::size_t count) const {
    const decant::token_span tokens = decant::token_span(text).subspan(first, count);
    return {tokens.begin(), tokens.end()};
  }
  /// Feeds the first `count` tokens as a prompt.
  void prefill(reference_model& model, std::size_t count) const {
    model.truncate(0).value_or_throw();
    model.prefill(decant::token_span(text).first(count)).value_or_throw();
  }
};

constexpr std::string_view some_text =
    "The gentlemen had been gone above an hour, when Mrs. Hall came down to the parlour, and told her daughters that "
    "she had a letter to read to them.";

/// Batches of 1 to 9 rows of one path, at several places of the text.
void check_widths(reference_model& model, const known_rows& known) {
  for (const std::size_t before : {std::size_t{0}, std::size_t{5}, std::size_t{21}}) {
    for (std::size_t width = 1; width <= 9; ++width) {
      CAPTURE(before, width);
      known.prefill(model, before);
      const std::vector<row_type> rows = evaluate(model, chain(known.part(before, width)));
      for (std::size_t i = 0; i < width; ++i) CHECK(same_bits(rows[i], known.rows[before + i]));
    }
  }
}

/// The same token at every place of a batch, among tokens that it does not see.
void check_places(reference_model& model, const known_rows& known) {
  constexpr std::size_t before = 10;
  known.prefill(model, before);
  token_tree tree(known.text[before]);
  for (std::size_t i = 0; i < 13; ++i) {
    tree.append(0, static_cast<token>(100 + i));
    tree.append(0, known.text[before + 1]);
  }
  const std::vector<row_type> rows = evaluate(model, tree);
  for (std::size_t i = 2; i < rows.size(); i += 2) CHECK(same_bits(rows[i], known.rows[before + 1]));
}

/// Every node of a random tree against its path alone.
void check_tree(reference_model& model, reference_model& alone, std::uint64_t seed) {
  const std::vector<token> prompt = random_tokens(2, seed, model.vocab_size());
  const token_tree tree = random_tree(2 + seed % 23, seed, model.vocab_size());
  model.truncate(0).value_or_throw();
  model.prefill(prompt).value_or_throw();
  const std::vector<row_type> rows = evaluate(model, tree);
  for (const node_id n : tree.all()) {
    std::vector<token> text = prompt;
    for (const token id : tokens_of(tree, path_to(tree, n))) text.push_back(id);
    CHECK(same_bits(rows[decant::index(n)], row_alone(alone, text)));
  }
}

/// All checks of one file with one kind of cache, against rows of plain code.
void check_invariance(const std::string& file, kv_type cache) {
  const known_rows known(file, cache, some_text);
  reference_model alone = load_model(file, options_of(1, instruction_set::scalar, cache));
  for (const instruction_set set : instruction_sets()) {
    for (const std::size_t threads : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
      CAPTURE(decant::name_of(set), threads);
      reference_model model = load_model(file, options_of(threads, set, cache));
      check_widths(model, known);
      check_places(model, known);
      for (std::uint64_t seed = 7; seed <= 22; seed += 5) check_tree(model, alone, 23 * threads + seed);
    }
  }
}

}  // namespace

TEST_CASE("tiny pair: rows of the target are batch invariant with an f16 cache") {
  check_invariance(tiny_target_file, kv_type::f16);
}
TEST_CASE("tiny pair: rows of the target are batch invariant with an f32 cache") {
  check_invariance(tiny_target_file, kv_type::f32);
}
TEST_CASE("tiny pair: rows of the target are batch invariant with an 8-bit cache") {
  check_invariance(tiny_target_file, kv_type::i8);
}
TEST_CASE("tiny pair: rows of the draft model are batch invariant with an f16 cache") {
  check_invariance(tiny_draft_file, kv_type::f16);
}
TEST_CASE("tiny pair: rows of the draft model are batch invariant with an f32 cache") {
  check_invariance(tiny_draft_file, kv_type::f32);
}
TEST_CASE("tiny pair: rows of the draft model are batch invariant with an 8-bit cache") {
  check_invariance(tiny_draft_file, kv_type::i8);
}
