// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/byte_level.hpp>

#include <set>
#include <string>

#include "support/test_kit.hpp"

namespace {

using decant::append_bytes_of_letters;
using decant::append_letters;
using decant::byte_letter;
using decant::letter_byte;

static_assert(byte_letter('A') == U'A');
static_assert(byte_letter(' ') == U'\u0120');
static_assert(byte_letter('\n') == U'\u010A');
static_assert(byte_letter(0x00) == U'\u0100');
static_assert(byte_letter(0x7F) == U'\u0121');
static_assert(byte_letter(0xA0) == U'\u0142');
static_assert(byte_letter(0xAD) == U'\u0143');
static_assert(byte_letter(0xFF) == U'\u00FF');

}  // namespace

TEST_CASE("byte_level: the alphabet is a bijection of the 256 bytes") {
  std::set<char32_t> letters;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t letter = byte_letter(static_cast<std::uint8_t>(byte));
    letters.insert(letter);
    CHECK(letter_byte(letter) == byte);
  }
  CHECK(letters.size() == 256);
}

TEST_CASE("byte_level: code points outside the alphabet stand for no byte") {
  for (const char32_t code_point :
       {U' ', U'\n', char32_t{0x7F}, char32_t{0xAD}, char32_t{0x144}, U'\u4E00', char32_t{0x10FFFF}}) {
    CHECK(letter_byte(code_point) == -1);
  }
}

TEST_CASE("byte_level: text goes to letters and back") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  std::string letters;
  append_letters(letters, all);
  std::string back;
  append_bytes_of_letters(back, letters);
  CHECK(back == all);

  std::string spaced;
  append_letters(spaced, " a\n");
  CHECK(spaced ==
        "\xC4\xA0"
        "a\xC4\x8A");
}

TEST_CASE("byte_level: plain text inside a vocabulary stands for itself") {
  std::string bytes;
  append_bytes_of_letters(bytes, "a \xE4\xB8\x80\xFF\xC4\xA0");
  CHECK(bytes == "a \xE4\xB8\x80\xFF ");
}
