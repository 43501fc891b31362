// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any bytes as text that arrives in pieces. The first byte says how the rest is cut up.
#ifndef DECANT_TESTS_FUZZ_UTF8_TARGET_HPP
#define DECANT_TESTS_FUZZ_UTF8_TARGET_HPP

#include <decant/reference/byte_level.hpp>
#include <decant/reference/sentencepiece_text.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace decant_fuzz {

struct utf8_target {
  /// What is wrong, or null.
  [[nodiscard]] static const char* check(std::string_view bytes) {
    if (bytes.empty()) return nullptr;
    const auto rhythm = static_cast<unsigned char>(bytes[0]);
    const std::string_view text = bytes.substr(1);
    for (const auto& complaint : {check_decoding(text), check_stream(text, rhythm), check_spellings(text)}) {
      if (complaint != nullptr) return complaint;
    }
    return nullptr;
  }

  [[nodiscard]] static std::vector<std::string> seeds() {
    return {"\x01plain",
            std::string("\x1B") + "caf\u00E9 \u20AC \U0001F600!",
            "\x02\xF0\x9F\x98 \xC3\xC3\xA9 \xFF\xED\xA0\x80",
            "\x07\xE2\x82",
            "\x03\xC0\x80\xE0\x80\xBF\xF4\x90\x80\x80\xF0\x8F\xBF\xBF",
            "\x09 \u2581\u0120\u010A\xAD"};
  }

 private:
  [[nodiscard]] static const char* check_decoding(std::string_view text) {
    bool valid = true;
    std::string again;
    for (std::size_t at = 0; at < text.size();) {
      const decant::utf8_character c = decant::decode_utf8(text.substr(at));
      if (c.length < 1 || c.length > 4 || c.length > text.size() - at) return "a character has a wrong length";
      const bool is_valid = c.status == decant::utf8_status::valid;
      if (is_valid) decant::append_utf8(again, c.code_point);
      if (is_valid && !text.substr(at, c.length).ends_with(again.substr(again.size() - c.length))) {
        return "a character is not encoded as it was";
      }
      if (!is_valid && c.code_point != decant::replacement_character) return "an ill-formed sequence has a code point";
      valid = valid && is_valid;
      at += c.length;
    }
    if (valid != decant::is_valid_utf8(text)) return "well-formedness depends on who asks";
    if (valid && again != text) return "well-formed text changes";
    return nullptr;
  }

  /// Pieces of 0 to 7 bytes, by a little generator that `rhythm` seeds.
  [[nodiscard]] static const char* check_stream(std::string_view text, unsigned rhythm) {
    decant::text_stream stream;
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      rhythm = rhythm * 1664525u + 1013904223u;
      const std::size_t size = std::min<std::size_t>((rhythm >> 20) % 8, text.size() - at);
      const std::string_view ready = stream.push(text.substr(at, size));
      if (!decant::is_valid_utf8(ready)) return "half a character is shown";
      shown.append(ready);
      at += size;
      if (stream.held_back() > 3) return "more is held back than a character lacks";
      if (stream.held_back() != decant::incomplete_utf8_tail(text.substr(0, at)))
        return "too much or too little is held back";
    }
    shown.append(stream.finish());
    std::string expected;
    decant::append_valid_utf8(expected, text);
    if (shown != expected) return "the division of the text shows";
    if (decant::is_valid_utf8(text) && shown != text) return "well-formed text changes";
    return nullptr;
  }

  [[nodiscard]] static const char* check_spellings(std::string_view text) {
    std::string letters;
    decant::append_letters(letters, text);
    std::string back;
    decant::append_bytes_of_letters(back, letters);
    if (back != text) return "letters do not give their bytes back";

    std::string marked;
    decant::append_marked(marked, text);
    if (marked.find(' ') != std::string::npos) return "a space has no mark";
    std::string unmarked;
    decant::append_unmarked(unmarked, marked);
    std::string expected;
    decant::append_unmarked(expected, text);
    return unmarked == expected ? nullptr : "marks do not give their spaces back";
  }
};

}  // namespace decant_fuzz

#endif
