// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any bytes as a GGUF file: the reader, and what is built from a file before the first tensor is touched, must answer
// with a value or an error and nothing else.
#ifndef DECANT_TESTS_FUZZ_GGUF_TARGET_HPP
#define DECANT_TESTS_FUZZ_GGUF_TARGET_HPP

#include <decant/reference/gguf.hpp>
#include <decant/reference/gguf_writer.hpp>
#include <decant/reference/llama_config.hpp>
#include <decant/reference/tokenizer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace decant_fuzz {

/// The bytes of a file as text, the form in which seeds are kept.
[[nodiscard]] inline std::string seed_of(const decant::gguf_writer& file) {
  const std::vector<std::byte> bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct gguf_target {
  /// What is wrong, or null.
  [[nodiscard]] static const char* check(std::string_view bytes) {
    const auto raw = std::as_bytes(std::span(bytes.data(), bytes.size()));
    const auto file = decant::gguf_file::parse(raw);
    if (!file) return file.error().detail.empty() ? "an error of the reader names no culprit" : nullptr;
    for (const decant::gguf_tensor& tensor : file->tensors()) {
      if (!lies_inside(tensor.bytes, raw)) return "a tensor lies outside the file";
      if (file->tensor(tensor.name) != &tensor) return "a tensor is not found by its name";
    }
    for (const decant::gguf_entry& entry : file->entries()) read_every_way(entry.value);
    static_cast<void>(decant::llama_config::read(*file));
    return check_tokenizer(*file);
  }

  /// A file with a value of every type, tensors of two types, the shape of a model, and a tokenizer.
  [[nodiscard]] static std::vector<std::string> seeds() {
    decant::gguf_writer file;
    file.set("general.architecture", std::string_view("llama"))
        .set("llama.block_count", std::uint32_t{1})
        .set("llama.context_length", std::uint32_t{8})
        .set("llama.embedding_length", std::uint32_t{32})
        .set("llama.feed_forward_length", std::uint32_t{32})
        .set("llama.attention.head_count", std::uint32_t{2})
        .set("llama.attention.layer_norm_rms_epsilon", 1e-5F)
        .set("a.u8", std::uint8_t{200})
        .set("a.i64", std::int64_t{-7})
        .set("a.f64", 0.25)
        .set("a.flag", true)
        .set_array("a.reals", std::vector<float>{1.5F, -2.0F})
        .set("tokenizer.ggml.model", std::string_view("gpt2"))
        .set("tokenizer.ggml.pre", std::string_view("smollm"))
        .set_array("tokenizer.ggml.tokens", std::vector<std::string>{"<s>", "a", "b", "ab", "\u0120"})
        .set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 1, 1, 1, 1})
        .set_array("tokenizer.ggml.merges", std::vector<std::string>{"a b"})
        .set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
    const std::vector<float> values(64, 0.5F);
    file.add_tensor("first", decant::tensor_type::f32, {4, 3}, std::span<const float>(values).first(12));
    file.add_tensor("second", decant::tensor_type::q8_0, {32, 2}, values);
    return {seed_of(file)};
  }

 private:
  [[nodiscard]] static bool lies_inside(std::span<const std::byte> part, std::span<const std::byte> whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
  }

  static void read_every_way(const decant::gguf_value& value) {
    std::vector<std::string_view> texts;
    std::vector<double> reals;
    std::vector<std::int8_t> integers;
    std::vector<bool> flags;
    std::string_view text;
    std::uint64_t number = 0;
    static_cast<void>(value.convert(texts) || value.convert(reals) || value.convert(integers) || value.convert(flags));
    static_cast<void>(value.convert(text) || value.convert(number));
  }

  [[nodiscard]] static const char* check_tokenizer(const decant::gguf_file& file) {
    const auto words = decant::load_tokenizer(file);
    if (!words) return nullptr;
    for (const std::string_view text : {"The 1st fuzzed text, isn't it?\n", "ab <s>@@\xFF\xE2\x96\x81  "}) {
      const auto encoded = words->encode_markup(text);
      if (encoded && !words->decode(*encoded)) return "an encoded token is outside the vocabulary";
    }
    return nullptr;
  }
};

}  // namespace decant_fuzz

#endif
