// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any bytes as a tokenizer's file, and any bytes as a text. Bytes that begin like a GGUF file are one; of others the
// first byte chooses a vocabulary and the second where the text is cut.
#ifndef DECANT_TESTS_FUZZ_TOKENIZER_TARGET_HPP
#define DECANT_TESTS_FUZZ_TOKENIZER_TARGET_HPP

#include <decant/reference/gguf.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/tokenizer.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz/gguf_target.hpp"
#include "support/vocabularies.hpp"

namespace decant_fuzz {

struct tokenizer_target {
  /// What is wrong, or null.
  [[nodiscard]] static const char* check(std::string_view bytes) {
    if (bytes.starts_with("GGUF")) return gguf_target::check(bytes);
    if (bytes.size() < 2) return nullptr;
    const std::vector<decant::tokenizer>& all = vocabularies();
    const auto chosen = static_cast<unsigned char>(bytes[0]);
    return check_text(all[chosen % all.size()], bytes.substr(2), static_cast<unsigned char>(bytes[1]));
  }

  /// Vocabularies of both families, and a text for each of the generated ones.
  [[nodiscard]] static std::vector<std::string> seeds() {
    std::vector<std::string> all{seed_of(byte_level_file()), seed_of(sentencepiece_file())};
    constexpr std::string_view text =
        "\x05Hello, world!  The dog's <tool> @@ 12345\n\n \u4F60\u597D \u2581 \U0001F600 <|im_end|></s>\xE2\x96";
    for (char chosen = 0; chosen < static_cast<char>(vocabularies().size()); ++chosen) {
      all.emplace_back(1, chosen).append(text);
    }
    return all;
  }

 private:
  [[nodiscard]] static decant::gguf_writer byte_level_file() {
    decant::gguf_writer file;
    file.set("tokenizer.ggml.model", std::string_view("gpt2"))
        .set("tokenizer.ggml.pre", std::string_view("llama-bpe"))
        .set_array("tokenizer.ggml.tokens",
                   std::vector<std::string>{"<|im_end|>", "</s>", "a", "b", "\u0120", "ab", "\u0120ab", "@@"})
        .set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{3, 3, 1, 1, 1, 1, 5, 4})
        .set_array("tokenizer.ggml.merges", std::vector<std::string>{"a b", "\u0120 ab"})
        .set("tokenizer.ggml.bos_token_id", std::uint32_t{0})
        .set("tokenizer.ggml.eos_token_id", std::uint32_t{1})
        .set("tokenizer.ggml.unknown_token_id", std::uint32_t{0});
    return file;
  }

  [[nodiscard]] static decant::gguf_writer sentencepiece_file() {
    decant::gguf_writer file;
    file.set("tokenizer.ggml.model", std::string_view("llama"))
        .set_array("tokenizer.ggml.tokens", std::vector<std::string>{"<unk>", "<s>", "</s>", "<0x0A>", "\u2581", "a",
                                                                     "b", "ab", "\u2581ab", "@@"})
        .set_array("tokenizer.ggml.token_type", std::vector<std::int32_t>{2, 3, 3, 6, 1, 1, 1, 1, 5, 4})
        .set_array("tokenizer.ggml.scores", std::vector<float>{0, 0, 0, 0, -3, -2, -2, -1, -1, 0})
        .set("tokenizer.ggml.add_bos_token", true)
        .set("tokenizer.ggml.add_eos_token", true)
        .set("tokenizer.ggml.add_space_prefix", true);
    return file;
  }

  [[nodiscard]] static const std::vector<decant::tokenizer>& vocabularies() {
    static const std::vector<decant::tokenizer> all = [] {
      std::vector<decant::tokenizer> made;
      for (const decant_test::named_vocabulary& vocabulary : decant_test::generated_vocabularies()) {
        const std::vector<std::byte> bytes = vocabulary.file.writer().bytes();
        made.push_back(decant::load_tokenizer(decant::gguf_file::parse(bytes).value_or_throw()).value_or_throw());
      }
      return made;
    }();
    return all;
  }

  /// The text of a token sequence, for a vocabulary in which a space and U+2581 are the same.
  [[nodiscard]] static std::string expected_text(const decant::tokenizer& words, std::string_view text) {
    std::string expected;
    if (words.words().family() == decant::vocabulary_family::sentencepiece) {
      decant::append_unmarked(expected, text);
    } else {
      expected = text;
    }
    return expected;
  }

  [[nodiscard]] static const char* check_text(const decant::tokenizer& words, std::string_view text, std::size_t cut) {
    const auto encoded = words.encode(text, decant::sequence_marks::leave_out);
    const auto markup = words.encode_markup(text);
    if (!encoded || !markup) return "a text is refused";
    if (!words.decode(*markup)) return "an encoded token is outside the vocabulary";
    for (const decant::token id : *encoded) {
      const decant::token_kind kind = words.words().kind(id);
      const bool is_text = words.words().is_plain(id) || kind == decant::token_kind::byte;
      if (!is_text) return "plain text has become a token that no text may become";
    }
    if (*words.decode(*encoded) != expected_text(words, text)) return "encoding and decoding changes the text";

    const std::size_t border = cut % (text.size() + 1);
    const std::array<decant::text_part, 2> parts{{{text.substr(0, border), false}, {text.substr(border), false}}};
    if (*words.encode(parts, decant::sequence_marks::leave_out) != *encoded) return "the border of a part is seen";
    return check_stream(words, *encoded);
  }

  [[nodiscard]] static const char* check_stream(const decant::tokenizer& words, decant::token_span tokens) {
    std::string bytes;
    std::string shown;
    decant::text_stream stream;
    for (const decant::token id : tokens) {
      const std::string_view piece = words.words().bytes(id);
      bytes.append(piece);
      const std::string_view ready = stream.push(piece);
      if (!decant::is_valid_utf8(ready)) return "half a character is shown";
      shown.append(ready);
    }
    shown.append(stream.finish());
    std::string expected;
    decant::append_valid_utf8(expected, bytes);
    return shown == expected ? nullptr : "streaming changes the text";
  }
};

}  // namespace decant_fuzz

#endif
