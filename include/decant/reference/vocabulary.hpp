// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tokens of a vocabulary: their texts, the bytes they print, their kinds, and the ids with a meaning.
#ifndef DECANT_REFERENCE_VOCABULARY_HPP
#define DECANT_REFERENCE_VOCABULARY_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/byte_level.hpp>
#include <decant/reference/sentencepiece_text.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace decant::inline DECANT_ABI {

/// How a vocabulary writes the texts of its tokens.
enum class vocabulary_family : std::uint8_t {
  byte_level,    ///< gpt2: every byte as a letter of `byte_letter`
  sentencepiece  ///< llama: spaces as U+2581, tokens of kind `byte` for what has no text of its own
};

/// Kind of a token; the values are those of the key tokenizer.ggml.token_type.
enum class token_kind : std::uint8_t {
  normal = 1,
  unknown = 2,       ///< stands for what the vocabulary cannot express
  control = 3,       ///< steers the model (<|im_end|>); prints nothing
  user_defined = 4,  ///< plain text that is always one token
  unused = 5,        ///< padding of the vocabulary; prints nothing
  byte = 6           ///< "<0x0A>": a single byte in SentencePiece vocabularies; in byte-level ones it prints nothing
};

/// What a file says about its vocabulary, before any check. The views are read by `vocabulary::create` only.
struct vocabulary_data {
  vocabulary_family family = vocabulary_family::byte_level;
  std::vector<std::string_view> texts;
  std::vector<std::int32_t> kinds;  ///< values of `token_kind`, or empty: all normal
  token bos = no_token;             ///< beginning of sequence
  token eos = no_token;             ///< end of sequence
  token unknown = no_token;
  std::vector<token> also_end;  ///< further ids that end a generation (end of turn, of message, ...)
};

/// Checked tokens. Every member function is const and may be called from several threads.
class vocabulary {
 public:
  /// Errors: `file_malformed` when there is no token, a kind is unknown, the kinds are not as many as the tokens, an id
  /// is not below the number of tokens, or a byte token of a SentencePiece vocabulary names no byte. A token whose text
  /// can only be a mark of the format ("<|im_end|>") is a control token whatever its listed kind, so that plain text
  /// cannot forge it. O(total length of the texts).
  [[nodiscard]] static result<vocabulary> create(const vocabulary_data& data) {
    if (const auto checked = check(data); !checked) return checked.error();
    vocabulary made;
    made.family_ = data.family;
    made.bos_ = data.bos;
    made.eos_ = data.eos;
    made.unknown_ = data.unknown;
    made.kinds_.assign(data.texts.size(), token_kind::normal);
    for (std::size_t i = 0; i < data.kinds.size(); ++i) made.kinds_[i] = static_cast<token_kind>(data.kinds[i]);
    for (const std::string_view text : data.texts) made.texts_.append(text);
    made.build_index();
    made.collect_ends(data);
    made.print_tokens();
    if (!made.find_byte_tokens()) {
      return error(error_code::file_malformed, "a byte token of the vocabulary is not spelled <0x00> to <0xFF>");
    }
    return made;
  }

  [[nodiscard]] vocabulary_family family() const noexcept { return family_; }
  [[nodiscard]] std::size_t size() const noexcept { return kinds_.size(); }
  [[nodiscard]] bool contains(token id) const noexcept { return id >= 0 && index(id) < size(); }

  /// The text of a token as the vocabulary lists it, in the spelling of its family. Empty for an id outside the
  /// vocabulary.
  [[nodiscard]] std::string_view text(token id) const noexcept { return contains(id) ? texts_[index(id)] : ""; }

  /// The bytes that a token prints: possibly a part of a character, empty for control tokens and for ids outside the
  /// vocabulary. O(1), no allocation; the view lives as long as the vocabulary.
  [[nodiscard]] std::string_view bytes(token id) const noexcept { return contains(id) ? printed_[index(id)] : ""; }

  /// Precondition: contains(id).
  [[nodiscard]] token_kind kind(token id) const noexcept {
    DECANT_PRECONDITION(contains(id));
    return kinds_[index(id)];
  }

