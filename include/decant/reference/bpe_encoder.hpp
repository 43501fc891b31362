// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain text to tokens for byte-level vocabularies (gpt2 family): the pre-tokenizer splits the text into pieces, and
// each piece is merged from its bytes.
#ifndef DECANT_REFERENCE_BPE_ENCODER_HPP
#define DECANT_REFERENCE_BPE_ENCODER_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/byte_pair_merges.hpp>
#include <decant/reference/pre_tokenizer.hpp>
#include <decant/reference/vocabulary.hpp>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Immutable once made; several threads may use one object. Give the same vocabulary to every call.
class bpe_encoder {
 public:
  /// Errors: as `pre_tokenizer::create` and `byte_pair_merges::create`.
  [[nodiscard]] static result<bpe_encoder> create(const vocabulary& words, std::span<const std::string_view> merges,
                                                  std::string_view pre_tokenizer_name) {
    result<pre_tokenizer> splitter = pre_tokenizer::create(pre_tokenizer_name);
    if (!splitter) return splitter.error();
    result<byte_pair_merges> pairs = byte_pair_merges::create(words, merges);
    if (!pairs) return pairs.error();
    return bpe_encoder(std::move(*splitter), std::move(*pairs));
  }

  [[nodiscard]] const pre_tokenizer_rule& rule() const noexcept { return splitter_.rule(); }

  /// Appends the tokens of `text`, in which nothing is special. O(n log n) for n bytes. Error: `invalid_argument` for
  /// text that cannot be split or expressed. Precondition: n < 2^31.
  [[nodiscard]] result<void> encode(const vocabulary& words, std::string_view text, std::vector<token>& tokens) const {
    std::vector<std::string_view> pieces;
    if (auto done = splitter_.split(text, pieces); !done) return done;
    byte_pair_merges::workspace work;
    for (const std::string_view piece : pieces) {
      if (const token whole = whole_piece(words, piece); whole != no_token) {
        tokens.push_back(whole);
      } else if (auto done = merges_.encode(piece, work, tokens); !done) {
        return done;
      }
    }
    return {};
  }

 private:
  bpe_encoder(pre_tokenizer splitter, byte_pair_merges merges)
      : splitter_(std::move(splitter)), merges_(std::move(merges)) {}

  [[nodiscard]] token whole_piece(const vocabulary& words, std::string_view piece) const {
    if (!splitter_.rule().whole_piece_first) return no_token;
    std::string letters;
    append_letters(letters, piece);
    const token whole = words.find(letters);
    return whole != no_token && words.is_plain(whole) ? whole : no_token;
  }

  pre_tokenizer splitter_;
  byte_pair_merges merges_;
};

}  // namespace decant::inline DECANT_ABI

#endif
