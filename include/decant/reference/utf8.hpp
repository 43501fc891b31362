// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// UTF-8 as the Unicode Standard 15.0, section 3.9, table 3-7 defines it: no overlong forms, no surrogates, nothing
// above U+10FFFF. An ill-formed sequence is consumed as its maximal subpart, the practice the Standard recommends.
#ifndef DECANT_REFERENCE_UTF8_HPP
#define DECANT_REFERENCE_UTF8_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace decant::inline DECANT_ABI {

/// What stands in for an ill-formed sequence.
inline constexpr char32_t replacement_character = U'\uFFFD';

enum class utf8_status : std::uint8_t {
  valid,
  invalid,    ///< no continuation of the bytes makes them a character
  incomplete  ///< the bytes end inside a character that is well-formed so far
};

/// One step of decoding: `length` bytes are consumed, always at least 1; `code_point` is U+FFFD unless `valid`.
struct utf8_character {
  char32_t code_point = replacement_character;
  std::size_t length = 1;
  utf8_status status = utf8_status::invalid;

  friend constexpr bool operator==(const utf8_character&, const utf8_character&) = default;
};

namespace detail {

/// How a character that starts with a given byte goes on: its length in bytes (0: no character starts so) and the
/// range of its second byte. Later bytes are always 80..BF.
struct utf8_lead {
  std::size_t length;
  std::uint8_t second_low;
  std::uint8_t second_high;
};

[[nodiscard]] constexpr utf8_lead utf8_lead_of(std::uint8_t byte) noexcept {
  if (byte < 0x80) return {1, 0x80, 0xBF};
  if (byte < 0xC2) return {0, 0x80, 0xBF};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0x80, 0xBF};
}

}  // namespace detail

/// Decodes the first character of `bytes`. Precondition: `bytes` is not empty.
[[nodiscard]] constexpr utf8_character decode_utf8(std::string_view bytes) noexcept {
  DECANT_PRECONDITION(!bytes.empty());
  const auto first = static_cast<std::uint8_t>(bytes[0]);
  const detail::utf8_lead lead = detail::utf8_lead_of(first);
  if (lead.length == 0) return {};
  if (lead.length == 1) return {first, 1, utf8_status::valid};

  char32_t code_point = first & (0x7Fu >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {replacement_character, i, utf8_status::incomplete};
    const auto byte = static_cast<std::uint8_t>(bytes[i]);
    const std::uint8_t low = i == 1 ? lead.second_low : 0x80;
    const std::uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {replacement_character, i, utf8_status::invalid};
    code_point = (code_point << 6) | (byte & 0x3Fu);
  }
  return {code_point, lead.length, utf8_status::valid};
}

/// Appends the UTF-8 form of a code point; a surrogate or a value above U+10FFFF is appended as U+FFFD.
inline void append_utf8(std::string& text, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = replacement_character;
  const auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  if (code_point < 0x80) {
    put(code_point);
    return;
  }
  if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
  } else {
    if (code_point < 0x10000) {
      put(0xE0 | (code_point >> 12));
    } else {
      put(0xF0 | (code_point >> 18));
      put(0x80 | ((code_point >> 12) & 0x3F));
    }
    put(0x80 | ((code_point >> 6) & 0x3F));
  }
  put(0x80 | (code_point & 0x3F));
}

/// Number of bytes at the end of `bytes` that begin a character and do not finish it: 0 to 3. O(1).
[[nodiscard]] constexpr std::size_t incomplete_utf8_tail(std::string_view bytes) noexcept {
  for (std::size_t tail = 1; tail <= 3 && tail <= bytes.size(); ++tail) {
    const std::string_view last = bytes.substr(bytes.size() - tail);
    const bool is_continuation = (static_cast<std::uint8_t>(last[0]) & 0xC0) == 0x80;
    if (!is_continuation) {
      const utf8_character c = decode_utf8(last);
      return c.status == utf8_status::incomplete && c.length == tail ? tail : 0;
    }
  }
  return 0;
}

/// Whether all of `bytes` is well-formed. O(size).
[[nodiscard]] constexpr bool is_valid_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const utf8_character c = decode_utf8(bytes);
    if (c.status != utf8_status::valid) return false;
    bytes.remove_prefix(c.length);
  }
  return true;
}

/// Appends `bytes` to `text` with every ill-formed sequence, an incomplete end included, replaced by U+FFFD.
inline void append_valid_utf8(std::string& text, std::string_view bytes) {
  while (!bytes.empty()) {
    const utf8_character c = decode_utf8(bytes);
    if (c.status == utf8_status::valid) {
      text.append(bytes.substr(0, c.length));
    } else {
      append_utf8(text, replacement_character);
    }
    bytes.remove_prefix(c.length);
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
