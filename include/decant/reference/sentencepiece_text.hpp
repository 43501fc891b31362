// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How SentencePiece vocabularies write text (Kudo and Richardson, arXiv 1808.06226): a space is the visible mark
// U+2581, and a byte that has no token of its own is a token spelled "<0x0A>".
#ifndef DECANT_REFERENCE_SENTENCEPIECE_TEXT_HPP
#define DECANT_REFERENCE_SENTENCEPIECE_TEXT_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace decant::inline DECANT_ABI {

/// U+2581, which stands for a space.
inline constexpr std::string_view space_mark = "\xE2\x96\x81";

/// Appends `text` with every space as a mark.
inline void append_marked(std::string& marked, std::string_view text) {
  for (const char c : text) {
    if (c == ' ') {
      marked.append(space_mark);
    } else {
      marked.push_back(c);
    }
  }
}

/// Appends `marked` with every mark as a space.
inline void append_unmarked(std::string& text, std::string_view marked) {
  for (std::size_t mark = marked.find(space_mark); mark != std::string_view::npos; mark = marked.find(space_mark)) {
    text.append(marked.substr(0, mark)).push_back(' ');
    marked.remove_prefix(mark + space_mark.size());
  }
  text.append(marked);
}

/// The byte that a text of the form "<0xNN>" names, two hexadecimal digits and nothing else; -1 for any other text.
[[nodiscard]] constexpr int named_byte(std::string_view text) noexcept {
  constexpr std::string_view digits = "0123456789ABCDEFabcdef";
  if (text.size() != 6 || !text.starts_with("<0x") || text.back() != '>') return -1;
  int byte = 0;
  for (const char c : text.substr(3, 2)) {
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) return -1;
    byte = 16 * byte + static_cast<int>(digit < 16 ? digit : digit - 6);
  }
  return byte;
}

}  // namespace decant::inline DECANT_ABI

#endif
