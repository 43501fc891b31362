// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the file of a judge, {"weights": [0.1, -0.2], "bias": 0.5, "threshold": 0.5}. The threshold may be left
// out; there is nothing else in it.
#ifndef DECANT_EXAMPLES_GENERATE_JUDGE_HPP
#define DECANT_EXAMPLES_GENERATE_JUDGE_HPP

#include "generate_console.hpp"

#include <decant/verify/judge.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace generate_program {

struct judge_settings {
  decant::linear_head head{};
  double threshold = 0.5;  ///< on the sigmoid of the head's score
};

/// Reads the numbers and lists of numbers of one JSON object.
class judge_reader {
 public:
  judge_reader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  judge_settings read() {
    std::optional<std::vector<float>> weights;
    std::optional<double> bias;
    std::optional<double> threshold;
    expect('{');
    do {
      const std::string_view key = read_key();
      if (key == "weights" && !weights) {
        weights = read_list();
      } else if (key == "bias" && !bias) {
        bias = read_number();
      } else if (key == "threshold" && !threshold) {
        threshold = read_number();
      } else {
        refuse(fmt::format("\"{}\" is not wanted there", key));
      }
    } while (next_is(','));
    expect('}');
    if (peek() != '\0') refuse("something follows its end");
    if (!weights || !bias) refuse("it lacks the weights or the bias");
    judge_settings read{{std::move(*weights), *bias}, threshold.value_or(0.5)};
    if (!(read.threshold >= 0 && read.threshold <= 1)) refuse("the threshold is not a number from 0 to 1");
    return read;
  }

 private:
  [[noreturn]] void refuse(std::string_view why) const {
    throw refusal(fmt::format("the judge in {} cannot be used: {}; it should look like {}", name_, why,
                              R"({"weights": [0.1, -0.2], "bias": 0.5, "threshold": 0.5})"));
  }

  /// The next character that is not a blank, '\0' at the end.
  char peek() {
    text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size()));
    return text_.empty() ? '\0' : text_.front();
  }
  bool next_is(char wanted) {
    if (peek() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!next_is(wanted)) refuse(fmt::format("a {} is missing", wanted));
  }

  std::string_view read_key() {
    expect('"');
    const std::size_t end = std::min(text_.find('"'), text_.size());
    const std::string_view key = text_.substr(0, end);
    text_.remove_prefix(end);
    expect('"');
    expect(':');
    return key;
  }

  double read_number() {
    (void)peek();
    double value = 0;
    const auto read = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (read.ec != std::errc() || !std::isfinite(value)) refuse("a number is missing");
    text_.remove_prefix(static_cast<std::size_t>(read.ptr - text_.data()));
    return value;
  }

  std::vector<float> read_list() {
    std::vector<float> numbers;
    expect('[');
    do {
      const double number = read_number();
      if (std::abs(number) > std::numeric_limits<float>::max()) refuse("a weight is too large");
      numbers.push_back(static_cast<float>(number));
    } while (next_is(','));
    expect(']');
    return numbers;
  }

  std::string_view text_;
  std::string_view name_;
};

inline judge_settings read_judge(const std::string& path) {
  const std::string text = read_all(open_file(path, "rb").get(), "the file " + path);
  return judge_reader(text, path).read();
}

}  // namespace generate_program

#endif
