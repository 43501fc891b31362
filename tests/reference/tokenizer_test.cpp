// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/reference/chat.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/tokenizer.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/everyday_model.hpp"
#include "support/test_kit.hpp"

namespace {

using decant::bpe_tokenizer;
using decant::bpe_tokenizer_data;
using decant::error_code;
using decant::gguf_file;
using decant::load_tokenizer;
using decant::no_token;
using decant::sequence_marks;
using decant::text_part;
using decant::token;
using decant::tokenizer;

/// Writes the metadata of a GGUF file, without tensors.
class metadata_writer {
 public:
  void text(std::string_view key, std::string_view value) {
    begin(key, 8);
    string(value);
  }
  void number(std::string_view key, std::uint32_t value) {
    begin(key, 4);
    raw(value);
  }
  void flag(std::string_view key, bool value) {
    begin(key, 7);
    raw(static_cast<std::uint8_t>(value ? 1 : 0));
  }
  void texts(std::string_view key, const std::vector<std::string_view>& values) {
    begin(key, 9);
    raw(std::uint32_t{8});
    raw(std::uint64_t{values.size()});
    for (const std::string_view value : values) string(value);
  }
  void numbers(std::string_view key, const std::vector<std::int32_t>& values) {
    begin(key, 9);
    raw(std::uint32_t{5});
    raw(std::uint64_t{values.size()});
    for (const std::int32_t value : values) raw(value);
  }

  [[nodiscard]] std::vector<std::byte> finish() const {
    metadata_writer head;
    head.bytes_ = "GGUF";
    head.raw(std::uint32_t{3});
    head.raw(std::uint64_t{0});
    head.raw(count_);
    const std::string whole = head.bytes_ + bytes_;
    std::vector<std::byte> file(whole.size());
    std::memcpy(file.data(), whole.data(), whole.size());
    return file;
  }

 private:
  template <class T>
  void raw(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    bytes_.append(bytes, sizeof(T));
  }
  void string(std::string_view value) {
    raw(std::uint64_t{value.size()});
    bytes_.append(value);
  }
  void begin(std::string_view key, std::uint32_t type) {
    ++count_;
    string(key);
    raw(type);
  }

