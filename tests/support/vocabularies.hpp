// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small vocabularies of every family, trained on a few sentences and written as GGUF files: the same on every machine,
// so that ids found with them can be kept as golden values.
#ifndef DECANT_TESTS_SUPPORT_VOCABULARIES_HPP
#define DECANT_TESTS_SUPPORT_VOCABULARIES_HPP

#include <decant/reference/byte_level.hpp>
#include <decant/reference/gguf_writer.hpp>
#include <decant/reference/sentencepiece_text.hpp>
#include <decant/reference/utf8.hpp>
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant_test {

inline constexpr std::string_view vocabulary_training_text =
    "The quick brown fox jumps over the lazy dog, and the other dog's owner isn't there to see it. We're told that "
    "they'll "
    "return when the weather is better; I've heard that he'd rather stay. In the beginning there was the word, and the "
    "word was with the people. There are 12 months, 365 days and 8760 hours in a year; 1024 is 2 to the 10. "
    "for (int i = 0; i < 100; ++i) { sum += values[i]; } return sum == 0 ? first : second; "
    "The caf\u00E9 na\u00EFvely served cr\u00E8me br\u00FBl\u00E9e to the se\u00F1or over there. "
    "\u041F\u0440\u0438\u0432\u0435\u0442, \u043C\u0438\u0440! \u041C\u0438\u0440\u0443 \u043C\u0438\u0440. "
    "\u4F60\u597D\uFF0C\u4E16\u754C\uFF01\u4E16\u754C\u4F60\u597D\u3002 "
    "the there then they these this that those through than their them thing think third three "
    "ing ring sing king thing something nothing anything everything over under other another mother brother "
    "hello hello world world hello, world! hello, world! user assistant system user assistant";

/// Byte-pair encoding learned from words that are given as symbols.
class merge_trainer {
 public:
  using symbols = std::vector<std::string>;
  struct merge {
    std::string left;
    std::string right;
  };

  void add_word(symbols word) { words_.push_back(std::move(word)); }

  /// Merges the most frequent pair, of several the first in order of bytes, `count` times or until none occurs twice.
  [[nodiscard]] std::vector<merge> train(std::size_t count) {
    std::vector<merge> learned;
    while (learned.size() < count) {
      const auto frequencies = count_pairs();
      const auto best = std::max_element(frequencies.begin(), frequencies.end(),
                                         [](const auto& a, const auto& b) { return a.second < b.second; });
      if (best == frequencies.end() || best->second < 2) break;
      learned.push_back({best->first.first, best->first.second});
      for (symbols& word : words_) apply(learned.back(), word);
    }
    return learned;
  }

 private:
  [[nodiscard]] std::map<std::pair<std::string, std::string>, int> count_pairs() const {
    std::map<std::pair<std::string, std::string>, int> frequencies;
    for (const symbols& word : words_) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++frequencies[{word[i], word[i + 1]}];
    }
    return frequencies;
  }

  static void apply(const merge& rule, symbols& word) {
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      if (word[i] != rule.left || word[i + 1] != rule.right) continue;
      word[i] += word[i + 1];
      word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }

  std::vector<symbols> words_;
};

/// A vocabulary as a file holds it.
struct vocabulary_file {
  std::string model;
  std::string pre_tokenizer;
  std::vector<std::string> texts;
  std::vector<std::int32_t> kinds;
  std::vector<float> scores;
  std::vector<std::string> merges;
  std::uint32_t bos = 0;
  std::uint32_t eos = 0;

  void add(std::string text, decant::token_kind kind, float score = 0) {
    texts.push_back(std::move(text));
    kinds.push_back(static_cast<std::int32_t>(kind));
    scores.push_back(score);
  }
  [[nodiscard]] bool has(std::string_view text) const {
    return std::find(texts.begin(), texts.end(), text) != texts.end();
  }

  /// The file: metadata and no tensor.
  [[nodiscard]] decant::gguf_writer writer() const {
    decant::gguf_writer file;
    file.set("general.architecture", std::string_view("llama"))
        .set("tokenizer.ggml.model", model)
        .set_array("tokenizer.ggml.tokens", texts)
        .set_array("tokenizer.ggml.token_type", kinds)
        .set("tokenizer.ggml.bos_token_id", bos)
        .set("tokenizer.ggml.eos_token_id", eos);
    if (model == "llama") return file.set_array("tokenizer.ggml.scores", scores);
    return file.set("tokenizer.ggml.pre", pre_tokenizer).set_array("tokenizer.ggml.merges", merges);
  }
};

