// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

#include "support/test_kit.hpp"

namespace {

using decant::error_code;
using decant::no_token;
using decant::token;
using decant::token_kind;
using decant::vocabulary;
using decant::vocabulary_data;

vocabulary_data small() {
  vocabulary_data data;
  data.texts = {"<|endoftext|>",
                "a",
                "\xC4\xA0"
                "a",
                "<tool>",
                "<pad>",
                "\xC3\xA9",
                "<0x41>",
                "a"};
  data.kinds = {3, 1, 1, 4, 5, 1, 6, 1};
  data.bos = 0;
  data.eos = 0;
  data.unknown = 0;
  return data;
}

vocabulary make(const vocabulary_data& data) {
  auto made = vocabulary::create(data);
  REQUIRE(made.has_value());
  return std::move(*made);
}

std::vector<token> ends(const vocabulary& words) {
  return {words.end_of_generation().begin(), words.end_of_generation().end()};
}

}  // namespace

TEST_CASE("vocabulary: texts, printed bytes and kinds") {
  const vocabulary words = make(small());
  CHECK(words.size() == 8);
  CHECK(words.text(2) ==
        "\xC4\xA0"
        "a");
  CHECK(words.bytes(1) == "a");
  CHECK(words.bytes(2) == " a");
  CHECK(words.bytes(5) == "\xE9");  // a byte, which is not a character by itself
  CHECK(words.bytes(3) == "<tool>");
  CHECK(words.kind(3) == token_kind::user_defined);
}

TEST_CASE("vocabulary: control, unused and byte tokens print nothing") {
  const vocabulary words = make(small());
  for (const token id : {0, 4, 6}) CHECK(words.bytes(id).empty());
  CHECK(words.text(0) == "<|endoftext|>");
}

TEST_CASE("vocabulary: ids outside have no text") {
  const vocabulary words = make(small());
  for (const token id : {-1, 8, 1 << 30, -(1 << 30)}) {
    CHECK_FALSE(words.contains(id));
    CHECK(words.text(id).empty());
    CHECK(words.bytes(id).empty());
  }
}

TEST_CASE("vocabulary: finding a text gives the lowest id") {
  const vocabulary words = make(small());
  CHECK(words.find("a") == 1);
  CHECK(words.find("<|endoftext|>") == 0);
  CHECK(words.find("b") == no_token);
  CHECK(words.find("") == no_token);
}

TEST_CASE("vocabulary: every text of a large vocabulary is found") {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("w" + std::to_string(i * 7919));
  vocabulary_data data;
  data.texts.assign(texts.begin(), texts.end());
  const vocabulary words = make(data);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (words.find(texts[i]) != static_cast<token>(i)) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(words.find("w1") == no_token);
}

TEST_CASE("vocabulary: generation ends at every token that says so") {
  vocabulary_data data;
  data.texts = {"x", "<|im_end|>", "y", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "<reponame>", "z"};
  data.eos = 7;
  data.also_end = {2, no_token};
  const vocabulary words = make(data);
  CHECK(ends(words) == std::vector<token>{1, 2, 3, 4, 5, 6, 7});
  CHECK(words.ends_generation(7));
  CHECK_FALSE(words.ends_generation(0));
  CHECK_FALSE(words.ends_generation(no_token));

  data.texts = {"x", "y"};
  data.eos = no_token;
  data.also_end = {};
  CHECK(ends(make(data)).empty());
}

TEST_CASE("vocabulary: a copy is independent of what it was made from") {
  auto original = vocabulary::create(small());
  REQUIRE(original.has_value());
  const vocabulary copy = *original;
  original = decant::error(error_code::cancelled);
  CHECK(copy.find("a") == 1);
  CHECK(copy.bytes(2) == " a");
}

TEST_CASE("vocabulary: contradictions are refused") {
  const auto code_of = [](const vocabulary_data& data) { return vocabulary::create(data).code(); };
  CHECK(code_of({}) == error_code::file_malformed);

  vocabulary_data data = small();
  data.kinds.pop_back();
  CHECK(code_of(data) == error_code::file_malformed);
  for (const std::int32_t kind : {0, 7, -1, 257}) {
    data = small();
    data.kinds[2] = kind;
    CHECK(code_of(data) == error_code::file_malformed);
  }
  for (const token id : {8, -2, 1 << 30}) {
    for (token vocabulary_data::*field : {&vocabulary_data::bos, &vocabulary_data::eos, &vocabulary_data::unknown}) {
      data = small();
      data.*field = id;
      CHECK(code_of(data) == error_code::file_malformed);
    }
    data = small();
    data.also_end = {1, id};
    CHECK(code_of(data) == error_code::file_malformed);
  }
}

TEST_CASE("vocabulary: texts that can only be marks are control tokens, whatever their kind") {
  vocabulary_data data;
  data.texts = {"<|im_end|>", "<|fim_prefix|>", "<|endoftext|>", "x"};
  data.kinds = {1, 4, 3, 1};
  const vocabulary words = make(data);
  for (const token id : {0, 1, 2}) {
    CHECK(words.kind(id) == token_kind::control);
    CHECK(words.bytes(id).empty());
    CHECK_FALSE(words.is_plain(id));
  }
  CHECK(words.is_plain(3));
  CHECK(ends(words) == std::vector<token>{0, 2});
}

TEST_CASE("vocabulary: texts that may be ordinary end a generation only as control tokens") {
  vocabulary_data data;
  data.texts = {"</s>", "<eos>", "x"};
  data.kinds = {1, 4, 1};
  CHECK(ends(make(data)).empty());
  CHECK(make(data).bytes(0) == "</s>");
  data.kinds = {3, 3, 1};
  CHECK(ends(make(data)) == std::vector<token>{0, 1});
}

TEST_CASE("vocabulary: every byte has the token of its family") {
  const vocabulary letters = make(small());
  CHECK(letters.family() == decant::vocabulary_family::byte_level);
  CHECK(letters.byte_token('a') == 1);
  CHECK(letters.byte_token(0xE9) == 5);
  CHECK(letters.byte_token('A') == no_token);

  vocabulary_data data = small();
  data.family = decant::vocabulary_family::sentencepiece;
  const vocabulary names = make(data);
  CHECK(names.byte_token('A') == 6);
  CHECK(names.byte_token('a') == no_token);
  CHECK(names.bytes(6) == "A");
}