  /// Whether plain text may become the token: it is normal or user-defined. Precondition: contains(id).
  [[nodiscard]] bool is_plain(token id) const noexcept {
    return kind(id) == token_kind::normal || kind(id) == token_kind::user_defined;
  }

  /// The token that stands for a single byte, or `no_token`.
  [[nodiscard]] token byte_token(std::uint8_t byte) const noexcept { return byte_tokens_[byte]; }

  /// The token with a text, or `no_token`; of several the lowest id. O(length of the text).
  [[nodiscard]] token find(std::string_view text) const noexcept {
    for (std::size_t slot = hash(text) & (index_.size() - 1); index_[slot] != no_token; slot = next(slot)) {
      if (texts_[index(index_[slot])] == text) return index_[slot];
    }
    return no_token;
  }

  [[nodiscard]] token bos() const noexcept { return bos_; }
  [[nodiscard]] token eos() const noexcept { return eos_; }
  [[nodiscard]] token unknown() const noexcept { return unknown_; }

  /// Every token that ends a generation, ascending: end of sequence, of turn and of message, and the tokens by which
  /// models of code go over to another file. A decoder must stop at any of them.
  [[nodiscard]] token_span end_of_generation() const noexcept { return ends_; }
  [[nodiscard]] bool ends_generation(token id) const noexcept {
    return std::binary_search(ends_.begin(), ends_.end(), id);
  }

 private:
  /// Many short strings in one allocation.
  struct text_pool {
    std::string pool;
    std::vector<std::size_t> offsets{0};

    void end() { offsets.push_back(pool.size()); }
    void append(std::string_view text) {
      pool.append(text);
      end();
    }
    [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
      return std::string_view(pool).substr(offsets[i], offsets[i + 1] - offsets[i]);
    }
  };

  // Texts that stand for marks of the format and nothing else. Files often name none of them in the metadata.
  struct known_mark {
    std::string_view text;
    bool ends_generation;
  };
  static constexpr std::array<known_mark, 29> known_marks{{
      {"<|eot_id|>", true},
      {"<|im_end|>", true},
      {"<|end|>", true},
      {"<end_of_turn>", true},
      {"<|endoftext|>", true},
      {"<|eom_id|>", true},
      {"<|end_of_text|>", true},
      {"<EOT>", true},
      {"<end_of_utterance>", true},
      {"<|fim_pad|>", true},
      {"<fim-pad>", true},
      {"<fim_pad>", true},
      {"<PAD>", true},
      {"<|fim_repo|>", true},
      {"<|repo_name|>", true},
      {"<fim-repo>", true},
      {"<REPO>", true},
      {"<reponame>", true},
      {"<|file_sep|>", true},
      {"<|fim_prefix|>", false},
      {"<fim-prefix>", false},
      {"<fim_prefix>", false},
      {"<|fim_suffix|>", false},
      {"<fim-suffix>", false},
      {"<fim_suffix>", false},
      {"<|fim_middle|>", false},
      {"<fim-middle>", false},
      {"<fim_middle>", false},
      {"<\xEF\xBD\x9C"
       "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
       true},
  }};
  // Texts that end a generation if the file says that they are control tokens: elsewhere they are ordinary markup.
  static constexpr std::array<std::string_view, 4> control_end_texts{"</s>", "<eos>", "[EOS]", "[EOT]"};

  vocabulary() = default;

  static result<void> check(const vocabulary_data& data) {
    constexpr std::size_t most = std::numeric_limits<token>::max() / 4;
    if (data.texts.empty()) return error(error_code::file_malformed, "the vocabulary is empty");
    if (data.texts.size() > most) return error(error_code::file_too_large, "the vocabulary");
    if (!data.kinds.empty() && data.kinds.size() != data.texts.size()) {
      return error(error_code::file_malformed, "the vocabulary does not have one token type per token");
    }
    const auto is_kind = [](std::int32_t kind) { return kind >= 1 && kind <= 6; };
    if (!std::all_of(data.kinds.begin(), data.kinds.end(), is_kind)) {
      return error(error_code::file_malformed, "a token type of the vocabulary is not in 1..6");
    }
    const auto is_id = [&](token id) { return id == no_token || (id >= 0 && index(id) < data.texts.size()); };
    if (!is_id(data.bos) || !is_id(data.eos) || !is_id(data.unknown) ||
        !std::all_of(data.also_end.begin(), data.also_end.end(), is_id)) {
      return error(error_code::file_malformed, "the id of a special token is not below the vocabulary size");
    }
    return {};
  }

