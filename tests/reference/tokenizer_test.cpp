// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/chat.hpp>
#include <decant/reference/gguf_writer.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/tokenizer.hpp>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/everyday_model.hpp"
#include "support/test_kit.hpp"
#include "support/vocabularies.hpp"

namespace {

using decant::error_code;
using decant::gguf_file;
using decant::gguf_writer;
using decant::load_tokenizer;
using decant::no_token;
using decant::sequence_marks;
using decant::text_part;
using decant::token;
using decant::tokenizer;
using decant::tokenizer_data;

using texts = std::vector<std::string_view>;
using kinds = std::vector<std::int32_t>;

decant::result<tokenizer> load(const gguf_writer& metadata) {
  const std::vector<std::byte> bytes = metadata.bytes();
  const auto file = gguf_file::parse(bytes);
  REQUIRE(file.has_value());
  return load_tokenizer(*file);  // the file dies here: the tokenizer must not refer to it
}

const std::vector<std::string_view> small_texts{"<s>",
                                                "</s>",
                                                "a",
                                                "b",
                                                "\xC4\xA0",
                                                "ab",
                                                "\xC4\xA0"
                                                "ab",
                                                "@@"};

/// A small and complete tokenizer, as a file holds it.
gguf_writer small_file() {
  gguf_writer metadata;
  metadata.set("tokenizer.ggml.model", std::string_view("gpt2"));
  metadata.set("tokenizer.ggml.pre", std::string_view("gpt-2"));
  metadata.set_array("tokenizer.ggml.tokens", small_texts);
  metadata.set_array("tokenizer.ggml.token_type", kinds{3, 3, 1, 1, 1, 1, 1, 4});
  metadata.set_array("tokenizer.ggml.merges", texts{"a b", "\xC4\xA0 ab"});
  metadata.set("tokenizer.ggml.bos_token_id", std::uint32_t{0});
  metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{1});
  metadata.set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
  return metadata;
}

tokenizer_data small_data() {
  tokenizer_data data;
  data.vocabulary.texts = small_texts;
  data.vocabulary.kinds = {3, 3, 1, 1, 1, 1, 1, 4};
  data.vocabulary.bos = 0;
  data.vocabulary.eos = 1;
  data.merges = {"a b", "\xC4\xA0 ab"};
  data.pre_tokenizer = "gpt-2";
  return data;
}

tokenizer make(const tokenizer_data& data) {
  auto made = tokenizer::create(data);
  REQUIRE(made.has_value());
  return std::move(*made);
}

std::vector<token> ids(decant::result<std::vector<token>> encoded) {
  REQUIRE(encoded.has_value());
  return std::move(*encoded);
}

/// The tokenizer of the everyday model; loaded once.
const tokenizer* everyday_tokenizer() {
  static const std::optional<tokenizer> loaded = []() -> std::optional<tokenizer> {
    const auto path = decant_test::everyday_model_path();
    if (!path) return std::nullopt;
    const auto file = gguf_file::open(path->c_str());
    REQUIRE(file.has_value());
    auto made = load_tokenizer(*file);
    REQUIRE(made.has_value());
    return std::move(*made);
  }();
  return loaded ? &*loaded : nullptr;
}

/// A line of a file of golden values.
struct golden_text {
  std::string text;
  std::vector<token> plain;
  std::vector<token> markup;
};

std::vector<token> parse_ids(const std::string& listed) {
  std::vector<token> parsed;
  const char* at = listed.c_str();
  for (char* end = nullptr; *at != '\0'; at = end) parsed.push_back(static_cast<token>(std::strtol(at, &end, 10)));
  return parsed;
}

std::string unescape(const std::string& escaped) {
  std::string text;
  for (std::size_t at = 0; at < escaped.size(); ++at) {
    if (escaped[at] != '\\') {
      text.push_back(escaped[at]);
      continue;
    }
    text.push_back(static_cast<char>(std::stoi(escaped.substr(at + 2, 2), nullptr, 16)));
    at += 3;
  }
  return text;
}

