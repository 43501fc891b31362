// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tokens of a byte-level vocabulary may end inside a character; a terminal or a socket wants whole ones.
#ifndef DECANT_REFERENCE_TEXT_STREAM_HPP
#define DECANT_REFERENCE_TEXT_STREAM_HPP

#include <decant/reference/utf8.hpp>

#include <string>
#include <string_view>

namespace decant::inline DECANT_ABI {

/// Turns the bytes of successive tokens into valid UTF-8: a character is given out once its last byte has arrived, and
/// bytes that can never become a character are given out as U+FFFD. At most 3 bytes are held back. The concatenation of
/// all outputs is what `append_valid_utf8` makes of the concatenation of all inputs.
class text_stream {
 public:
  /// Takes the bytes of one or more tokens and returns the text that is complete now. The view is valid until the next
  /// call. No allocation once the buffers have grown to the longest input.
  [[nodiscard]] std::string_view push(std::string_view bytes) {
    held_.append(bytes);
    const std::size_t tail = incomplete_utf8_tail(held_);
    return give_out(held_.size() - tail);
  }

  /// Ends the text: what is still held back becomes U+FFFD. The stream is then as new.
  [[nodiscard]] std::string_view finish() { return give_out(held_.size()); }

  /// Number of bytes held back, 0 to 3.
  [[nodiscard]] std::size_t held_back() const noexcept { return held_.size(); }

 private:
  std::string_view give_out(std::size_t size) {
    text_.clear();
    append_valid_utf8(text_, std::string_view(held_).substr(0, size));
    held_.erase(0, size);
    return text_;
  }

  std::string held_;
  std::string text_;
};

}  // namespace decant::inline DECANT_ABI

#endif
