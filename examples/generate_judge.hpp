// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the file of a judge, {"weights": [0.1, -0.2], "bias": 0.5, "threshold": 0.5}. The threshold may be left
// out; there is nothing else in it.
#ifndef DECANT_EXAMPLES_GENERATE_JUDGE_HPP
#define DECANT_EXAMPLES_GENERATE_JUDGE_HPP

#include "generate_console.hpp"

#include <decant/verify/judge.hpp>

#include <algorithm>
#include <cmath>
#include <exception>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace generate_program {

struct judge_settings {
  decant::linear_head head{};
  double threshold = 0.5;  ///< on the sigmoid of the head's score
};

/// The judge that an object describes; throws what is wrong with it.
inline judge_settings judge_of(const nlohmann::json& object) {
  judge_settings read{{object.at("weights").get<std::vector<float>>(), object.at("bias").get<double>()}};
  read.threshold = object.value("threshold", read.threshold);
  for (const auto& [key, value] : object.items()) {
    if (key != "weights" && key != "bias" && key != "threshold") {
      throw std::invalid_argument(fmt::format("\"{}\" is not wanted there", key));
    }
  }
  const auto is_finite = [](float w) { return std::isfinite(w); };
  if (read.head.weights.empty() || !std::all_of(read.head.weights.begin(), read.head.weights.end(), is_finite)) {
    throw std::invalid_argument("it has no weights, or one that is too large");
  }
  if (!(read.threshold >= 0 && read.threshold <= 1)) {
    throw std::invalid_argument("the threshold is not a number from 0 to 1");
  }
  return read;
}

inline judge_settings read_judge(const std::string& path) {
  const std::string text = read_all(open_file(path, "rb").get(), "the file " + path);
  try {
    return judge_of(nlohmann::json::parse(text));
  } catch (const std::exception& wrong) {
    throw refusal(fmt::format("the judge in {} cannot be used: {}; it should look like {}", path, wrong.what(),
                              R"({"weights": [0.1, -0.2], "bias": 0.5, "threshold": 0.5})"));
  }
}

}  // namespace generate_program

#endif