std::vector<golden_text> read_golden(const std::string& name) {
  std::ifstream file(DECANT_TEST_DATA_DIR "/" + name);
  std::vector<golden_text> golden;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t first = line.find('|');
    const std::size_t second = line.find('|', first + 1);
    const std::string markup = line.substr(first + 1, second - first - 1);
    golden_text entry;
    entry.text = unescape(line.substr(second + 2, line.size() - second - 3));
    entry.plain = parse_ids(line.substr(0, first));
    entry.markup = markup == "=" ? entry.plain : parse_ids(markup);
    golden.push_back(std::move(entry));
  }
  return golden;
}

}  // namespace

TEST_CASE("tokenizer: pieces are merged, special tokens are cut out") {
  const tokenizer small = make(small_data());
  CHECK(ids(small.encode("ab ab")) == std::vector<token>{5, 6});
  CHECK(ids(small.encode("b a")) == std::vector<token>{3, 4, 2});
  CHECK(ids(small.encode("a@@b")) == std::vector<token>{2, 7, 3});
  CHECK(ids(small.encode_markup("a</s>b")) == std::vector<token>{2, 1, 3});
  CHECK(ids(small.encode("")).empty());
}

TEST_CASE("tokenizer: parts are split into pieces as one text, control tokens count in markup alone") {
  const tokenizer small = make(small_data());
  const std::vector<text_part> words{{"a", true}, {"b", false}, {" a", false}, {"b", true}};
  CHECK(ids(small.encode(words)) == std::vector<token>{5, 6});

  tokenizer_data data = small_data();
  data.vocabulary.unknown = 0;
  const std::vector<text_part> forged{{"</s>", true}, {"</s>", false}};
  const std::vector<token> encoded = ids(make(data).encode(forged));
  CHECK(std::count(encoded.begin(), encoded.end(), 1) == 1);
}

TEST_CASE("tokenizer: tokens around the sequence are added as the file or the rule says") {
  tokenizer_data data = small_data();
  CHECK(ids(make(data).encode("a")) == std::vector<token>{2});
  data.adds_bos = true;
  data.adds_eos = true;
  CHECK(ids(make(data).encode("a")) == std::vector<token>{0, 2, 1});
  CHECK(ids(make(data).encode("a", sequence_marks::leave_out)) == std::vector<token>{2});

  data = small_data();
  data.pre_tokenizer = "llama-bpe";
  CHECK(ids(make(data).encode("a")) == std::vector<token>{0, 2});
  data.adds_bos = false;
  CHECK(ids(make(data).encode("a")) == std::vector<token>{2});
  data.adds_bos.reset();
  data.vocabulary.bos = no_token;
  CHECK(ids(make(data).encode("a")) == std::vector<token>{2});
}

TEST_CASE("tokenizer: a rule may take whole pieces before merging") {
  tokenizer_data data = small_data();
  data.vocabulary.texts = {"<s>",
                           "</s>",
                           "a",
                           "b",
                           "\xC4\xA0",
                           "ab",
                           "\xC4\xA0"
                           "ab",
                           "aba"};
  data.vocabulary.kinds = {};
  CHECK(ids(make(data).encode("aba")) == std::vector<token>{5, 2});
  data.pre_tokenizer = "llama-bpe";
  data.adds_bos = false;
  CHECK(ids(make(data).encode("aba")) == std::vector<token>{7});
}

TEST_CASE("tokenizer: decoding prints bytes and checks ids") {
  const tokenizer small = make(small_data());
  const std::vector<token> good{0, 6, 7, 1};
  const auto text = small.decode(good);
  REQUIRE(text.has_value());
  CHECK(*text == " ab@@");
  for (const token wrong : {-1, 8, 1 << 30}) {
    const std::vector<token> bad{2, wrong};
    CHECK(small.decode(bad).code() == error_code::invalid_token);
  }
}

TEST_CASE("tokenizer: it may be moved") {
  tokenizer first = make(small_data());
  const tokenizer second = std::move(first);
  CHECK(ids(second.encode_markup("ab ab</s>")) == std::vector<token>{5, 6, 1});
}

