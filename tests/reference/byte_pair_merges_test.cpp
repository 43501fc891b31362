// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/byte_pair_merges.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::byte_pair_merges;
using decant::error_code;
using decant::token;
using decant::vocabulary;
using decant::vocabulary_data;

/// A vocabulary and its merges, as strings.
struct language {
  std::vector<std::string> texts;
  std::vector<std::string> merges;
  token unknown = decant::no_token;
};

struct encoder {
  vocabulary words;
  byte_pair_merges merges;

  [[nodiscard]] std::vector<token> operator()(std::string_view piece) const {
    byte_pair_merges::workspace work;
    std::vector<token> tokens;
    REQUIRE(merges.encode(piece, work, tokens).has_value());
    return tokens;
  }
};

vocabulary words_of(const language& spoken) {
  vocabulary_data data;
  data.texts.assign(spoken.texts.begin(), spoken.texts.end());
  data.unknown = spoken.unknown;
  auto made = vocabulary::create(data);
  REQUIRE(made.has_value());
  return std::move(*made);
}

decant::result<byte_pair_merges> merges_of(const language& spoken, const vocabulary& words) {
  const std::vector<std::string_view> entries(spoken.merges.begin(), spoken.merges.end());
  return byte_pair_merges::create(words, entries);
}

encoder make(const language& spoken) {
  vocabulary words = words_of(spoken);
  auto merges = merges_of(spoken, words);
  REQUIRE(merges.has_value());
  return {std::move(words), std::move(*merges)};
}

/// The definition: scan for the lowest rank, leftmost first, merge, start again.
std::vector<std::string> encode_by_definition(const language& spoken, std::string_view piece) {
  std::vector<std::string> symbols;
  for (const char c : piece) symbols.emplace_back(1, c);
  while (true) {
    std::size_t best_rank = spoken.merges.size();
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = std::find(spoken.merges.begin(), spoken.merges.end(), symbols[i] + " " + symbols[i + 1]);
      const auto rank = static_cast<std::size_t>(found - spoken.merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == spoken.merges.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("byte_pair_merges: ranks decide, not positions") {
  const language spoken{{"a", "b", "c", "ab", "bc", "abc"}, {"b c", "a b", "a bc"}, decant::no_token};
  const encoder encode = make(spoken);
  CHECK(encode("abc") == std::vector<token>{5});
  CHECK(encode("ab") == std::vector<token>{3});
  CHECK(encode("aabcb") == std::vector<token>{0, 5, 1});
  CHECK(encode("a") == std::vector<token>{0});
  CHECK(encode("").empty());
}

TEST_CASE("byte_pair_merges: equal pairs merge from the left") {
  const language spoken{{"a", "aa", "aaaa"}, {"a a", "aa aa"}, decant::no_token};
  const encoder encode = make(spoken);
  CHECK(encode("aaa") == std::vector<token>{1, 0});
  CHECK(encode("aaaaa") == std::vector<token>{2, 0});
  CHECK(encode("aaaaaaa") == std::vector<token>{2, 1, 0});
}

TEST_CASE("byte_pair_merges: an entry may begin with a space, and a repeated one keeps its first rank") {
  const language spoken{{" ", "a", " a", "\xC4\xA0", "b", "ab"}, {"  a", "a b", "  a"}, decant::no_token};
  const vocabulary words = words_of(spoken);
  CHECK(merges_of(spoken, words).has_value());
}

TEST_CASE("byte_pair_merges: the queue does what the definition says") {
  std::uint32_t state = 11;
  const auto roll = [&state](std::size_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % static_cast<std::uint32_t>(below);
  };
  for (int round = 0; round < 200; ++round) {
    language spoken{{"a", "b", "c"}, {}, decant::no_token};
    for (int i = 0; i < 12; ++i) {
      const std::string left = spoken.texts[roll(spoken.texts.size())];
      const std::string right = spoken.texts[roll(spoken.texts.size())];
      const std::string entry = left + " " + right;
      if (std::find(spoken.merges.begin(), spoken.merges.end(), entry) != spoken.merges.end()) continue;
      spoken.merges.push_back(entry);
      if (std::find(spoken.texts.begin(), spoken.texts.end(), left + right) == spoken.texts.end()) {
        spoken.texts.push_back(left + right);
      }
    }
    const encoder encode = make(spoken);
    std::string piece;
    for (int i = 0; i < 40; ++i) piece.push_back("abc"[roll(3)]);
    std::vector<std::string> shown;
    for (const token id : encode(piece)) shown.emplace_back(encode.words.text(id));
    REQUIRE(shown == encode_by_definition(spoken, piece));
  }
}

TEST_CASE("byte_pair_merges: long pieces do not cost quadratic time") {
  language spoken{{"a", "aa"}, {"a a"}, decant::no_token};
  for (std::size_t length = 2; length <= 512; length *= 2) {
    spoken.merges.push_back(std::string(length, 'a') + " " + std::string(length, 'a'));
    spoken.texts.push_back(std::string(2 * length, 'a'));
  }
  CHECK(make(spoken)(std::string(1'000'000, 'a')).size() < 1000);
}

TEST_CASE("byte_pair_merges: a byte without a token is the unknown token, or an error") {
  language spoken{{"<unk>", "a"}, {}, 0};
  CHECK(make(spoken)("a\xFF"
                     "a") == std::vector<token>{1, 0, 1});

  spoken.unknown = decant::no_token;
  const encoder encode = make(spoken);
  byte_pair_merges::workspace work;
  std::vector<token> tokens;
  const auto failed = encode.merges.encode("a\xFF", work, tokens);
  REQUIRE_FALSE(failed.has_value());
  CHECK(std::string(failed.error().message().c_str()) ==
        "a parameter is outside its range: the vocabulary has no token for byte 255");
  CHECK(tokens.empty());
}

TEST_CASE("byte_pair_merges: entries that do not join two tokens into a third are refused") {
  const std::vector<std::string> listed{"a", "b", "ab"};
  for (const char* entry : {"", " ", "a", "ab", "a ", "b a", "a c", "c a", "a  b", " a b", "a b c"}) {
    const language spoken{listed, {"a b", entry}, decant::no_token};
    const vocabulary words = words_of(spoken);
    const auto refused = merges_of(spoken, words);
    CAPTURE(entry);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.code() == error_code::file_malformed);
    CHECK(std::string(refused.error().detail.c_str()) == "a merge does not join two tokens into a third: number 1");
  }
}
