// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state of a step that looks at the end of the text: its last tokens, in order and contiguous.
#ifndef DECANT_SAMPLE_RECENT_TOKENS_HPP
#define DECANT_SAMPLE_RECENT_TOKENS_HPP

#include <decant/core/types.hpp>

#include <algorithm>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The last tokens of a text. Copying hands on the capacity too, so copying onto a used object and then pushing
/// allocates nothing unless a long history outgrows all that was seen before. A copy is one move of the tokens.
class recent_tokens {
 public:
  recent_tokens() = default;
  /// The last `length` tokens; 0 holds none, a negative length holds all.
  explicit recent_tokens(std::int32_t length) : length_(length) {
    tokens_.reserve(length < 0 ? reserve_at_most : std::min(2 * index(length), reserve_at_most));
  }
  recent_tokens(const recent_tokens& other) { *this = other; }
  recent_tokens(recent_tokens&&) noexcept = default;
  recent_tokens& operator=(recent_tokens&&) noexcept = default;
  recent_tokens& operator=(const recent_tokens& other) {
    if (this == &other) return *this;
    const token_span held = other.view();
    tokens_.clear();
    tokens_.reserve(other.tokens_.capacity());
    tokens_.assign(held.begin(), held.end());
    length_ = other.length_;
    return *this;
  }
  ~recent_tokens() = default;

  /// Adds a token. O(1) amortised: a bounded history moves its tokens to the front once in `length`.
  void push(token id) {
    if (length_ == 0) return;
    if (length_ > 0 && tokens_.size() == 2 * index(length_)) {
      tokens_.erase(tokens_.begin(), tokens_.end() - length_);
    }
    tokens_.push_back(id);
  }

  /// Forgets the text so far; memory stays.
  void clear() noexcept { tokens_.clear(); }

  /// The tokens, oldest first.
  [[nodiscard]] token_span view() const noexcept {
    const token_span all(tokens_);
    return length_ < 0 ? all : all.last(std::min(all.size(), index(length_)));
  }

  /// No future can tell them apart.
  friend bool operator==(const recent_tokens& a, const recent_tokens& b) {
    const token_span held = a.view();
    const token_span other = b.view();
    return a.length_ == b.length_ && std::equal(held.begin(), held.end(), other.begin(), other.end());
  }

 private:
  /// Longer histories grow as they fill.
  static constexpr std::size_t reserve_at_most = 1024;

  std::vector<token> tokens_;  ///< at most twice the length, so that they stay contiguous
  std::int32_t length_ = 0;
};

/// Whether a text ends with these tokens; with none it does.
[[nodiscard]] inline bool ends_with(token_span text, token_span tail) noexcept {
  return tail.size() <= text.size() && std::equal(tail.begin(), tail.end(), text.last(tail.size()).begin());
}

}  // namespace decant::inline DECANT_ABI

#endif
