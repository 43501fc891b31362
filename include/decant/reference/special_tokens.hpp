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
  /// Whether tokens of a kind are cut out of a text.
  [[nodiscard]] static constexpr bool is_special(token_kind kind) noexcept {
    return kind == token_kind::control || kind == token_kind::unknown || kind == token_kind::user_defined;
  }

  explicit special_tokens(const vocabulary& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto id = static_cast<token>(i);
      if (is_special(words.kind(id)) && words.find(words.text(id)) == id) by_text_.push_back(id);
    }
    std::sort(by_text_.begin(), by_text_.end(), [&](token a, token b) { return words.text(a) < words.text(b); });
  }

  /// The occurrences in `text`, the concatenation of `parts`, by position and without overlap. Longer tokens go first,
  /// then, among equally long ones, lower ids, then positions from left to right; whoever comes first takes its bytes.
  /// O(n) memory, whatever the vocabulary; O(n * longest token * log(special tokens)) time for n bytes unless many
  /// occurrences overlap.
  [[nodiscard]] std::vector<special_occurrence> find(const vocabulary& words, std::string_view text,
                                                     std::span<const text_part> parts) const {
    std::vector<candidate> queue = longest_everywhere(words, text, parts);
    std::vector<bool> taken(queue.empty() ? 0 : text.size(), false);
    std::vector<special_occurrence> found;
    std::make_heap(queue.begin(), queue.end(), comes_later);
    while (!queue.empty()) {
      std::pop_heap(queue.begin(), queue.end(), comes_later);
      candidate best = queue.back();
      queue.pop_back();
      const std::size_t end = free_end(taken, best.occurrence);
      if (end == best.occurrence.begin + best.occurrence.length) {
        std::fill_n(taken.begin() + static_cast<std::ptrdiff_t>(best.occurrence.begin), best.occurrence.length, true);
        found.push_back(best.occurrence);
        continue;
      }
      best.occurrence = longest_at(words, text.substr(0, end), best.occurrence.begin, best.markup_end);
      if (best.occurrence.length == 0) continue;
      queue.push_back(best);
      std::push_heap(queue.begin(), queue.end(), comes_later);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    return found;
  }

 private:
  /// The longest token at a place that may still be had; control tokens must end before `markup_end`.
  struct candidate {
    special_occurrence occurrence;
    std::size_t markup_end = 0;
  };

  [[nodiscard]] static bool comes_later(const candidate& a, const candidate& b) noexcept {
    if (a.occurrence.length != b.occurrence.length) return a.occurrence.length < b.occurrence.length;
    return std::tie(a.occurrence.id, a.occurrence.begin) > std::tie(b.occurrence.id, b.occurrence.begin);
  }

  [[nodiscard]] std::vector<candidate> longest_everywhere(const vocabulary& words, std::string_view text,
                                                          std::span<const text_part> parts) const {
    std::vector<candidate> candidates;
    std::size_t part_begin = 0;
    for (const text_part& part : parts) {
      const std::size_t part_end = part_begin + part.text.size();
      const std::size_t markup_end = part.is_markup ? part_end : 0;
      for (std::size_t at = part_begin; at < part_end; ++at) {
        const special_occurrence longest = longest_at(words, text, at, markup_end);
        if (longest.length > 0) candidates.push_back({longest, markup_end});
      }
      part_begin = part_end;
    }
    return candidates;
  }

  /// The longest token that stands at `at`, or an occurrence of length 0: narrows the sorted list to the tokens that
  /// share one more byte with the text until none is left. A token that has been read to its end is the first of its
  /// range.
  [[nodiscard]] special_occurrence longest_at(const vocabulary& words, std::string_view text, std::size_t at,
                                              std::size_t markup_end) const {
    special_occurrence longest{at, 0, no_token};
    auto first = by_text_.begin();
    auto last = by_text_.end();
    for (std::size_t depth = 0; first != last && at + depth < text.size(); ++depth) {
      const auto byte_of = [&](token id) { return static_cast<unsigned char>(words.text(id)[depth]); };
      const auto wanted = static_cast<unsigned char>(text[at + depth]);
      first = std::lower_bound(first, last, wanted, [&](token id, unsigned char byte) { return byte_of(id) < byte; });
      last = std::upper_bound(first, last, wanted, [&](unsigned char byte, token id) { return byte < byte_of(id); });
      if (first == last || words.text(*first).size() != depth + 1) continue;
      const bool counts = words.kind(*first) == token_kind::user_defined || at + depth < markup_end;
      if (counts) longest = {at, depth + 1, *first};
      ++first;
    }
    return longest;
  }

  /// The end of the bytes of an occurrence that nothing has taken yet.
  [[nodiscard]] static std::size_t free_end(const std::vector<bool>& taken,
                                            const special_occurrence& occurrence) noexcept {
    const auto begin = taken.begin() + static_cast<std::ptrdiff_t>(occurrence.begin);
    const auto end = begin + static_cast<std::ptrdiff_t>(occurrence.length);
    return static_cast<std::size_t>(std::find(begin, end, true) - taken.begin());
  }

  std::vector<token> by_text_;
};

}  // namespace decant::inline DECANT_ABI

#endif
