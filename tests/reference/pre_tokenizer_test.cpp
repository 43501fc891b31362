// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/pre_tokenizer.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::error_code;
using decant::pre_tokenizer;

pre_tokenizer make(std::string_view name) {
  auto made = pre_tokenizer::create(name);
  REQUIRE(made.has_value());
  return std::move(*made);
}

/// The pieces of a text, joined by bars; a space shows as _ and a line end as $.
std::string split(std::string_view name, std::string_view text) {
  const pre_tokenizer splitter = make(name);
  std::vector<std::string_view> pieces;
  REQUIRE(splitter.split(text, pieces).has_value());
  std::string shown;
  for (const std::string_view piece : pieces) {
    if (!shown.empty()) shown += '|';
    for (const char c : piece) shown += c == ' ' ? '_' : c == '\n' ? '$' : c;
  }
  return shown;
}

constexpr std::string_view greeting = "Hello, world!  2+2=42\n\n  it's  fine";

}  // namespace

TEST_CASE("pre_tokenizer: reference splits of the three families") {
  CHECK(split("smollm", greeting) == "Hello|,|_world|!|__|2|+|2|=|4|2|$$_|_it|'s|_|_fine");
  CHECK(split("gpt-2", greeting) == "Hello|,|_world|!|_|_2|+|2|=|42|$$_|_it|'s|_|_fine");
  CHECK(split("llama-bpe", greeting) == "Hello|,|_world|!|_|_|2|+|2|=|42|$$|_|_it|'s|_|_fine");
  CHECK(split("qwen2", greeting) == "Hello|,|_world|!|_|_|2|+|2|=|4|2|$$|_|_it|'s|_|_fine");
}

TEST_CASE("pre_tokenizer: digits, spaces at the ends, contractions") {
  CHECK(split("smollm", "3.14 and 007") == "3|.|1|4|_and|_|0|0|7");
  CHECK(split("smollm", "  leading") == "_|_leading");
  CHECK(split("smollm", "trailing  ") == "trailing|__");
  CHECK(split("smollm", "I'LL we'll") == "I|'|LL|_we|'ll");
  CHECK(split("smollm", "don't\tstop") == "don|'t|\t|stop");
  CHECK(split("llama-bpe", "don't\tstop") == "don|'t|\tstop");
  CHECK(split("llama-bpe", "I'LL we'll") == "I|'LL|_we|'ll");
  CHECK(split("llama-bpe", "1234567") == "123|456|7");
  CHECK(split("llama-bpe", "a  \n  \n b") == "a|__$__$|_b");
  CHECK(split("gpt-2", "1234567") == "1234567");
}

TEST_CASE("pre_tokenizer: the default rule, of files that name none") {
  CHECK(split("default", "Hi there, 12345 ok") == "Hi|_there|,|_|123|45|_ok");
  CHECK(split("", "Hi there, 12345 ok") == split("default", "Hi there, 12345 ok"));
}

TEST_CASE("pre_tokenizer: letters, numbers and spaces are those of Unicode") {
  CHECK(split("gpt-2", "caf\xC3\xA9 \xD0\xBC\xD0\xB8\xD1\x80") == "caf\xC3\xA9|_\xD0\xBC\xD0\xB8\xD1\x80");
  CHECK(split("smollm", "\xC2\xBD\xE2\x85\xA7") == "\xC2\xBD|\xE2\x85\xA7");  // one half, Roman eight
  CHECK(split("gpt-2",
              "a\xC2\xA0"
              "b\xE3\x80\x80"
              "c") == "a|\xC2\xA0|b|\xE3\x80\x80|c");  // no-break, ideographic
  CHECK(split("gpt-2",
              "a\xE1\xA0\x8E"
              "b") == "a|\xE1\xA0\x8E|b");
  CHECK(split("gpt-2", ".\xE1\xA0\x8E.") == ".\xE1\xA0\x8E.");  // U+180E is not a space
  CHECK(split("llama-bpe", "x'\xC5\xBF") == "x|'\xC5\xBF");     // the long s is not an s
}

TEST_CASE("pre_tokenizer: ill-formed bytes are split as symbols and kept") {
  CHECK(split("gpt-2",
              "ab\xFF"
              "cd") == "ab|\xFF|cd");
  CHECK(split("gpt-2", "ab \xE2\x82!x") == "ab|_\xE2\x82!|x");
  CHECK(split("default", "ab\xFF,") == "ab|\xFF|,");
  CHECK(split("smollm", "\xF0\x9F\x98") == "\xF0\x9F\x98");
}

TEST_CASE("pre_tokenizer: the pieces are views that together make up the text") {
  std::uint32_t state = 7;
  for (const char* name : {"smollm", "gpt-2", "llama-bpe", "qwen2", "default"}) {
    const pre_tokenizer splitter = make(name);
    for (int round = 0; round < 300; ++round) {
      std::string text;
      for (int i = 0; i < 40; ++i) {
        state = state * 1664525u + 1013904223u;
        const std::uint32_t roll = state >> 16;
        text.push_back(roll % 4 == 0 ? static_cast<char>(roll / 4 % 256) : " \n'sla1.\xC3\xA9"[roll / 4 % 10]);
      }
      std::vector<std::string_view> pieces;
      REQUIRE(splitter.split(text, pieces).has_value());
      const char* expected = text.data();
      for (const std::string_view piece : pieces) {
        REQUIRE_FALSE(piece.empty());
        REQUIRE(piece.data() == expected);
        expected += piece.size();
      }
      REQUIRE(expected == text.data() + text.size());
    }
  }
}

TEST_CASE("pre_tokenizer: long runs of one kind are split in linear time") {
  for (const char* name : {"smollm", "gpt-2", "llama-bpe", "default"}) {
    for (const char c : {'a', ' ', '\n', '1', '.', '\''}) {
      const std::string text(300'000, c);
      std::vector<std::string_view> pieces;
      CHECK(make(name).split(text, pieces).has_value());
    }
  }
}

TEST_CASE("pre_tokenizer: no text, no pieces") {
  std::vector<std::string_view> pieces;
  CHECK(make("smollm").split("", pieces).has_value());
  CHECK(pieces.empty());
}

TEST_CASE("pre_tokenizer: an unknown name is refused by name, unprintable characters hidden") {
  const auto refused = pre_tokenizer::create("no-such\x1B[31m");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.code() == error_code::unsupported);
  CHECK(std::string(refused.error().message().c_str()) ==
        "the feature is not supported: unknown pre-tokenizer: no-such?[31m");
}

TEST_CASE("pre_tokenizer: a rule of one's own may be wrong") {
  const auto broken = pre_tokenizer::create(decant::pre_tokenizer_rule{"mine", {"(unclosed"}});
  CHECK(broken.code() == error_code::unsupported);

  const auto empty = pre_tokenizer::create(decant::pre_tokenizer_rule{"mine", {"x*"}});
  REQUIRE(empty.has_value());
  std::vector<std::string_view> pieces;
  CHECK(empty->split("abc", pieces).code() == error_code::invalid_argument);

  const auto explosive = pre_tokenizer::create(decant::pre_tokenizer_rule{"mine", {"(a+)+$"}});
  REQUIRE(explosive.has_value());
  CHECK(explosive->split(std::string(64, 'a') + "b", pieces).code() == error_code::invalid_argument);
}
