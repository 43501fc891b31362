// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every layer of the reference model on the tiny pair against the float64 transformer of plain_llama.hpp: with float
// activations nothing but the rounding of floats is left, with int8 activations their quantisation.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "reference/plain_llama.hpp"
#include "reference/scored_text.hpp"
#include "reference/tiny_pair.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant;
using exact_layers = std::vector<std::vector<std::vector<double>>>;

/// Root mean square of the difference, relative to that of the exact row.
double relative_error(std::span<const float> row, const std::vector<double>& exact) {
  REQUIRE(row.size() == exact.size());
  double difference = 0;
  double size = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double d = static_cast<double>(row[i]) - exact[i];
    difference += d * d;
    size += exact[i] * exact[i];
  }
  return std::sqrt(difference / size);
}

/// The largest error of each level over all tokens of a text, evaluated in one pass below a prompt.
std::vector<double> errors_of_levels(reference_model& model, const std::vector<token>& text, std::size_t prompt,
                                     const exact_layers& exact) {
  std::vector<std::size_t> levels(model.layer_count() + 2);
  std::iota(levels.begin(), levels.end(), std::size_t{0});
  REQUIRE(exact.size() == levels.size());
  model.capture_hidden(levels).value_or_throw();
  model.truncate(0).value_or_throw();
  model.prefill(token_span(text).first(prompt)).value_or_throw();
  token_tree path(text[prompt]);
  for (std::size_t i = prompt + 1; i < text.size(); ++i) path.append(static_cast<node_id>(i - prompt) - 1, text[i]);
  (void)model.evaluate(path, path.all()).value_or_throw();

  std::vector<double> errors(levels.size());
  for (const std::size_t level : levels) {
    for (const node_id n : path.all()) {
      const double error = relative_error(model.hidden(level, n), exact[level][prompt + index(n)]);
      errors[level] = std::max(errors[level], error);
    }
  }
  return errors;
}

reference_options options_of(activation_kind activations, kv_type cache) {
  reference_options options;
  options.activations = activations;
  options.cache = cache;
  return options;
}

/// Runs `check(error, level)` for both files of the pair and every level.
template <class Check>
void check_levels(const reference_options& options, const Check& check) {
  for (const std::string& path : {decant_test::tiny_target_file, decant_test::tiny_draft_file}) {
    const char* words =
        "The gentlemen had been gone above an hour, when Mrs. Hall came down to the parlour, and told her daughters "
        "that she had a letter to read.";
    const std::vector<token> text = decant_test::load_words(path).encode(words).value_or_throw();
    const gguf_file file = decant_test::open_model(path);
    const exact_layers exact = decant_test::plain_llama(file).hidden(text);
    reference_model model = decant_test::load_model(path, options);
    for (const std::size_t prompt : {std::size_t{0}, text.size() / 2}) {
      const std::vector<double> errors = errors_of_levels(model, text, prompt, exact);
      for (std::size_t level = 0; level < errors.size(); ++level) {
        CAPTURE(path, prompt, level, errors[level]);
        check(errors[level], level);
      }
    }
  }
}

}  // namespace

TEST_CASE("tiny pair: with float activations every layer is within 1e-4 of a float64 transformer") {
  check_levels(options_of(activation_kind::floats, kv_type::f32), [](double error, std::size_t level) {
    CHECK(error < (level == 0 ? 1e-12 : 1e-5));  // embeddings are copied; the rest is ten times better than promised
  });
}

TEST_CASE("tiny pair: a half-precision cache costs up to 1e-3 of a layer's output") {
  check_levels(options_of(activation_kind::floats, kv_type::f16),
               [](double error, std::size_t) { CHECK(error < 1e-3); });
}

TEST_CASE("tiny pair: int8 activations cost up to 5e-2 of a layer's output") {
  check_levels(options_of(activation_kind::int8_blocks, kv_type::f32), [](double error, std::size_t level) {
    CHECK(error < 5e-2);
    if (level > 0) CHECK(error > 1e-4);  // it is not the float path that ran
  });
}

TEST_CASE("tiny pair: int8 activations change the perplexity of a text by less than a hundredth") {
  for (const std::string& path : {decant_test::tiny_target_file, decant_test::tiny_draft_file}) {
    std::vector<token> text = decant_test::load_words(path).encode(decant_test::everyday_text()).value_or_throw();
    text.resize(512);  // the context of the pair
    const auto perplexity = [&](activation_kind activations) {
      reference_model model = decant_test::load_model(path, options_of(activations, kv_type::f16));
      return decant_test::perplexity_of(model, text);
    };
    const double exact = perplexity(activation_kind::floats);
    const double rounded = perplexity(activation_kind::int8_blocks);
    CAPTURE(path, exact, rounded);
    CHECK(decant_test::near(rounded, exact, 0.01 * exact));
  }
}
