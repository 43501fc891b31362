// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/text_stream.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::append_valid_utf8;
using decant::is_valid_utf8;
using decant::text_stream;

constexpr std::string_view fffd = "\xEF\xBF\xBD";

}  // namespace

TEST_CASE("text_stream: a character comes out with its last byte") {
  text_stream stream;
  CHECK(stream.push("a\xF0") == "a");
  CHECK(stream.push("\x9F") == "");
  CHECK(stream.push("\x98") == "");
  CHECK(stream.held_back() == 3);
  CHECK(stream.push("\x80 b") == "\xF0\x9F\x98\x80 b");
  CHECK(stream.held_back() == 0);
  CHECK(stream.finish() == "");
}

TEST_CASE("text_stream: what cannot become a character is not waited for") {
  text_stream stream;
  CHECK(stream.push("\x80") == fffd);
  CHECK(stream.push("\xE2\x82") == "");
  CHECK(stream.push("x") == std::string(fffd) + "x");
  CHECK(stream.push("\xED\xA0") == std::string(fffd) + std::string(fffd));
}

TEST_CASE("text_stream: the end of the text gives out what was held back, once") {
  text_stream stream;
  CHECK(stream.push("\xE2\x82") == "");
  CHECK(stream.finish() == fffd);
  CHECK(stream.finish() == "");
  CHECK(stream.push("ok") == "ok");
}

TEST_CASE("text_stream: any division of any bytes gives the same well-formed text") {
  const std::vector<std::string> texts{"plain", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80!",
                                       "\xF0\x9F\x98 \xC3\xC3\xA9 \xFF\xED\xA0\x80", "\xE2\x82"};
  std::uint32_t state = 99;
  for (const std::string& text : texts) {
    std::string expected;
    append_valid_utf8(expected, text);
    for (int round = 0; round < 200; ++round) {
      text_stream stream;
      std::string joined;
      for (std::size_t at = 0; at < text.size();) {
        state = state * 1664525u + 1013904223u;
        const std::size_t size = 1 + (state >> 16) % 4;
        const std::string_view shown = stream.push(std::string_view(text).substr(at, size));
        REQUIRE(is_valid_utf8(shown));
        REQUIRE(stream.held_back() <= 3);
        joined.append(shown);
        at += size;
      }
      joined.append(stream.finish());
      REQUIRE(joined == expected);
    }
  }
}