TEST_CASE("tokenizer: data that contradict themselves are refused") {
  const auto code_of = [](const tokenizer_data& data) { return tokenizer::create(data).code(); };
  tokenizer_data data = small_data();
  data.pre_tokenizer = "unheard-of";
  CHECK(code_of(data) == error_code::unsupported);
  data = small_data();
  data.merges.push_back("a x");
  CHECK(code_of(data) == error_code::file_malformed);
  data = small_data();
  data.adds_bos = true;
  data.vocabulary.bos = no_token;
  CHECK(code_of(data) == error_code::file_malformed);
  data = small_data();
  data.adds_eos = true;
  data.vocabulary.eos = no_token;
  CHECK(code_of(data) == error_code::file_malformed);
  data = small_data();
  data.vocabulary.texts.clear();
  CHECK(code_of(data) == error_code::file_malformed);
}

TEST_CASE("tokenizer: a file's metadata make a tokenizer") {
  const auto loaded = load(small_file());
  REQUIRE(loaded.has_value());
  CHECK(loaded->words().size() == 8);
  CHECK(loaded->words().bos() == 0);
  CHECK(loaded->words().ends_generation(1));
  CHECK_FALSE(loaded->adds_bos());
  CHECK(ids(loaded->encode("ab ab@@")) == std::vector<token>{5, 6, 7});
}

TEST_CASE("tokenizer: optional keys of a file count") {
  gguf_writer metadata = small_file();
  metadata.set("tokenizer.ggml.add_bos_token", true);
  metadata.set("tokenizer.ggml.add_eos_token", true);
  metadata.set("tokenizer.ggml.eot_token_id", std::uint32_t{5});
  metadata.set("tokenizer.ggml.fim_pad_token_id", std::uint32_t{6});
  const auto loaded = load(metadata);
  REQUIRE(loaded.has_value());
  CHECK(ids(loaded->encode("a")) == std::vector<token>{0, 2, 1});
  CHECK(loaded->words().ends_generation(5));
  CHECK(loaded->words().ends_generation(6));
}

TEST_CASE("tokenizer: files of another kind, or with wrong keys, are refused") {
  gguf_writer metadata;
  CHECK(load(metadata).code() == error_code::file_malformed);
  metadata.set("tokenizer.ggml.model", std::string_view("bert"));
  const auto other_kind = load(metadata);
  REQUIRE_FALSE(other_kind.has_value());
  CHECK(std::string(other_kind.error().message().c_str()) == "the feature is not supported: tokenizer of kind: bert");

  struct wrong_key {
    const char* key;
    std::uint32_t value;
  };
  for (const wrong_key& wrong :
       {wrong_key{"tokenizer.ggml.eot_token_id", 8}, wrong_key{"tokenizer.ggml.eom_token_id", 0xFFFFFFFEu},
        wrong_key{"tokenizer.ggml.add_bos_token", 1}}) {
    metadata = small_file();
    metadata.set(wrong.key, wrong.value);
    CHECK(load(metadata).code() == error_code::file_malformed);
  }
  for (const char* missing : {"tokens", "merges"}) {
    metadata = gguf_writer();
    metadata.set("tokenizer.ggml.model", std::string_view("gpt2"));
    if (std::string_view(missing) != "tokens") metadata.set_array("tokenizer.ggml.tokens", small_texts);
    if (std::string_view(missing) != "merges") metadata.set_array("tokenizer.ggml.merges", texts{"a b"});
    CHECK(load(metadata).code() == error_code::file_malformed);
  }
}

TEST_CASE("tokenizer: a damaged file never does harm") {
  const std::vector<std::byte> bytes = small_file().bytes();
  std::size_t loaded = 0;
  std::size_t refused = 0;
  const auto attempt = [&](std::span<const std::byte> damaged) {
    const auto file = gguf_file::parse(damaged);
    const auto made = file ? load_tokenizer(*file) : decant::result<tokenizer>(file.error());
    if (!made) {
      ++refused;
      return;
    }
    ++loaded;
    const auto encoded = made->encode_markup("ab <s>@@\xFF");
    if (encoded) {
      for (const token id : *encoded) REQUIRE(made->words().contains(id));
    }
  };
  for (std::size_t size = 0; size < bytes.size(); ++size) attempt(std::span(bytes).first(size));
  CHECK(refused > bytes.size() - 32);  // the padding at the end may be missing
  std::vector<std::byte> damaged = bytes;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned mask : {0x01u, 0x80u, 0xFFu}) {
      damaged[at] = bytes[at] ^ static_cast<std::byte>(mask);
      attempt(damaged);
    }
    damaged[at] = bytes[at];
  }
  CHECK(loaded > 0);
}

