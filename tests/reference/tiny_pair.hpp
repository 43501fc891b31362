// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tiny pair: a target and a draft model of tests/data with one vocabulary, which tests/data/train_tiny_pair.py
// made.
#ifndef DECANT_TESTS_REFERENCE_TINY_PAIR_HPP
#define DECANT_TESTS_REFERENCE_TINY_PAIR_HPP

#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace decant_test {

inline const std::string tiny_target_file = DECANT_TEST_DATA_DIR "/tiny-target.gguf";
inline const std::string tiny_draft_file = DECANT_TEST_DATA_DIR "/tiny-draft.gguf";

[[nodiscard]] inline decant::gguf_file open_model(const std::string& path) {
  return decant::gguf_file::open(path.c_str()).value_or_throw();
}
[[nodiscard]] inline decant::reference_model load_model(const std::string& path,
                                                        const decant::reference_options& options = {}) {
  return decant::reference_model::load(path.c_str(), options).value_or_throw();
}
[[nodiscard]] inline decant::tokenizer load_words(const std::string& path) {
  return decant::load_tokenizer(open_model(path)).value_or_throw();
}

/// Beginnings that the pair can go on from.
inline constexpr std::array<const char*, 24> tiny_prompts{
    "It was a truth",
    "The carriage stood at the door, and",
    "She had never been so",
    "\"I do not know what you mean,\" said",
    "Mr. Weston was a man of",
    "In the evening they walked",
    "There was no doubt that the letter",
    "My dear sister,",
    "He looked at her with",
    "When breakfast was over, the ladies",
    "The house was small, but",
    "\"How can you be so",
    "Nothing could be more",
    "After a short silence, Captain Hall began",
    "Her mother would not hear of",
    "I am sure you will be happy to",
    "As soon as the rain had stopped,",
    "It must be a great pleasure to",
    "\"You are very kind,\" replied Anne,",
    "The whole party were to dine at",
    "They had known each other for",
    "Of all the young men in the country",
    "She read the letter twice, and",
    "It was not till the next morning that",
};

}  // namespace decant_test

#endif