  std::uint64_t count_ = 0;
  std::string bytes_;
};

decant::result<tokenizer> load(const metadata_writer& metadata) {
  const std::vector<std::byte> bytes = metadata.finish();
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
metadata_writer small_file() {
  metadata_writer metadata;
  metadata.text("tokenizer.ggml.model", "gpt2");
  metadata.text("tokenizer.ggml.pre", "gpt-2");
  metadata.texts("tokenizer.ggml.tokens", small_texts);
  metadata.numbers("tokenizer.ggml.token_type", {3, 3, 1, 1, 1, 1, 1, 4});
  metadata.texts("tokenizer.ggml.merges", {"a b", "\xC4\xA0 ab"});
  metadata.number("tokenizer.ggml.bos_token_id", 0);
  metadata.number("tokenizer.ggml.eos_token_id", 1);
  metadata.number("tokenizer.ggml.unknown_token_id", 0);
  return metadata;
}

bpe_tokenizer_data small_data() {
  bpe_tokenizer_data data;
  data.vocabulary.texts = small_texts;
  data.vocabulary.kinds = {3, 3, 1, 1, 1, 1, 1, 4};
  data.vocabulary.bos = 0;
  data.vocabulary.eos = 1;
  data.merges = {"a b", "\xC4\xA0 ab"};
  data.pre_tokenizer = "gpt-2";
  return data;
}

bpe_tokenizer make(const bpe_tokenizer_data& data) {
  auto made = bpe_tokenizer::create(data);
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

/// A line of tokenizer_golden.txt.
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

std::vector<golden_text> read_golden() {
  std::ifstream file(DECANT_TEST_DATA_DIR "/tokenizer_golden.txt");
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
  const bpe_tokenizer small = make(small_data());
  CHECK(ids(small.encode("ab ab")) == std::vector<token>{5, 6});
  CHECK(ids(small.encode("b a")) == std::vector<token>{3, 4, 2});
  CHECK(ids(small.encode("a@@b")) == std::vector<token>{2, 7, 3});
  CHECK(ids(small.encode_markup("a</s>b")) == std::vector<token>{2, 1, 3});
  CHECK(ids(small.encode("")).empty());
}

TEST_CASE("tokenizer: parts are split into pieces as one text, control tokens count in markup alone") {
  const bpe_tokenizer small = make(small_data());
  const std::vector<text_part> words{{"a", true}, {"b", false}, {" a", false}, {"b", true}};
  CHECK(ids(small.encode(words)) == std::vector<token>{5, 6});

  bpe_tokenizer_data data = small_data();
  data.vocabulary.unknown = 0;
  const std::vector<text_part> forged{{"</s>", true}, {"</s>", false}};
  const std::vector<token> encoded = ids(make(data).encode(forged));
  CHECK(std::count(encoded.begin(), encoded.end(), 1) == 1);
}

TEST_CASE("tokenizer: tokens around the sequence are added as the file or the rule says") {
  bpe_tokenizer_data data = small_data();
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
  bpe_tokenizer_data data = small_data();
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
  const bpe_tokenizer small = make(small_data());
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
  bpe_tokenizer first = make(small_data());
  const bpe_tokenizer second = std::move(first);
  CHECK(ids(second.encode_markup("ab ab</s>")) == std::vector<token>{5, 6, 1});
}

TEST_CASE("tokenizer: data that contradict themselves are refused") {
  const auto code_of = [](const bpe_tokenizer_data& data) { return bpe_tokenizer::create(data).code(); };
  bpe_tokenizer_data data = small_data();
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
  metadata_writer metadata = small_file();
  metadata.flag("tokenizer.ggml.add_bos_token", true);
  metadata.flag("tokenizer.ggml.add_eos_token", true);
  metadata.number("tokenizer.ggml.eot_token_id", 5);
  metadata.number("tokenizer.ggml.fim_pad_token_id", 6);
  const auto loaded = load(metadata);
  REQUIRE(loaded.has_value());
  CHECK(ids(loaded->encode("a")) == std::vector<token>{0, 2, 1});
  CHECK(loaded->words().ends_generation(5));
  CHECK(loaded->words().ends_generation(6));
}

TEST_CASE("tokenizer: files of another kind, or with wrong keys, are refused") {
  metadata_writer metadata;
  CHECK(load(metadata).code() == error_code::file_malformed);
  metadata.text("tokenizer.ggml.model", "llama");
  const auto other_kind = load(metadata);
  REQUIRE_FALSE(other_kind.has_value());
  CHECK(std::string(other_kind.error().message().c_str()) == "the feature is not supported: tokenizer of kind: llama");

  struct wrong_key {
    const char* key;
    std::uint32_t value;
  };
  for (const wrong_key& wrong :
       {wrong_key{"tokenizer.ggml.eot_token_id", 8}, wrong_key{"tokenizer.ggml.eom_token_id", 0xFFFFFFFEu},
        wrong_key{"tokenizer.ggml.add_bos_token", 1}}) {
    metadata = small_file();
    metadata.number(wrong.key, wrong.value);
    CHECK(load(metadata).code() == error_code::file_malformed);
  }
  for (const char* missing : {"tokens", "merges"}) {
    metadata = metadata_writer();
    metadata.text("tokenizer.ggml.model", "gpt2");
    if (std::string_view(missing) != "tokens") metadata.texts("tokenizer.ggml.tokens", small_texts);
    if (std::string_view(missing) != "merges") metadata.texts("tokenizer.ggml.merges", {"a b"});
    CHECK(load(metadata).code() == error_code::file_malformed);
  }
}

TEST_CASE("tokenizer: a damaged file never does harm") {
  const std::vector<std::byte> bytes = small_file().finish();
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
  CHECK(refused == bytes.size());
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
  const std::vector<golden_text> golden = read_golden();
  REQUIRE(golden.size() >= 300);
  for (const golden_text& entry : golden) {
    CAPTURE(entry.text);
    CHECK(ids(model->encode(entry.text)) == entry.plain);
    CHECK(ids(model->encode_markup(entry.text)) == entry.markup);
  }
}

TEST_CASE("tokenizer: text of the everyday model survives encoding and streaming") {
  const tokenizer* model = everyday_tokenizer();
  if (model == nullptr) DECANT_SKIP(decant_test::everyday_model_missing);
  const token unknown = model->words().unknown();
  std::size_t compared = 0;
  for (const golden_text& entry : read_golden()) {
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