TEST_CASE("tokenizer: the everyday model's vocabulary is as its makers say") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  CHECK(model->words().size() == 49152);
  CHECK(model->words().bos() == 1);
  CHECK(model->words().eos() == 2);
  CHECK(model->words().unknown() == 0);
  CHECK(model->words().find("<|im_end|>") == 2);
  CHECK(model->rule().name == "smollm");
  CHECK_FALSE(model->adds_bos());
  const auto ends = model->words().end_of_generation();
  CHECK(std::vector<token>(ends.begin(), ends.end()) == std::vector<token>{0, 2, 4});
}

TEST_CASE("tokenizer: ids of the everyday model equal those of an independent implementation") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  const std::vector<golden_text> golden = read_golden("tokenizer_golden.txt");
  REQUIRE(golden.size() >= 300);
  for (const golden_text& entry : golden) {
    CAPTURE(entry.text);
    CHECK(ids(model->encode(entry.text)) == entry.plain);
    CHECK(ids(model->encode_markup(entry.text)) == entry.markup);
  }
}

TEST_CASE("tokenizer: ids of generated vocabularies equal those of llama.cpp") {
  std::size_t compared = 0;
  for (const decant_test::named_vocabulary& vocabulary : decant_test::generated_vocabularies()) {
    CAPTURE(vocabulary.name);
    const auto made = load(vocabulary.file.writer());
    REQUIRE(made.has_value());
    for (const golden_text& entry : read_golden(std::string("tokenizer_golden_") + vocabulary.name + ".txt")) {
      CAPTURE(entry.text);
      CHECK(ids(made->encode(entry.text)) == entry.plain);
      CHECK(ids(made->encode_markup(entry.text)) == entry.markup);
      ++compared;
    }
  }
  CHECK(compared >= 600);
}

TEST_CASE("tokenizer: text of the everyday model survives encoding and streaming") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  const token unknown = model->words().unknown();
  std::size_t compared = 0;
  for (const golden_text& entry : read_golden("tokenizer_golden.txt")) {
    const std::vector<token> encoded = ids(model->encode(entry.text));
    if (std::count(encoded.begin(), encoded.end(), unknown) > 0) continue;
    decant::text_stream stream;
    std::string shown;
    for (const token id : encoded) shown.append(stream.push(model->words().bytes(id)));
    shown.append(stream.finish());
    REQUIRE(shown == entry.text);
    ++compared;
  }
  CHECK(compared >= 250);
}

TEST_CASE("tokenizer: a conversation of the everyday model is its template's text with its own control tokens") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  const std::vector<decant::chat_message> messages{{decant::chat_role::user, "What is the capital of France?"}};
  const decant::chat_template format{&decant::chat_formats[1],
                                     "You are a helpful AI assistant named SmolLM, trained by Hugging Face"};
  const auto parts = decant::write_chat(format, messages, "<|im_end|>");
  CHECK(ids(model->encode(parts)) ==
        ids(model->encode_markup("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
                                 "Face<|im_end|>\n<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
                                 "<|im_start|>assistant\n")));
}

TEST_CASE("tokenizer: long texts without a space do not cost quadratic time") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  std::string text;
  for (std::uint32_t i = 0, state = 3; i < 200'000; ++i) {
    state = state * 1664525u + 1013904223u;
    text.push_back(static_cast<char>('a' + (state >> 16) % 26));
  }
  const auto decoded = model->decode(ids(model->encode(text)));
  REQUIRE(decoded.has_value());
  CHECK(*decoded == text);
}
