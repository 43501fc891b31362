// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The byte-level BPE tokenizer of the gpt2 family: special tokens are cut out, what lies between is split into pieces
// by the pre-tokenizer, and each piece is merged from its bytes. Token ids equal those of llama.cpp, with two
// exceptions: a byte without a token becomes the unknown token (there it vanishes), and ill-formed UTF-8 keeps its
// bytes.
#ifndef DECANT_REFERENCE_BPE_TOKENIZER_HPP
#define DECANT_REFERENCE_BPE_TOKENIZER_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/byte_pair_merges.hpp>
#include <decant/reference/pre_tokenizer.hpp>
#include <decant/reference/special_tokens.hpp>
#include <decant/reference/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// What a file says about its tokenizer, before any check. The views are read by `bpe_tokenizer::create` only.
struct bpe_tokenizer_data {
  vocabulary_data vocabulary;
  std::vector<std::string_view> merges;
  std::string_view pre_tokenizer;  ///< name of a row of `pre_tokenizer_rules`
  std::optional<bool> adds_bos;    ///< unset: as the pre-tokenizer's rule says
  bool adds_eos = false;
};

/// Whether the tokens that the vocabulary puts around every text (beginning and end of sequence) are added.
enum class sequence_marks : std::uint8_t { add, leave_out };

/// Immutable once made; several threads may use one object.
class bpe_tokenizer {
 public:
  /// Errors: `file_malformed` as `vocabulary::create` and `byte_pair_merges::create` say, and when a token is to be
  /// added that the file does not name; `unsupported` for a pre-tokenizer that is not known.
  [[nodiscard]] static result<bpe_tokenizer> create(const bpe_tokenizer_data& data) {
    result<pre_tokenizer> splitter = pre_tokenizer::create(data.pre_tokenizer);
    if (!splitter) return splitter.error();
    result<decant::vocabulary> words = vocabulary::create(data.vocabulary);
    if (!words) return words.error();
    result<byte_pair_merges> merges = byte_pair_merges::create(*words, data.merges);
    if (!merges) return merges.error();
    const bool adds_bos = data.adds_bos.value_or(splitter->rule().adds_bos && words->bos() != no_token);
    if ((adds_bos && words->bos() == no_token) || (data.adds_eos && words->eos() == no_token)) {
      return error(error_code::file_malformed, "the tokenizer adds a token whose id is missing");
    }
    return bpe_tokenizer(std::move(*words), std::move(*splitter), std::move(*merges), adds_bos, data.adds_eos);
  }

  [[nodiscard]] const vocabulary& words() const noexcept { return words_; }
  [[nodiscard]] const pre_tokenizer_rule& rule() const noexcept { return splitter_.rule(); }
  [[nodiscard]] bool adds_bos() const noexcept { return adds_bos_; }
  [[nodiscard]] bool adds_eos() const noexcept { return adds_eos_; }

  /// The bytes that a token prints, as `vocabulary::bytes`. O(1), no allocation.
  [[nodiscard]] std::span<const char> token_bytes(token id) const noexcept { return words_.bytes(id); }

  /// Encodes the concatenation of `parts`. Control tokens are recognised inside parts that are markup; the splitting
  /// into pieces does not see the borders of parts. O(n log n) for n bytes. Errors: `invalid_argument` for text that
  /// cannot be split or expressed, or of 2^31 bytes or more.
  [[nodiscard]] result<std::vector<token>> encode(std::span<const text_part> parts,
                                                  sequence_marks marks = sequence_marks::add) const {
    std::string text;
    for (const text_part& part : parts) text.append(part.text);
    if (text.size() > longest_text) return error(error_code::invalid_argument, "the text has 2^31 bytes or more");

    std::vector<token> tokens;
    if (marks == sequence_marks::add && adds_bos_) tokens.push_back(words_.bos());
    const std::string_view whole = text;
    std::size_t taken = 0;
    for (const special_occurrence& special : specials_.find(words_, whole, parts)) {
      if (auto done = encode_plain(whole.substr(taken, special.begin - taken), tokens); !done) return done.error();
      tokens.push_back(special.id);
      taken = special.begin + special.length;
    }
    if (auto done = encode_plain(whole.substr(taken), tokens); !done) return done.error();
    if (marks == sequence_marks::add && adds_eos_) tokens.push_back(words_.eos());
    return tokens;
  }

  /// Encodes plain text: what looks like a control token in it is text.
  [[nodiscard]] result<std::vector<token>> encode(std::string_view text,
                                                  sequence_marks marks = sequence_marks::add) const {
    const text_part part{text, false};
    return encode(std::span(&part, 1), marks);
  }

  /// Encodes text in which the texts of control tokens stand for the tokens.
  [[nodiscard]] result<std::vector<token>> encode_markup(std::string_view text,
                                                         sequence_marks marks = sequence_marks::add) const {
    const text_part part{text, true};
    return encode(std::span(&part, 1), marks);
  }

  /// The bytes of the tokens, one after the other; control tokens print nothing. Error: `invalid_token`.
  [[nodiscard]] result<std::string> decode(token_span tokens) const {
    std::string bytes;
    for (const token id : tokens) {
      if (!words_.contains(id)) return error(error_code::invalid_token, fixed_text<118>().append_number(id));
      bytes.append(words_.bytes(id));
    }
    return bytes;
  }

 private:
  static constexpr std::size_t longest_text = std::numeric_limits<std::int32_t>::max();

  bpe_tokenizer(vocabulary words, pre_tokenizer splitter, byte_pair_merges merges, bool adds_bos, bool adds_eos)
      : words_(std::move(words)),
        specials_(words_),
        splitter_(std::move(splitter)),
        merges_(std::move(merges)),
        adds_bos_(adds_bos),
        adds_eos_(adds_eos) {}

  result<void> encode_plain(std::string_view text, std::vector<token>& tokens) const {
    std::vector<std::string_view> pieces;
    if (auto done = splitter_.split(text, pieces); !done) return done;
    byte_pair_merges::workspace work;
    for (const std::string_view piece : pieces) {
      if (splitter_.rule().whole_piece_first) {
        std::string letters;
        append_letters(letters, piece);
        if (const token whole = words_.find(letters); whole != no_token) {
          tokens.push_back(whole);
          continue;
        }
      }
      if (auto done = merges_.encode(piece, work, tokens); !done) return done;
    }
    return {};
  }

  vocabulary words_;
  special_tokens specials_;
  pre_tokenizer splitter_;
  byte_pair_merges merges_;
  bool adds_bos_;
  bool adds_eos_;
};

}  // namespace decant::inline DECANT_ABI

#endif
