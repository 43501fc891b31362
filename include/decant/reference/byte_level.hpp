// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The alphabet of byte-level vocabularies (gpt2 family): every byte is written as one printable character, so that
// token texts are ordinary strings without spaces. Bytes 21..7E, A1..AC and AE..FF stand for themselves; the other 68,
// in ascending order, are U+0100 to U+0143 (space is U+0120, newline is U+010A).
#ifndef DECANT_REFERENCE_BYTE_LEVEL_HPP
#define DECANT_REFERENCE_BYTE_LEVEL_HPP

#include <decant/reference/utf8.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace decant::inline DECANT_ABI {

namespace detail {

struct byte_alphabet {
  std::array<char16_t, 256> letter{};         ///< byte -> code point
  std::array<std::int16_t, 0x144> byte_of{};  ///< code point -> byte, or -1
};

[[nodiscard]] constexpr bool byte_is_its_own_letter(unsigned byte) noexcept {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

[[nodiscard]] constexpr byte_alphabet make_byte_alphabet() noexcept {
  byte_alphabet alphabet;
  alphabet.byte_of.fill(-1);
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const unsigned letter = byte_is_its_own_letter(byte) ? byte : next++;
    alphabet.letter[byte] = static_cast<char16_t>(letter);
    alphabet.byte_of[letter] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

inline constexpr byte_alphabet gpt2_bytes = make_byte_alphabet();

}  // namespace detail

/// The code point that stands for a byte.
[[nodiscard]] constexpr char32_t byte_letter(std::uint8_t byte) noexcept { return detail::gpt2_bytes.letter[byte]; }

/// The byte that a code point stands for, or -1 when it is not of the alphabet.
[[nodiscard]] constexpr int letter_byte(char32_t code_point) noexcept {
  return code_point < detail::gpt2_bytes.byte_of.size() ? detail::gpt2_bytes.byte_of[code_point] : -1;
}

/// Appends the letters of `bytes` as UTF-8.
inline void append_letters(std::string& text, std::string_view bytes) {
  for (const char byte : bytes) append_utf8(text, byte_letter(static_cast<std::uint8_t>(byte)));
}

/// Appends the bytes that `letters` stand for. Characters outside the alphabet, and ill-formed bytes, stand for
/// themselves: some files list added tokens in plain text.
inline void append_bytes_of_letters(std::string& bytes, std::string_view letters) {
  while (!letters.empty()) {
    const utf8_character c = decode_utf8(letters);
    const int byte = c.status == utf8_status::valid ? letter_byte(c.code_point) : -1;
    if (byte >= 0) {
      bytes.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
    } else {
      bytes.append(letters.substr(0, c.length));
    }
    letters.remove_prefix(c.length);
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
