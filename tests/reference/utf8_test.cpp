// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/utf8.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::append_utf8;
using decant::append_valid_utf8;
using decant::decode_utf8;
using decant::incomplete_utf8_tail;
using decant::is_valid_utf8;
using decant::utf8_character;
using decant::utf8_status;

std::string encoded(char32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

std::string repaired(std::string_view bytes) {
  std::string text;
  append_valid_utf8(text, bytes);
  return text;
}

constexpr std::string_view fffd = "\xEF\xBF\xBD";

std::string times(std::size_t count, std::string_view text) {
  std::string joined;
  for (std::size_t i = 0; i < count; ++i) joined.append(text);
  return joined;
}

static_assert(decode_utf8("\xE2\x82\xAC") == utf8_character{U'\u20AC', 3, utf8_status::valid});

}  // namespace

TEST_CASE("utf8: every code point survives encoding and decoding") {
  std::size_t wrong = 0;
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point >= 0xD800 && code_point <= 0xDFFF) continue;
    const std::string text = encoded(code_point);
    if (decode_utf8(text) != utf8_character{code_point, text.size(), utf8_status::valid}) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("utf8: lengths change at the borders of the ranges") {
  CHECK(encoded(0x7F) == "\x7F");
  CHECK(encoded(0x80) == "\xC2\x80");
  CHECK(encoded(0x7FF) == "\xDF\xBF");
  CHECK(encoded(0x800) == "\xE0\xA0\x80");
  CHECK(encoded(0xD7FF) == "\xED\x9F\xBF");
  CHECK(encoded(0xE000) == "\xEE\x80\x80");
  CHECK(encoded(0xFFFF) == "\xEF\xBF\xBF");
  CHECK(encoded(0x10000) == "\xF0\x90\x80\x80");
  CHECK(encoded(0x10FFFF) == "\xF4\x8F\xBF\xBF");
}

TEST_CASE("utf8: what is no character is encoded as the replacement character") {
  CHECK(encoded(0xD800) == fffd);
  CHECK(encoded(0xDFFF) == fffd);
  CHECK(encoded(0x110000) == fffd);
  CHECK(encoded(0xFFFFFFFF) == fffd);
}

TEST_CASE("utf8: ill-formed sequences are consumed as maximal subparts") {
  struct ill_formed {
    std::string_view bytes;
    std::size_t length;
  };
  const std::vector<ill_formed> cases{
      {"\x80", 1},              // a continuation alone
      {"\xBF\x80", 1},          //
      {"\xC0\x80", 1},          // overlong NUL
      {"\xC1\xBF", 1},          // overlong DEL
      {"\xC2\x41", 1},          // the second byte is missing
      {"\xC2\xC2", 1},          //
      {"\xE0\x80\x80", 1},      // overlong, three bytes
      {"\xE0\x9F\xBF", 1},      //
      {"\xE1\x80\x41", 2},      // the third byte is missing
      {"\xED\xA0\x80", 1},      // surrogate D800
      {"\xED\xBF\xBF", 1},      // surrogate DFFF
      {"\xF0\x80\x80\x80", 1},  // overlong, four bytes
      {"\xF0\x8F\xBF\xBF", 1},  //
      {"\xF1\x80\x80\x41", 3},  // the fourth byte is missing
      {"\xF4\x90\x80\x80", 1},  // above U+10FFFF
      {"\xF5\x80\x80\x80", 1},  //
      {"\xFE", 1},              //
      {"\xFF\xFF", 1},          //
  };
  for (const ill_formed& c : cases) {
    CAPTURE(c.bytes.size(), static_cast<int>(static_cast<unsigned char>(c.bytes[0])));
    CHECK(decode_utf8(c.bytes) == utf8_character{0xFFFD, c.length, utf8_status::invalid});
    CHECK_FALSE(is_valid_utf8(c.bytes));
  }
}

TEST_CASE("utf8: a well-formed beginning is incomplete, not invalid") {
  for (const char32_t code_point : {U'\u00E9', U'\u20AC', U'\U0001F600', char32_t{0x10FFFF}}) {
    const std::string whole = encoded(code_point);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      CHECK(decode_utf8(std::string_view(whole).substr(0, size)) ==
            utf8_character{0xFFFD, size, utf8_status::incomplete});
    }
  }
}

TEST_CASE("utf8: the incomplete tail is what a later byte could still complete") {
  CHECK(incomplete_utf8_tail("") == 0);
  CHECK(incomplete_utf8_tail("abc") == 0);
  CHECK(incomplete_utf8_tail("\xE2\x82\xAC") == 0);
  CHECK(incomplete_utf8_tail("a\xC3") == 1);
  CHECK(incomplete_utf8_tail("a\xE2") == 1);
  CHECK(incomplete_utf8_tail("a\xE2\x82") == 2);
  CHECK(incomplete_utf8_tail("\xF0\x9F\x98") == 3);
  CHECK(incomplete_utf8_tail("\xF0\x9F\x98\x80") == 0);
  CHECK(incomplete_utf8_tail("\xED\xA0") == 0);      // would be a surrogate
  CHECK(incomplete_utf8_tail("\x80\x80\x80") == 0);  // never a character
  CHECK(incomplete_utf8_tail("\xC3\xA9\x80") == 0);
  CHECK(incomplete_utf8_tail("\xFF") == 0);
}

TEST_CASE("utf8: repairing replaces each maximal subpart once") {
  // Unicode Standard, table 3-8 and its neighbours.
  CHECK(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == times(8, fffd) + "A");
  CHECK(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == times(8, fffd) + "A");
  CHECK(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == times(5, fffd) + "A" + times(2, fffd) + "B");
  CHECK(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == times(4, fffd) + "A");
  CHECK(repaired("a\xE2\x82") == "a" + std::string(fffd));
  CHECK(repaired("caf\xC3\xA9") == "caf\xC3\xA9");
}

TEST_CASE("utf8: whatever the bytes, repairing gives well-formed text and keeps well-formed text") {
  std::uint32_t state = 12345;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 24; ++i) {
      state = state * 1664525u + 1013904223u;
      const std::uint32_t roll = state >> 16;
      bytes.push_back(static_cast<char>(roll % 3 == 0 ? 'a' : 0x80 + roll / 3 % 128));
    }
    const std::string once = repaired(bytes);
    REQUIRE(is_valid_utf8(once));
    REQUIRE(repaired(once) == once);
    REQUIRE(is_valid_utf8(bytes) == (once == bytes));
  }
}