/// Splits the training text into words that begin with their space; where the kind of character changes, a word ends.
[[nodiscard]] inline std::vector<std::string> training_words(bool split_kinds) {
  const auto kind_of = [](char c) {
    const auto in = [c](char low, char high) { return c >= low && c <= high; };
    if (in('0', '9')) return 1;
    return in('a', 'z') || in('A', 'Z') || static_cast<unsigned char>(c) >= 0x80 ? 2 : 3;
  };
  std::vector<std::string> words;
  for (std::size_t i = 0; i < vocabulary_training_text.size(); ++i) {
    const char c = vocabulary_training_text[i];
    const char before = i > 0 ? vocabulary_training_text[i - 1] : ' ';
    const bool changes = split_kinds && before != ' ' && kind_of(before) != kind_of(c);
    if (i == 0 || c == ' ' || changes) words.emplace_back();
    words.back().push_back(c);
  }
  return words;
}

/// The characters of a text, one string each.
[[nodiscard]] inline std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> characters;
  while (!text.empty()) {
    const std::size_t length = decant::decode_utf8(text).length;
    characters.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return characters;
}

/// A SentencePiece vocabulary: special tokens, 256 byte tokens, pieces whose scores come in equal pairs.
[[nodiscard]] inline vocabulary_file sentencepiece_vocabulary() {
  using decant::token_kind;
  vocabulary_file file;
  file.model = "llama";
  file.bos = 1;
  file.eos = 2;
  file.add("<unk>", token_kind::unknown);
  file.add("<s>", token_kind::control);
  file.add("</s>", token_kind::control);
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    file.add(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", token_kind::byte);
  }
  file.add("[INST]", token_kind::control);
  file.add("[/INST]", token_kind::control);
  file.add("<tool>", token_kind::user_defined);
  file.add("@@", token_kind::user_defined);

  merge_trainer trainer;
  std::vector<std::string> letters;
  for (const std::string& word : training_words(false)) {
    std::string marked;
    decant::append_marked(marked, word);
    trainer.add_word(characters_of(marked));
    for (std::string& c : characters_of(marked)) letters.push_back(std::move(c));
  }
  int rank = 0;
  const auto add_piece = [&](std::string text) {
    if (file.has(text)) return;
    file.add(std::move(text), token_kind::normal, -static_cast<float>(rank / 2));
    ++rank;
  };
  for (const merge_trainer::merge& learned : trainer.train(400)) add_piece(learned.left + learned.right);
  add_piece(std::string(decant::space_mark) + std::string(decant::space_mark));
  rank += 1000;
  for (std::string& letter : letters) add_piece(std::move(letter));
  return file;
}

/// A byte-level vocabulary for a pre-tokenizer: special tokens, the 256 letters, merged tokens, and one token that no
/// merge makes.
[[nodiscard]] inline vocabulary_file byte_level_vocabulary(std::string_view pre_tokenizer) {
  using decant::token_kind;
  vocabulary_file file;
  file.model = "gpt2";
  file.pre_tokenizer = pre_tokenizer;
  file.bos = 0;
  file.eos = 2;
  file.add("<|endoftext|>", token_kind::control);
  file.add("<|im_start|>", token_kind::control);
  file.add("<|im_end|>", token_kind::control);
  file.add("<tool>", token_kind::user_defined);
  file.add("@@", token_kind::user_defined);
  for (int byte = 0; byte < 256; ++byte) {
    std::string letter;
    decant::append_utf8(letter, decant::byte_letter(static_cast<std::uint8_t>(byte)));
    file.add(std::move(letter), token_kind::normal);
  }
  merge_trainer trainer;
  for (const std::string& word : training_words(true)) {
    std::string letters;
    decant::append_letters(letters, word);
    trainer.add_word(characters_of(letters));
  }
  for (const merge_trainer::merge& learned : trainer.train(400)) {
    file.merges.push_back(learned.left + " " + learned.right);
    if (!file.has(learned.left + learned.right)) file.add(learned.left + learned.right, token_kind::normal);
  }
  file.add("\u0120zqzq", token_kind::normal);
  return file;
}

/// Every generated vocabulary under the name of its golden file.
struct named_vocabulary {
  const char* name;
  vocabulary_file file;
};
[[nodiscard]] inline std::vector<named_vocabulary> generated_vocabularies() {
  std::vector<named_vocabulary> all{{"sentencepiece", sentencepiece_vocabulary()}};
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "smollm", "default"}) {
    all.push_back({name, byte_level_vocabulary(name)});
  }
  return all;
}

}  // namespace decant_test

#endif
