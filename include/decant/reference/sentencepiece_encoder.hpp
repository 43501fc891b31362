// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plain text to tokens for SentencePiece vocabularies (llama family; Kudo and Richardson, arXiv 1808.06226): starting
// from characters, the adjacent pair that makes the token of the best score is merged until none does. Characters that
// end up without a token are written as byte tokens.
#ifndef DECANT_REFERENCE_SENTENCEPIECE_ENCODER_HPP
#define DECANT_REFERENCE_SENTENCEPIECE_ENCODER_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/sentencepiece_text.hpp>
#include <decant/reference/symbol_chain.hpp>
#include <decant/reference/utf8.hpp>
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Immutable once made; several threads may use one object. Give the same vocabulary to every call.
class sentencepiece_encoder {
 public:
  /// `scores`: one per token, the higher the sooner a token is made; none: all alike. Errors: `file_malformed` for
  /// another number of scores, or a score that is NaN.
  [[nodiscard]] static result<sentencepiece_encoder> create(const vocabulary& words, std::span<const float> scores,
                                                            bool adds_space_prefix) {
    if (!scores.empty() && scores.size() != words.size()) {
      return error(error_code::file_malformed, "the vocabulary does not have one score per token");
    }
    if (std::any_of(scores.begin(), scores.end(), [](float score) { return std::isnan(score); })) {
      return error(error_code::file_malformed, "a score of the vocabulary is not a number");
    }
    sentencepiece_encoder made(adds_space_prefix);
    made.ranks_ = ranks_of(scores);
    made.ranks_.resize(words.size(), 0);
    for (std::size_t i = 0; i < words.size(); ++i) {
      made.longest_ = std::max(made.longest_, words.text(static_cast<token>(i)).size());
    }
    return made;
  }

  /// Whether a space is put before every text, so that its first word is spelled like the others.
  [[nodiscard]] bool adds_space_prefix() const noexcept { return adds_space_prefix_; }

  /// Appends the tokens of `text`, in which nothing is special; the space prefix is added, if any. A character that is
  /// neither a token nor expressible by byte tokens becomes the unknown token, or is `invalid_argument` when the
  /// vocabulary has none. Of equal scores the leftmost pair is merged first. O(n log n) for n characters, times the
  /// length of the longest token. `invalid_argument` also for text of 2^31 bytes or more once its spaces are marked.
  [[nodiscard]] result<void> encode(const vocabulary& words, std::string_view text, std::vector<token>& tokens) const {
    std::string marked;
    if (adds_space_prefix_) marked.append(space_mark);
    append_marked(marked, text);
    if (marked.size() > longest_text) return error(error_code::invalid_argument, "the text has 2^31 bytes or more");

    const std::string_view whole = marked;
    symbol_chain symbols;
    symbols.reserve(whole.size());
    for (std::size_t at = 0; at < whole.size();) {
      const std::size_t length = decode_utf8(whole.substr(at)).length;
      symbols.append(plain_token(words, whole.substr(at, length)), length);
      at += length;
    }
    symbols.merge([&](const symbol_chain::symbol& left, const symbol_chain::symbol& right) {
      return joined(words, whole.substr(left.begin, std::size_t{left.size} + right.size));
    });
    bool expressible = true;
    symbols.for_each([&](const symbol_chain::symbol& s) {
      if (s.id != no_token) {
        tokens.push_back(s.id);
      } else {
        expressible = append_bytes(words, s.in(whole), tokens) && expressible;
      }
    });
    if (!expressible) return error(error_code::invalid_argument, "the vocabulary has no token for a character");
    return {};
  }

 private:
  static constexpr std::size_t longest_text = std::numeric_limits<std::int32_t>::max();

  explicit sentencepiece_encoder(bool adds_space_prefix) : adds_space_prefix_(adds_space_prefix) {}

  /// Scores as ranks: 0 for the best, equal for equal scores.
  [[nodiscard]] static std::vector<std::uint32_t> ranks_of(std::span<const float> scores) {
    std::vector<float> sorted(scores.begin(), scores.end());
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    std::vector<std::uint32_t> ranks;
    ranks.reserve(scores.size());
    for (const float score : scores) {
      const auto first = std::lower_bound(sorted.begin(), sorted.end(), score, std::greater<>());
      ranks.push_back(static_cast<std::uint32_t>(first - sorted.begin()));
    }
    return ranks;
  }

  [[nodiscard]] static token plain_token(const vocabulary& words, std::string_view text) noexcept {
    const token id = words.find(text);
    return id != no_token && words.is_plain(id) ? id : no_token;
  }

  [[nodiscard]] symbol_chain::merged joined(const vocabulary& words, std::string_view text) const noexcept {
    if (text.size() > longest_) return {};
    const token id = plain_token(words, text);
    return id != no_token ? symbol_chain::merged{ranks_[index(id)], id} : symbol_chain::merged{};
  }

  /// Appends the byte tokens of a character, or else one unknown token; false when there is neither.
  [[nodiscard]] static bool append_bytes(const vocabulary& words, std::string_view text, std::vector<token>& tokens) {
    const std::size_t before = tokens.size();
    for (const char c : text) tokens.push_back(words.byte_token(static_cast<std::uint8_t>(c)));
    if (std::find(tokens.begin() + static_cast<std::ptrdiff_t>(before), tokens.end(), no_token) == tokens.end()) {
      return true;
    }
    tokens.resize(before);
    if (words.unknown() == no_token) return false;
    tokens.push_back(words.unknown());
    return true;
  }

  std::vector<std::uint32_t> ranks_;  // by token
  std::size_t longest_ = 0;
  bool adds_space_prefix_;
};

}  // namespace decant::inline DECANT_ABI

#endif
