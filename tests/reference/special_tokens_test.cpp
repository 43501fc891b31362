// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/special_tokens.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::special_occurrence;
using decant::special_tokens;
using decant::text_part;
using decant::token;
using decant::vocabulary;
using decant::vocabulary_data;

struct special_word {
  std::string_view text;
  std::int32_t kind;
};

vocabulary make(const std::vector<special_word>& listed) {
  vocabulary_data data;
  for (const special_word& word : listed) {
    data.texts.push_back(word.text);
    data.kinds.push_back(word.kind);
  }
  auto made = vocabulary::create(data);
  REQUIRE(made.has_value());
  return std::move(*made);
}

std::vector<special_occurrence> find(const vocabulary& words, const std::vector<text_part>& parts) {
  std::string text;
  for (const text_part& part : parts) text.append(part.text);
  return special_tokens(words).find(words, text, parts);
}

/// The rule, spelled out: each token in turn, longest first, takes its occurrences from left to right in what is left.
std::vector<special_occurrence> find_by_rule(const std::vector<special_word>& listed, std::string_view text) {
  std::vector<bool> taken(text.size(), false);
  std::vector<special_occurrence> found;
  for (std::size_t length = text.size(); length > 0; --length) {
    for (std::size_t id = 0; id < listed.size(); ++id) {
      if (listed[id].text.size() != length) continue;
      for (std::size_t at = 0; at + length <= text.size(); ++at) {
        bool free = text.substr(at, length) == listed[id].text;
        for (std::size_t i = 0; i < length && free; ++i) free = !taken[at + i];
        for (std::size_t i = 0; i < length && free; ++i) taken[at + i] = true;
        if (free) found.push_back({at, length, static_cast<token>(id)});
      }
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  return found;
}

constexpr std::int32_t normal = 1;
constexpr std::int32_t control = 3;
constexpr std::int32_t user_defined = 4;

}  // namespace

TEST_CASE("special_tokens: control tokens count in markup, user-defined ones everywhere") {
  const vocabulary words = make({{"<s>", control}, {"@@", user_defined}, {"<n>", normal}});
  const std::vector<special_occurrence> both{{1, 3, 0}, {5, 2, 1}};
  CHECK(find(words, {{"a<s>b@@<n>", true}}) == both);
  CHECK(find(words, {{"a<s>b@@<n>", false}}) == std::vector<special_occurrence>{{5, 2, 1}});
}

TEST_CASE("special_tokens: a control token does not reach over the end of its part") {
  const vocabulary words = make({{"<s>", control}, {"@@", user_defined}});
  CHECK(find(words, {{"<s", true}, {">", true}}).empty());
  CHECK(find(words, {{"<s", false}, {">", true}}).empty());
  CHECK(find(words, {{"<s>", false}, {"<s>", true}}) == std::vector<special_occurrence>{{3, 3, 0}});
  CHECK(find(words, {{"@", false}, {"@", true}}) == std::vector<special_occurrence>{{0, 2, 1}});
}

TEST_CASE("special_tokens: longer tokens go first") {
  const vocabulary words = make({{"ab", user_defined}, {"bcd", user_defined}, {"a", user_defined}});
  CHECK(find(words, {{"abcd", false}}) == std::vector<special_occurrence>{{0, 1, 2}, {1, 3, 1}});
  CHECK(find(words, {{"abab", false}}) == std::vector<special_occurrence>{{0, 2, 0}, {2, 2, 0}});
}

TEST_CASE("special_tokens: bytes above 0x7F and the end of the text are in order") {
  const vocabulary words = make({{"\xC3\xA9", user_defined}, {"\x7F", user_defined}, {"\xFF", user_defined}});
  CHECK(find(words, {{"\xC3\xA9\x7F\xFF\xC3", false}}) ==
        std::vector<special_occurrence>{{0, 2, 0}, {2, 1, 1}, {3, 1, 2}});
  CHECK(find(words, {}).empty());
}

TEST_CASE("special_tokens: the fast search does what the rule says") {
  std::uint32_t state = 5;
  const auto roll = [&state](std::uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % below;
  };
  const auto random_text = [&](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back("ab"[roll(2)]);
    return text;
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> texts;
    for (int i = 0; i < 6; ++i) {
      const std::string text = random_text(1 + roll(5));
      if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
    }
    std::vector<special_word> listed;
    for (const std::string& text : texts) listed.push_back({text, user_defined});
    const std::string text = random_text(30);
    REQUIRE(find(make(listed), {{text, false}}) == find_by_rule(listed, text));
  }
}

TEST_CASE("special_tokens: a vocabulary of nested tokens costs neither memory nor much time") {
  std::vector<std::string> texts;
  for (std::size_t size = 1; size <= 500; ++size) texts.push_back(std::string(size, 'a'));
  std::vector<special_word> listed;
  for (const std::string& text : texts) listed.push_back({text, user_defined});
  const std::string text(20'123, 'a');
  const std::vector<special_occurrence> found = find(make(listed), {{text, false}});
  REQUIRE(found.size() == 41);
  CHECK(found.front() == special_occurrence{0, 500, 499});
  CHECK(found.back() == special_occurrence{20'000, 123, 122});
}
