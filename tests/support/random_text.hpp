// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Random text of all scripts, for tests of tokenizers.
#ifndef DECANT_TESTS_SUPPORT_RANDOM_TEXT_HPP
#define DECANT_TESTS_SUPPORT_RANDOM_TEXT_HPP

#include <decant/reference/utf8.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/random.hpp"

namespace decant_test {

namespace detail {

struct code_point_range {
  char32_t first;
  char32_t last;
};

inline constexpr std::array<code_point_range, 24> text_ranges{{
    {0x00A0, 0x024F}, {0x0250, 0x02FF}, {0x0300, 0x036F}, {0x0391, 0x03A1}, {0x0400, 0x0481},   {0x05D0, 0x05EA},
    {0x0620, 0x064A}, {0x0660, 0x0669}, {0x0905, 0x0939}, {0x0E01, 0x0E30}, {0x1E00, 0x1F15},   {0x2000, 0x206F},
    {0x2070, 0x2071}, {0x20A0, 0x20BF}, {0x2100, 0x218B}, {0x2190, 0x23FF}, {0x2460, 0x25FF},   {0x3000, 0x303F},
    {0x3041, 0x3096}, {0x4E00, 0x9FA5}, {0xAC00, 0xD7A3}, {0xFF01, 0xFF9E}, {0x1D400, 0x1D454}, {0x1F300, 0x1F64F},
}};

inline constexpr std::array<std::string_view, 32> text_words{
    "the",    " the",   " there", "ing",  "hello", " world", " over",      "'s",           "'LL",   "'t",    "n't",
    " for (", "++i)",   " {\n",   "\n\n", "\t",    "  ",     "    ",       "\r\n",         " \n ",  "12",    "365",
    "3.14",   "<tool>", "@@",     "</s>", "<s>",   "[INST]", "<|im_end|>", "<|im_start|>", " zqzq", "\u2581"};

}  // namespace detail

/// A text of up to `most` elements: ASCII, words and marks that vocabularies know, characters of many scripts, and now
/// and then any code point at all.
[[nodiscard]] inline std::string random_text(random_source& random, std::size_t most) {
  std::string text;
  for (std::size_t left = random.below(most + 1); left > 0; --left) {
    const std::size_t roll = random.below(100);
    if (roll < 30) {
      text.push_back(static_cast<char>(random.between(' ', '~')));
    } else if (roll < 60) {
      text.append(detail::text_words[random.below(detail::text_words.size())]);
    } else if (roll < 95) {
      const detail::code_point_range range = detail::text_ranges[random.below(detail::text_ranges.size())];
      decant::append_utf8(text, static_cast<char32_t>(random.between(range.first, range.last)));
    } else {
      decant::append_utf8(text, static_cast<char32_t>(random.below(roll < 98 ? 0x10000 : 0x110000)));
    }
  }
  return text;
}

}  // namespace decant_test

#endif
