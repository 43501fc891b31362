// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From steps to a stream of text: cuts what belongs to a stop string, holds back bytes that may still become one, and
// never hands out half a UTF-8 character.
#ifndef DECANT_DECODE_TEXT_OUTPUT_HPP
#define DECANT_DECODE_TEXT_OUTPUT_HPP

#include <decant/decode/speculation.hpp>

namespace decant::inline DECANT_ABI {

/// Streams the text of one sequence. O(bytes); reuses its buffer.
class text_output {
 public:
  explicit text_output(token_bytes bytes) : bytes_(bytes) {}

  void reset() noexcept {
    pending_.clear();
    shown_ = 0;
  }

  /// The bytes that a step makes ready to be shown; everything that is left when the step ends the sequence. Valid
  /// until the next call.
  [[nodiscard]] std::span<const char> add(const decode_step& step) {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(shown_));
    shown_ = 0;
    for (const token t : step.tokens) {
      const std::span<const char> text = bytes_(t);
      pending_.insert(pending_.end(), text.begin(), text.end());
    }
    const std::size_t dropped = std::min(pending_.size(), step.dropped_bytes);
    pending_.erase(pending_.end() - static_cast<std::ptrdiff_t>(dropped), pending_.end());
    shown_ = step.finish != finish_reason::none ? pending_.size() : ready(step.held_back_bytes);
    return std::span<const char>(pending_).first(shown_);
  }

  /// The bytes still held back, for a sequence that ends without a last step (it was cancelled). Valid until the next
  /// call.
  [[nodiscard]] std::span<const char> rest() noexcept {
    const std::span<const char> left = std::span<const char>(pending_).subspan(shown_);
    shown_ = pending_.size();
    return left;
  }

 private:
  [[nodiscard]] std::size_t ready(std::size_t held_back) const noexcept {
    const std::size_t size = pending_.size() - std::min(pending_.size(), held_back);
    return size - incomplete_tail(std::span<const char>(pending_).first(size));
  }

  /// Length of a UTF-8 sequence that the text ends in the middle of, 0 when it ends on a border or is no UTF-8.
  [[nodiscard]] static std::size_t incomplete_tail(std::span<const char> text) noexcept {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
      const auto byte = static_cast<unsigned char>(text[text.size() - back]);
      if ((byte & 0xC0) == 0x80) continue;
      const std::size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
      return wanted > back ? back : 0;
    }
    return 0;
  }

  token_bytes bytes_;
  std::vector<char> pending_;
  std::size_t shown_ = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
