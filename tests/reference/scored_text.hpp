// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model's logits over a whole text, and what follows from them: perplexity and the best tokens of a row.
#ifndef DECANT_TESTS_REFERENCE_SCORED_TEXT_HPP
#define DECANT_TESTS_REFERENCE_SCORED_TEXT_HPP

#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace decant_test {

/// The text that everyday models are compared on: a short story written for it, 643 words.
[[nodiscard]] inline std::string everyday_text() {
  std::ifstream file(DECANT_TEST_DATA_DIR "/everyday_text.txt", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Calls `visit(i, row)` with the row after token i, for every token of a text, on an emptied model.
template <class Visit>
void for_each_row(decant::reference_model& model, decant::token_span text, const Visit& visit) {
  constexpr std::size_t chunk = 64;
  model.truncate(0).value_or_throw();
  for (std::size_t first = 0; first < text.size(); first += chunk) {
    const decant::token_span part = text.subspan(first, std::min(chunk, text.size() - first));
    decant::token_tree path(part.front());
    for (std::size_t i = 1; i < part.size(); ++i) path.append(static_cast<decant::node_id>(i) - 1, part[i]);
    const auto rows = model.evaluate(path, path.all()).value_or_throw();
    for (const decant::node_id n : path.all()) visit(first + decant::index(n), rows.row(n));
    model.commit(path.all()).value_or_throw();
  }
}

/// Minus the logarithm of the probability of a token, in nats.
[[nodiscard]] inline double surprise(std::span<const float> row, decant::token id) {
  const double top = *std::max_element(row.begin(), row.end());
  double mass = 0;
  for (const float logit : row) mass += std::exp(static_cast<double>(logit) - top);
  return std::log(mass) + top - static_cast<double>(row[decant::index(id)]);
}

/// Perplexity of a text from its rows, as they come.
class perplexity_meter {
 public:
  explicit perplexity_meter(decant::token_span text) : text_(text) {}

  void add(std::size_t i, std::span<const float> row) {
    if (i + 1 >= text_.size()) return;
    total_ += surprise(row, text_[i + 1]);
    ++count_;
  }
  [[nodiscard]] double value() const { return std::exp(total_ / static_cast<double>(count_)); }

 private:
  decant::token_span text_;
  double total_ = 0;
  std::size_t count_ = 0;
};

[[nodiscard]] inline double perplexity_of(decant::reference_model& model, decant::token_span text) {
  perplexity_meter meter(text);
  for_each_row(model, text, [&](std::size_t i, std::span<const float> row) { meter.add(i, row); });
  return meter.value();
}

/// The ids of the largest logits, best first.
[[nodiscard]] inline std::vector<decant::token> best_tokens(std::span<const float> row, std::size_t count) {
  std::vector<decant::token> ids(row.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<decant::token>(i);
  const auto better = [&](decant::token a, decant::token b) { return row[decant::index(a)] > row[decant::index(b)]; };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(), better);
  ids.resize(count);
  return ids;
}

}  // namespace decant_test

#endif