  void print_tokens() {
    for (std::size_t i = 0; i < size(); ++i) {
      append_printed(texts_[i], kinds_[i]);
      printed_.end();
    }
  }

  void append_printed(std::string_view text, token_kind kind) {
    if (kind == token_kind::user_defined) printed_.pool.append(text);
    if (kind == token_kind::normal && family_ == vocabulary_family::byte_level) {
      append_bytes_of_letters(printed_.pool, text);
    }
    if (kind == token_kind::normal && family_ == vocabulary_family::sentencepiece) append_unmarked(printed_.pool, text);
    if (kind == token_kind::byte && family_ == vocabulary_family::sentencepiece) {
      printed_.pool.push_back(static_cast<char>(static_cast<unsigned char>(named_byte(text))));
    }
  }

  /// False when a byte token does not name a byte.
  [[nodiscard]] bool find_byte_tokens() {
    byte_tokens_.fill(no_token);
    return family_ == vocabulary_family::byte_level ? find_byte_letters() : find_named_bytes();
  }

  bool find_byte_letters() {
    std::string letter;
    for (std::size_t byte = 0; byte < byte_tokens_.size(); ++byte) {
      letter.clear();
      append_utf8(letter, byte_letter(static_cast<std::uint8_t>(byte)));
      byte_tokens_[byte] = find(letter);
    }
    return true;
  }

  [[nodiscard]] bool find_named_bytes() {
    for (std::size_t i = 0; i < size(); ++i) {
      if (kinds_[i] != token_kind::byte) continue;
      const int byte = named_byte(texts_[i]);
      if (byte < 0) return false;
      token& id = byte_tokens_[index(byte)];
      if (id == no_token) id = static_cast<token>(i);
    }
    return true;
  }

  // FNV-1a: the texts are short.
  [[nodiscard]] static std::size_t hash(std::string_view text) noexcept {
    std::uint64_t state = 0xCBF29CE484222325u;
    for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    return static_cast<std::size_t>(state ^ (state >> 32));
  }
  [[nodiscard]] std::size_t next(std::size_t slot) const noexcept { return (slot + 1) & (index_.size() - 1); }

  void build_index() {
    std::size_t slots = 16;
    while (slots < 2 * size()) slots *= 2;
    index_.assign(slots, no_token);
    for (std::size_t i = 0; i < size(); ++i) {
      const std::string_view text = texts_[i];
      if (text.empty() || find(text) != no_token) continue;
      std::size_t slot = hash(text) & (slots - 1);
      while (index_[slot] != no_token) slot = next(slot);
      index_[slot] = static_cast<token>(i);
    }
  }

  void collect_ends(const vocabulary_data& data) {
    ends_ = data.also_end;
    ends_.push_back(data.eos);
    for (const known_mark& mark : known_marks) {
      const token id = find(mark.text);
      if (id != no_token) kinds_[index(id)] = token_kind::control;
      if (mark.ends_generation) ends_.push_back(id);
    }
    for (const std::string_view text : control_end_texts) {
      const token id = find(text);
      if (id != no_token && kind(id) == token_kind::control) ends_.push_back(id);
    }
    std::sort(ends_.begin(), ends_.end());
    ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
    if (ends_.front() == no_token) ends_.erase(ends_.begin());
  }

  text_pool texts_;
  text_pool printed_;
  std::vector<token_kind> kinds_;
  std::vector<token> index_;  // open addressing by text; a power of two of slots, at most half of them taken
  std::vector<token> ends_;
  std::array<token, 256> byte_tokens_{};
  vocabulary_family family_ = vocabulary_family::byte_level;
  token bos_ = no_token;
  token eos_ = no_token;
  token unknown_ = no_token;
};

}  // namespace decant::inline DECANT_ABI

#endif
