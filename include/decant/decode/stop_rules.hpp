// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// When a sequence ends: end-of-sequence tokens, stop strings matched on bytes across token borders, a token limit, the
// context's edge. Rules are parameters; what has been matched so far is a small state that is copied along a step and
// committed only with it.
#ifndef DECANT_DECODE_STOP_RULES_HPP
#define DECANT_DECODE_STOP_RULES_HPP

#include <decant/core/token_bytes.hpp>

#include <algorithm>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Why a sequence ended.
enum class finish_reason : std::uint8_t {
  none,             ///< it goes on
  end_of_sequence,  ///< a token of the end-of-sequence set was emitted
  stop_string,      ///< a stop string is complete
  token_limit,      ///< the allowed number of tokens has been emitted
  context_full,     ///< the context has no room for another token
  cancelled         ///< the caller asked to stop
};

[[nodiscard]] constexpr const char* name(finish_reason reason) noexcept {
  switch (reason) {
    case finish_reason::none: return "none";
    case finish_reason::end_of_sequence: return "end of sequence";
    case finish_reason::stop_string: return "stop string";
    case finish_reason::token_limit: return "token limit";
    case finish_reason::context_full: return "context full";
    case finish_reason::cancelled: return "cancelled";
  }
  return "unknown";
}

/// A set of stop strings, each with its Knuth-Morris-Pratt table. Matching costs O(strings) amortised per byte.
class stop_strings {
 public:
  /// Adds a stop string; empty ones are ignored.
  void add(std::span<const char> text) {
    if (text.empty()) return;
    pattern added{static_cast<std::int32_t>(bytes_.size()), static_cast<std::int32_t>(text.size())};
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    failure_.resize(bytes_.size());
    std::int32_t matched = 0;
    failure_[index(added.first)] = 0;
    for (std::int32_t i = 1; i < added.size; ++i) {
      matched = advance(added, matched, byte(added, i));
      failure_[index(added.first + i)] = matched;
    }
    patterns_.push_back(added);
  }

  [[nodiscard]] bool empty() const noexcept { return patterns_.empty(); }

  /// How many bytes of each string the text ends with.
  using state = std::vector<std::int32_t>;
  void reset(state& s) const { s.assign(patterns_.size(), 0); }

  /// Feeds bytes until a string is complete. Returns the number of bytes at the end of the text so far (these included)
  /// that do not belong to it any more, the stop string and what follows it in `text`; 0 when none is complete. Of
  /// several strings that end at the same byte the longest counts.
  [[nodiscard]] std::size_t feed(state& s, std::span<const char> text) const {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::int32_t longest = 0;
      for (std::size_t k = 0; k < patterns_.size(); ++k) {
        s[k] = advance(patterns_[k], s[k], text[i]);
        if (s[k] == patterns_[k].size) longest = std::max(longest, s[k]);
      }
      if (longest > 0) return index(longest) + text.size() - i - 1;
    }
    return 0;
  }

  /// Bytes at the end of the text that may still turn out to begin a stop string: a stream holds them back.
  [[nodiscard]] static std::size_t held_back(const state& s) noexcept {
    return s.empty() ? 0 : index(*std::max_element(s.begin(), s.end()));
  }

 private:
  struct pattern {
    std::int32_t first;
    std::int32_t size;
  };

  [[nodiscard]] char byte(const pattern& p, std::int32_t i) const noexcept { return bytes_[index(p.first + i)]; }

  [[nodiscard]] std::int32_t advance(const pattern& p, std::int32_t matched, char next) const noexcept {
    while (matched > 0 && (matched == p.size || byte(p, matched) != next)) {
      matched = failure_[index(p.first + matched - 1)];
    }
    return byte(p, matched) == next ? matched + 1 : 0;
  }

  std::vector<char> bytes_;
  std::vector<std::int32_t> failure_;
  std::vector<pattern> patterns_;
};

}  // namespace decant::inline DECANT_ABI

#endif
