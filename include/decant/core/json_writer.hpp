// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes JSON into a reused character buffer: statistics and traces, one object per line. No reader, no DOM.
#ifndef DECANT_CORE_JSON_WRITER_HPP
#define DECANT_CORE_JSON_WRITER_HPP

#include <decant/config.hpp>

#include <charconv>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Appends JSON to an own buffer. Commas are placed by the writer; nesting is the caller's duty. After warm-up nothing
/// allocates. Doubles are written shortest-round-trip; NaN and infinities, which JSON lacks, as null.
class json_writer {
 public:
  void clear() noexcept {
    text_.clear();
    needs_comma_ = false;
  }
  [[nodiscard]] std::span<const char> text() const noexcept { return text_; }

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }
  /// Ends a line of a JSON-lines file.
  json_writer& end_line() {
    put('\n');
    needs_comma_ = false;
    return *this;
  }

  json_writer& key(const char* name) {
    string(name, std::strlen(name));
    put(':');
    needs_comma_ = false;
    return *this;
  }

  template <std::integral Number>
  json_writer& value(Number number) {
    separate();
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.insert(text_.end(), digits, end);
    return *this;
  }
  json_writer& value(double number) {
    if (!(number - number == 0)) return null();
    separate();
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.insert(text_.end(), digits, end);
    return *this;
  }
  json_writer& value(bool truth) {
    separate();
    return raw(truth ? "true" : "false");
  }
  json_writer& value(const char* text) { return string(text, std::strlen(text)); }
  json_writer& null() {
    separate();
    return raw("null");
  }
  /// A string; quotes, backslashes and control characters are escaped, other bytes pass as they are (UTF-8).
  json_writer& string(const char* text, std::size_t size) {
    separate();
    put('"');
    for (std::size_t i = 0; i < size; ++i) escape(text[i]);
    put('"');
    return *this;
  }

  template <class Value>
  json_writer& field(const char* name, Value value_of_field) {
    return key(name).value(value_of_field);
  }
  template <class Values>
  json_writer& array_field(const char* name, const Values& values) {
    key(name).begin_array();
    for (const auto& one : values) value(one);
    return end_array();
  }

 private:
  json_writer& open(char bracket) {
    separate();
    put(bracket);
    needs_comma_ = false;
    return *this;
  }
  json_writer& close(char bracket) {
    put(bracket);
    needs_comma_ = true;
    return *this;
  }
  void separate() {
    if (needs_comma_) put(',');
    needs_comma_ = true;
  }
  void put(char c) { text_.push_back(c); }
  json_writer& raw(const char* text) {
    text_.insert(text_.end(), text, text + std::strlen(text));
    return *this;
  }
  void escape(char c) {
    constexpr char hex[] = "0123456789abcdef";
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      put('\\');
      put(c);
    } else if (code < 0x20) {
      raw("\\u00");
      put(hex[code >> 4]);
      put(hex[code & 15]);
    } else {
      put(c);
    }
  }

  std::vector<char> text_;
  bool needs_comma_ = false;
};

}  // namespace decant::inline DECANT_ABI

#endif
