// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/sentencepiece_encoder.hpp>
#include <decant/reference/sentencepiece_text.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/tokenizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/random.hpp"
#include "support/random_text.hpp"
#include "support/test_kit.hpp"
#include "support/vocabularies.hpp"

namespace {

using decant::error_code;
using decant::named_byte;
using decant::no_token;
using decant::token;
using decant::tokenizer;
using decant::tokenizer_data;
using decant::vocabulary_family;

static_assert(named_byte("<0x00>") == 0);
static_assert(named_byte("<0x0A>") == 10);
static_assert(named_byte("<0xff>") == 255);
static_assert(named_byte("<0xFf>") == 255);

struct piece {
  std::string text;
  std::int32_t kind;
  float score;
};

constexpr std::int32_t normal = 1;
constexpr std::int32_t unknown = 2;
constexpr std::int32_t control = 3;
constexpr std::int32_t user_defined = 4;
constexpr std::int32_t unused = 5;
constexpr std::int32_t byte = 6;

/// A tokenizer of these pieces, without a space prefix and without tokens around the text unless `change` says so.
template <class Change>
decant::result<tokenizer> make(const std::vector<piece>& pieces, Change&& change) {
  tokenizer_data data;
  data.vocabulary.family = vocabulary_family::sentencepiece;
  for (const piece& p : pieces) {
    data.vocabulary.texts.push_back(p.text);
    data.vocabulary.kinds.push_back(p.kind);
    data.scores.push_back(p.score);
  }
  data.adds_space_prefix = false;
  data.adds_bos = false;
  change(data);
  return tokenizer::create(data);
}
tokenizer make(const std::vector<piece>& pieces) {
  auto made = make(pieces, [](tokenizer_data&) {});
  REQUIRE(made.has_value());
  return std::move(*made);
}

std::vector<token> ids(decant::result<std::vector<token>> encoded) {
  REQUIRE(encoded.has_value());
  return std::move(*encoded);
}

/// The texts of the tokens, joined by bars.
std::string shown(const tokenizer& words, std::string_view text) {
  std::string joined;
  for (const token id : ids(words.encode(text)))
    joined.append(joined.empty() ? "" : "|").append(words.words().text(id));
  return joined;
}

const std::vector<piece> letters{{"a", normal, -10}, {"b", normal, -10}, {"c", normal, -10}};

std::vector<piece> with_letters(std::vector<piece> pieces) {
  pieces.insert(pieces.begin(), letters.begin(), letters.end());
  return pieces;
}

/// A vocabulary whose bytes all have tokens: id 0 is <unk>, id 1 + n is byte n.
std::vector<piece> with_bytes(const std::vector<piece>& pieces) {
  std::vector<piece> all{{"<unk>", unknown, 0}};
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (std::size_t i = 0; i < 256; ++i) {
    all.push_back({std::string("<0x") + digits[i / 16] + digits[i % 16] + ">", byte, 0});
  }
  all.insert(all.end(), pieces.begin(), pieces.end());
  return all;
}

/// The definition: scan for the best score, leftmost first, merge, start again.
std::vector<std::string> encode_by_definition(const std::vector<piece>& pieces, std::string_view text) {
  std::vector<std::string> symbols = decant_test::characters_of(text);
  while (true) {
    std::size_t best = symbols.size();
    float best_score = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto made = std::find_if(pieces.begin(), pieces.end(),
                                     [&](const piece& p) { return p.text == symbols[i] + symbols[i + 1]; });
      if (made == pieces.end() || (best < symbols.size() && made->score <= best_score)) continue;
      best = i;
      best_score = made->score;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("sentencepiece: names of bytes are read strictly") {
  for (const std::string_view text : {"", "<0x>", "<0x1>", "<0x123>", "<0x-1>", "<0x+1>", "<0x 1>", "<0xG0>", "<0x0g>",
                                      "0x0A", "<0x0A", "<0X0A>", "[0x0A]", "<0x0A>>", " <0x0A>", "<0x\x00\x31>"}) {
    CAPTURE(text);
    CHECK(named_byte(text) == -1);
  }
}

TEST_CASE("sentencepiece: spaces become marks and marks become spaces") {
  std::string marked;
  decant::append_marked(marked, " a  b\n");
  CHECK(marked == "\u2581a\u2581\u2581b\n");
  std::string text;
  decant::append_unmarked(text, marked + "\xE2\x96");
  CHECK(text == " a  b\n\xE2\x96");
}

TEST_CASE("sentencepiece: the best score merges first, whatever its place") {
  const tokenizer words = make(with_letters({{"ab", normal, -2}, {"bc", normal, -1}, {"abc", normal, -3}}));
  CHECK(shown(words, "abc") == "abc");
  CHECK(shown(words, "abb") == "ab|b");
  CHECK(shown(words, "abcb") == "abc|b");
  const tokenizer reversed = make(with_letters({{"ab", normal, -1}, {"bc", normal, -2}}));
  CHECK(shown(reversed, "abc") == "ab|c");
  CHECK(shown(make(with_letters({{"ab", normal, -2}, {"bc", normal, -1}})), "abc") == "a|bc");
}

TEST_CASE("sentencepiece: of equal scores the leftmost pair merges first") {
  const tokenizer words = make(with_letters({{"ab", normal, -1}, {"bc", normal, -1}, {"aa", normal, -1}}));
  CHECK(shown(words, "abc") == "ab|c");
  CHECK(shown(words, "aaa") == "aa|a");
  CHECK(shown(words, "aaaa") == "aa|aa");
  const tokenizer unscored =
      *make(with_letters({{"bc", normal, 5}, {"ab", normal, 9}}), [](tokenizer_data& data) { data.scores.clear(); });
  CHECK(shown(unscored, "abc") == "ab|c");
  const tokenizer zeros = make(with_letters({{"ab", normal, 0.0F}, {"bc", normal, -0.0F}}));
  CHECK(shown(zeros, "abc") == "ab|c");
}

TEST_CASE("sentencepiece: parts of a token need not be tokens") {
  const tokenizer words = make({{"<unk>", unknown, 0}, {"xy", normal, -1}});
  CHECK(shown(words, "xyxy") == "xy|xy");
}

TEST_CASE("sentencepiece: the queue does what the definition says") {
  decant_test::random_source random(21);
  for (int round = 0; round < 300; ++round) {
    std::vector<piece> pieces = letters;
    for (int i = 0; i < 14; ++i) {
      const std::string text = pieces[random.below(pieces.size())].text + pieces[random.below(pieces.size())].text;
      const bool listed = std::any_of(pieces.begin(), pieces.end(), [&](const piece& p) { return p.text == text; });
      if (!listed) pieces.push_back({text, normal, -static_cast<float>(random.below(6))});
    }
    const tokenizer words = make(pieces);
    std::string text;
    for (int i = 0; i < 40; ++i) text.push_back("abc"[random.below(3)]);
    std::vector<std::string> found;
    for (const token id : ids(words.encode(text))) found.emplace_back(words.words().text(id));
    REQUIRE(found == encode_by_definition(pieces, text));
  }
}

TEST_CASE("sentencepiece: what has no token is written in bytes, or is unknown") {
  const tokenizer words = make(with_bytes({{"a", normal, -1}}));
  CHECK(ids(words.encode("a\u20AC")) == std::vector<token>{257, 1 + 0xE2, 1 + 0x82, 1 + 0xAC});
  CHECK(ids(words.encode("\xFF"
                         "a\xE2\x82")) == std::vector<token>{1 + 0xFF, 257, 1 + 0xE2, 1 + 0x82});

  const auto knows_unknown = make({{"<unk>", unknown, 0}, {"a", normal, -1}, {"<0xE2>", byte, 0}},
                                  [](tokenizer_data& data) { data.vocabulary.unknown = 0; });
  REQUIRE(knows_unknown.has_value());
  CHECK(ids(knows_unknown->encode("a\u20ACa")) == std::vector<token>{1, 0, 1});

  const tokenizer neither = make({{"a", normal, -1}});
  const auto refused = neither.encode("a\u20AC");
  REQUIRE_FALSE(refused.has_value());
  CHECK(std::string(refused.error().message().c_str()) ==
        "a parameter is outside its range: the vocabulary has no token for a character");
}

TEST_CASE("sentencepiece: plain text never becomes a control, unknown, unused or byte token") {
  const tokenizer words = make(with_bytes({{"a", normal, -1},
                                           {"b", normal, -1},
                                           {"ab", control, 0},
                                           {"aa", unknown, 0},
                                           {"bb", unused, 0},
                                           {"c", control, 0},
                                           {"<0", normal, -1},
                                           {"x0", normal, -1}}));
  CHECK(shown(words, "ab") == "a|b");
  CHECK(shown(words, "aa") == "a|a");
  CHECK(shown(words, "bb") == "b|b");
  CHECK(shown(words, "c") == "<0x63>");
  CHECK(ids(words.encode_markup("ab")) == std::vector<token>{259});
}

TEST_CASE("sentencepiece: a space is put before every text and after every special token") {
  const std::vector<piece> pieces = with_bytes({{"\u2581", normal, -2},
                                                {"a", normal, -2},
                                                {"\u2581"
                                                 "a",
                                                 normal, -1},
                                                {"<s>", control, 0},
                                                {"@@", user_defined, 0}});
  const auto words = make(pieces, [](tokenizer_data& data) { data.adds_space_prefix = true; });
  REQUIRE(words.has_value());
  CHECK(words->adds_space_prefix());
  CHECK(shown(*words, "a") ==
        "\u2581"
        "a");
  CHECK(shown(*words, " a") ==
        "\u2581|\u2581"
        "a");
  CHECK(shown(*words, "") == "");
  CHECK(shown(*words, "a@@a") ==
        "\u2581"
        "a|@@|\u2581"
        "a");
  CHECK(ids(words->encode_markup("<s>a")) == std::vector<token>{260, 259});
  CHECK(ids(words->encode_markup("<s>")) == std::vector<token>{260});

  for (const std::string_view text : {"a", " a", "", "a@@a", "@@ a", "  ", "a ", "@@"}) {
    CAPTURE(text);
    CHECK(*words->decode(ids(words->encode(text))) == text);
  }
  CHECK(*words->decode(std::vector<token>{260, 259, 259}) == "a a");
  CHECK(words->words().bytes(259) == " a");
}

TEST_CASE("sentencepiece: without a prefix, text is encoded and decoded as it is") {
  const tokenizer words = make(with_bytes({{"\u2581", normal, -2}, {"a", normal, -2}}));
  CHECK_FALSE(words.adds_space_prefix());
  CHECK(words.rule().name == "none");
  CHECK(shown(words, "a a") == "a|\u2581|a");
  CHECK(*words.decode(ids(words.encode(" a"))) == " a");
}

TEST_CASE("sentencepiece: tokens print their text, bytes their byte, special tokens nothing") {
  const tokenizer words = make(with_bytes({{"\u2581"
                                            "a\u2581",
                                            normal, -2},
                                           {"<s>", control, 0},
                                           {"x\u2581", user_defined, 0},
                                           {"u", unused, 0}}));
  CHECK(words.words().bytes(257) == " a ");
  CHECK(words.words().bytes(1 + 0xE2) == "\xE2");
  CHECK(words.words().bytes(1) == std::string_view("\0", 1));
  CHECK(words.words().bytes(258).empty());
  CHECK(words.words().bytes(259) == "x\u2581");
  CHECK(words.words().bytes(260).empty());
  CHECK(words.words().bytes(0).empty());
}

TEST_CASE("sentencepiece: a stream of byte tokens shows whole characters") {
  const tokenizer words = make(with_bytes({{"a", normal, -2}}));
  decant::text_stream stream;
  std::string seen;
  for (const token id : ids(words.encode("a\u20AC"))) {
    const std::string_view text = stream.push(words.words().bytes(id));
    CHECK((text.empty() || text == "a" || text == "\u20AC"));
    seen.append(text);
  }
  CHECK(seen == "a\u20AC");
}

TEST_CASE("sentencepiece: the vocabulary's own marks are added as the file says") {
  const auto file_of = [](auto&& change) {
    decant::gguf_writer file = decant_test::sentencepiece_vocabulary().writer();
    change(file);
    const std::vector<std::byte> bytes = file.bytes();
    const auto parsed = decant::gguf_file::parse(bytes);
    REQUIRE(parsed.has_value());
    auto made = decant::load_tokenizer(*parsed);
    REQUIRE(made.has_value());
    return std::move(*made);
  };
  const tokenizer usual = file_of([](auto&) {});
  CHECK(usual.adds_bos());
  CHECK_FALSE(usual.adds_eos());
  CHECK(usual.adds_space_prefix());
  CHECK(ids(usual.encode("")) == std::vector<token>{1});
  CHECK(ids(usual.encode("", decant::sequence_marks::leave_out)).empty());
  CHECK(usual.words().unknown() == 0);
  CHECK(usual.words().ends_generation(2));

  const tokenizer changed = file_of([](decant::gguf_writer& file) {
    file.set("tokenizer.ggml.add_bos_token", false)
        .set("tokenizer.ggml.add_eos_token", true)
        .set("tokenizer.ggml.add_space_prefix", false);
  });
  CHECK(ids(changed.encode("")) == std::vector<token>{2});
  CHECK(ids(changed.encode("@@")) == std::vector<token>{changed.words().find("@@"), 2});
  CHECK_FALSE(changed.adds_space_prefix());
}

TEST_CASE("sentencepiece: files that name no special tokens mean the first three") {
  decant::gguf_writer file;
  file.set("tokenizer.ggml.model", std::string_view("llama"))
      .set_array("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "a"})
      .set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{unknown, control, control, normal});
  const std::vector<std::byte> bytes = file.bytes();
  const auto words = decant::load_tokenizer(*decant::gguf_file::parse(bytes));
  REQUIRE(words.has_value());
  CHECK(words->words().unknown() == 0);
  CHECK(words->words().bos() == 1);
  CHECK(words->words().eos() == 2);
  CHECK(ids(words->encode("a")) == std::vector<token>{1, 0, 3});  // the prefix has no token
}

TEST_CASE("sentencepiece: contradictions are refused") {
  const auto code_of = [](const std::vector<piece>& pieces, auto&& change) { return make(pieces, change).code(); };
  const auto nothing = [](tokenizer_data&) {};
  CHECK(code_of(letters, nothing) == error_code::none);
  CHECK(code_of(letters, [](tokenizer_data& data) { data.scores.pop_back(); }) == error_code::file_malformed);
  CHECK(code_of(letters, [](tokenizer_data& data) { data.scores.push_back(0); }) == error_code::file_malformed);
  CHECK(code_of({{"a", normal, std::nanf("")}}, nothing) == error_code::file_malformed);
  CHECK(code_of({{"a", normal, std::numeric_limits<float>::infinity()}}, nothing) == error_code::none);
  CHECK(code_of(letters, [](tokenizer_data& data) { data.adds_bos = true; }) == error_code::file_malformed);
  CHECK(code_of(letters, [](tokenizer_data& data) { data.adds_eos = true; }) == error_code::file_malformed);
  for (const char* text : {"", "<0x-1>", "<0x1>", "<0x100>", "byte"}) {
    CAPTURE(text);
    CHECK(code_of({{"a", normal, 0}, {text, byte, 0}}, nothing) == error_code::file_malformed);
  }
}

TEST_CASE("sentencepiece: long texts do not cost quadratic time") {
  std::vector<piece> pieces = letters;
  for (std::size_t length = 2; length <= 512; length *= 2) {
    pieces.push_back({std::string(length, 'a'), normal, -static_cast<float>(length)});
  }
  CHECK(ids(make(pieces).encode(std::string(1'000'000, 'a'))).size() < 2500);
}

TEST_CASE("sentencepiece: random text of all scripts survives encoding and decoding") {
  const std::vector<std::byte> bytes = decant_test::sentencepiece_vocabulary().writer().bytes();
  const auto words = decant::load_tokenizer(*decant::gguf_file::parse(bytes));
  REQUIRE(words.has_value());
  decant_test::random_source random(4);
  for (int round = 0; round < 1000; ++round) {
    const std::string text = decant_test::random_text(random, 40);
    std::string expected;  // a mark in the text is a space ever after
    decant::append_unmarked(expected, text);
    REQUIRE(*words->decode(ids(words->encode(text))) == expected);
  }
}
