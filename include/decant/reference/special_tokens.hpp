// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finding the tokens that are cut out of a text before anything else is done with it.
#ifndef DECANT_REFERENCE_SPECIAL_TOKENS_HPP
#define DECANT_REFERENCE_SPECIAL_TOKENS_HPP

#include <decant/core/types.hpp>
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A part of a text to encode. Control tokens are recognised in markup only: what users write cannot forge the end of
/// their own turn.
struct text_part {
  std::string_view text;
  bool is_markup = false;
};

/// An occurrence of a special token in a text, in bytes.
struct special_occurrence {
  std::size_t begin = 0;
  std::size_t length = 0;
  token id = no_token;

  friend constexpr bool operator==(const special_occurrence&, const special_occurrence&) = default;
};

/// The special tokens of a vocabulary: control and unknown tokens, which count in markup, and user-defined ones, which
/// count everywhere. Refers to the vocabulary by its ids and texts; give the same one to every call.
class special_tokens {
 public:
  explicit special_tokens(const vocabulary& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto id = static_cast<token>(i);
      if (is_special(words.kind(id)) && words.find(words.text(id)) == id) by_text_.push_back(id);
    }
    std::sort(by_text_.begin(), by_text_.end(), [&](token a, token b) { return words.text(a) < words.text(b); });
  }

  /// The occurrences in `text`, the concatenation of `parts`, by position and without overlap. Longer tokens go first,
  /// then, among equally long ones, lower ids, then positions from left to right; whoever comes first takes its bytes.
  /// O(n * longest token * log(special tokens)) for n bytes, whatever the vocabulary.
  [[nodiscard]] std::vector<special_occurrence> find(const vocabulary& words, std::string_view text,
                                                     std::span<const text_part> parts) const {
    std::vector<special_occurrence> found;
    std::size_t part_begin = 0;
    for (const text_part& part : parts) {
      const std::size_t part_end = part_begin + part.text.size();
      for (std::size_t at = part_begin; at < part_end; ++at) {
        collect(words, text, at, part.is_markup ? part_end : 0, found);
      }
      part_begin = part_end;
    }
    return without_overlaps(std::move(found), text.size());
  }

 private:
  [[nodiscard]] static bool is_special(token_kind kind) noexcept {
    return kind == token_kind::control || kind == token_kind::unknown || kind == token_kind::user_defined;
  }

  /// Adds every token that stands at `at`: narrows the sorted list to the tokens that share one more byte with the text
  /// until none is left. A token that has been read to its end is the first of its range.
  void collect(const vocabulary& words, std::string_view text, std::size_t at, std::size_t markup_end,
               std::vector<special_occurrence>& found) const {
    auto first = by_text_.begin();
    auto last = by_text_.end();
    for (std::size_t depth = 0; first != last && at + depth < text.size(); ++depth) {
      const auto byte_of = [&](token id) { return static_cast<unsigned char>(words.text(id)[depth]); };
      const auto wanted = static_cast<unsigned char>(text[at + depth]);
      first = std::lower_bound(first, last, wanted, [&](token id, unsigned char byte) { return byte_of(id) < byte; });
      last = std::upper_bound(first, last, wanted, [&](unsigned char byte, token id) { return byte < byte_of(id); });
      if (first == last || words.text(*first).size() != depth + 1) continue;
      const bool counts = words.kind(*first) == token_kind::user_defined || at + depth < markup_end;
      if (counts) found.push_back({at, depth + 1, *first});
      ++first;
    }
  }

  [[nodiscard]] static std::vector<special_occurrence> without_overlaps(std::vector<special_occurrence> found,
                                                                        std::size_t text_size) {
    if (found.empty()) return found;
    const auto rank = [](const special_occurrence& o) { return std::tuple(text_limit - o.length, o.id, o.begin); };
    std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });

    std::vector<bool> taken(text_size, false);
    // No longer occurrence lies inside a shorter one, so an overlap always covers its first or its last byte.
    const auto is_free = [&](const special_occurrence& o) { return !taken[o.begin] && !taken[o.begin + o.length - 1]; };
    std::vector<special_occurrence> kept;
    for (const special_occurrence& o : found) {
      if (!is_free(o)) continue;
      std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(o.begin), o.length, true);
      kept.push_back(o);
    }
    std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    return kept;
  }

  static constexpr std::size_t text_limit = static_cast<std::size_t>(-1);

  std::vector<token> by_text_;
};

}  // namespace decant::inline DECANT_ABI

#endif
