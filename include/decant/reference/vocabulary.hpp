// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tokens of a byte-level vocabulary: their texts, the bytes they print, their kinds, and the ids with a meaning.
#ifndef DECANT_REFERENCE_VOCABULARY_HPP
#define DECANT_REFERENCE_VOCABULARY_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/byte_level.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Kind of a token; the values are those of the key tokenizer.ggml.token_type.
enum class token_kind : std::uint8_t {
  normal = 1,
  unknown = 2,       ///< stands for what the vocabulary cannot express
  control = 3,       ///< steers the model (<|im_end|>); prints nothing
  user_defined = 4,  ///< plain text that is always one token
  unused = 5,        ///< padding of the vocabulary; prints nothing
  byte = 6           ///< a single byte of vocabularies that are not byte-level; prints nothing here
};

/// What a file says about its vocabulary, before any check. The views are read by `vocabulary::create` only.
struct vocabulary_data {
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
  /// Errors: `file_malformed` when there is no token, a kind is unknown, the kinds are not as many as the tokens, or an
  /// id is not below the number of tokens. O(total length of the texts).
  [[nodiscard]] static result<vocabulary> create(const vocabulary_data& data) {
    if (const auto checked = check(data); !checked) return checked.error();
    vocabulary made;
    made.bos_ = data.bos;
    made.eos_ = data.eos;
    made.unknown_ = data.unknown;
    made.kinds_.reserve(data.texts.size());
    for (std::size_t i = 0; i < data.texts.size(); ++i) {
      made.kinds_.push_back(data.kinds.empty() ? token_kind::normal : static_cast<token_kind>(data.kinds[i]));
      made.texts_.append(data.texts[i]);
      append_printed(made.printed_.pool, made.kinds_.back(), data.texts[i]);
      made.printed_.end();
    }
    made.build_index();
    made.collect_ends(data);
    return made;
  }

  [[nodiscard]] std::size_t size() const noexcept { return kinds_.size(); }
  [[nodiscard]] bool contains(token id) const noexcept { return id >= 0 && index(id) < size(); }

  /// The text of a token as the vocabulary lists it, in the letters of `byte_letter` for ordinary tokens. Empty for an
  /// id outside the vocabulary.
  [[nodiscard]] std::string_view text(token id) const noexcept { return contains(id) ? texts_[index(id)] : ""; }

  /// The bytes that a token prints: possibly a part of a character, empty for control tokens and for ids outside the
  /// vocabulary. O(1), no allocation; the view lives as long as the vocabulary.
  [[nodiscard]] std::string_view bytes(token id) const noexcept { return contains(id) ? printed_[index(id)] : ""; }

  /// Precondition: contains(id).
  [[nodiscard]] token_kind kind(token id) const noexcept {
    DECANT_PRECONDITION(contains(id));
    return kinds_[index(id)];
  }

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

  // Texts by which files mark the end of a turn without naming its id in the metadata.
  static constexpr std::array<std::string_view, 17> end_texts{
      "<|eot_id|>",    "<|im_end|>",  "<|end|>",   "<end_of_turn>", "<|endoftext|>", "<|eom_id|>",
      "<EOT>",         "<|fim_pad|>", "<fim-pad>", "<fim_pad>",     "<PAD>",         "<|fim_repo|>",
      "<|repo_name|>", "<fim-repo>",  "<REPO>",    "<reponame>",    "<|file_sep|>"};

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

  static void append_printed(std::string& bytes, token_kind kind, std::string_view text) {
    if (kind == token_kind::normal) append_bytes_of_letters(bytes, text);
    if (kind == token_kind::user_defined) bytes.append(text);
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
    for (const std::string_view text : end_texts) ends_.push_back(find(text));
    std::sort(ends_.begin(), ends_.end());
    ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
    if (ends_.front() == no_token) ends_.erase(ends_.begin());
  }

  text_pool texts_;
  text_pool printed_;
  std::vector<token_kind> kinds_;
  std::vector<token> index_;  // open addressing by text; a power of two of slots, at most half of them taken
  std::vector<token> ends_;
  token bos_ = no_token;
  token eos_ = no_token;
  token unknown_ = no_token;
};

}  // namespace decant::inline DECANT_ABI

#endif
