// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The everyday model over a committed text against committed values: the perplexity, and the best logits at sixteen
// places. DECANT_REGENERATE_GOLDEN=1 writes the values anew, which is right when the arithmetic was changed on purpose
// and tests/peer agrees with the new values.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reference/scored_text.hpp"
#include "support/everyday_model.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::index;
using decant::token;

constexpr const char* golden_path = DECANT_TEST_DATA_DIR "/everyday_golden.txt";
constexpr std::size_t places = 16;
constexpr std::size_t best_count = 8;

struct scored_token {
  token id;
  double logit;
};

/// What is golden about a text.
struct golden_values {
  std::size_t tokens = 0;
  double perplexity = 0;
  std::vector<std::vector<scored_token>> best{};  ///< best first, at `places` places that are evenly spaced
};

/// The row after the last token is the last place.
std::size_t place(std::size_t k, std::size_t tokens) { return (k + 1) * tokens / places - 1; }

/// Calls `visit(k, row)` with the row of the k-th place and returns the perplexity.
template <class Visit>
double visit_places(decant::reference_model& model, const std::vector<token>& text, const Visit& visit) {
  decant_test::perplexity_meter meter(text);
  std::size_t k = 0;
  decant_test::for_each_row(model, text, [&](std::size_t i, std::span<const float> row) {
    meter.add(i, row);
    if (i == place(k, text.size())) visit(k++, row);
  });
  REQUIRE(k == places);
  return meter.value();
}

golden_values measure(decant::reference_model& model, const std::vector<token>& text) {
  golden_values found{text.size(), 0, std::vector<std::vector<scored_token>>(places)};
  found.perplexity = visit_places(model, text, [&](std::size_t k, std::span<const float> row) {
    for (const token id : decant_test::best_tokens(row, best_count)) {
      found.best[k].push_back({id, static_cast<double>(row[index(id)])});
    }
  });
  return found;
}

/// A line each: the number of tokens, the perplexity, and for every place ids and logits in turn.
void write(const golden_values& values) {
  std::ofstream file(golden_path);
  char number[32];
  std::snprintf(number, sizeof number, "%.5f", values.perplexity);
  file << values.tokens << '\n' << number << '\n';
  for (const auto& best : values.best) {
    for (const scored_token& entry : best) {
      std::snprintf(number, sizeof number, "%.4f", entry.logit);
      file << entry.id << ' ' << number << (&entry == &best.back() ? "\n" : "  ");
    }
  }
}

golden_values read() {
  std::ifstream file(golden_path);
  golden_values values;
  file >> values.tokens >> values.perplexity;
  for (std::size_t k = 0; k < places; ++k) {
    std::vector<scored_token> best(best_count);
    for (scored_token& entry : best) file >> entry.id >> entry.logit;
    values.best.push_back(std::move(best));
  }
  REQUIRE(!file.fail());
  return values;
}

}  // namespace

TEST_CASE("golden: the everyday model over a text has its perplexity and logits") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  const auto file = decant::gguf_file::open(path->c_str()).value_or_throw();
  const auto words = decant::load_tokenizer(file).value_or_throw();
  auto model = decant::reference_model::load(file).value_or_throw();
  const std::vector<token> text = words.encode(decant_test::everyday_text()).value_or_throw();
  REQUIRE(text.size() >= 512);

  const char* regenerate = std::getenv("DECANT_REGENERATE_GOLDEN");
  if (regenerate != nullptr && std::string(regenerate) == "1") write(measure(model, text));

  // Two orders of the same sums differ by about 1e-5; another rounding of activations by about 0.2.
  const golden_values golden = read();
  CHECK(text.size() == golden.tokens);
  const double perplexity = visit_places(model, text, [&](std::size_t k, std::span<const float> row) {
    CHECK(decant_test::best_tokens(row, 1).front() == golden.best[k].front().id);
    for (const scored_token& entry : golden.best[k]) {
      CAPTURE(k, entry.id, entry.logit);
      CHECK(decant_test::near(static_cast<double>(row[index(entry.id)]), entry.logit, 1e-2));
    }
  });
  CHECK(decant_test::near(perplexity, golden.perplexity, 1e-4 * golden.perplexity));
}

TEST_CASE("golden: 8-bit keys and values cost the everyday model less than 1 % of its perplexity") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  const auto file = decant::gguf_file::open(path->c_str()).value_or_throw();
  const auto words = decant::load_tokenizer(file).value_or_throw();
  decant::reference_options options;
  options.cache = decant::kv_type::i8;
  auto model = decant::reference_model::load(file, options).value_or_throw();
  const std::vector<token> text = words.encode(decant_test::everyday_text()).value_or_throw();
  const double perplexity = decant_test::perplexity_of(model, text);
  CHECK(decant_test::near(perplexity, read().perplexity, 1e-2 * perplexity));
}
