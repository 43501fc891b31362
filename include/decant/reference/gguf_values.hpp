// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Metadata values of GGUF files, and the bounds-checked cursor that reads them.
#ifndef DECANT_REFERENCE_GGUF_VALUES_HPP
#define DECANT_REFERENCE_GGUF_VALUES_HPP

#include <decant/core/error.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

static_assert(std::endian::native == std::endian::little, "The GGUF reader needs a little-endian machine.");

/// Type of a metadata value; the values are those of the file format.
enum class gguf_type : std::uint32_t {
  uint8 = 0,
  int8 = 1,
  uint16 = 2,
  int16 = 3,
  uint32 = 4,
  int32 = 5,
  float32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  uint64 = 10,
  int64 = 11,
  float64 = 12,
};

[[nodiscard]] constexpr bool is_gguf_type(std::uint32_t id) noexcept { return id <= 12; }

/// Bytes of a scalar; for strings the bytes of an empty one.
[[nodiscard]] constexpr std::uint64_t smallest_size(gguf_type type) noexcept {
  switch (type) {
    case gguf_type::uint8:
    case gguf_type::int8:
    case gguf_type::boolean: return 1;
    case gguf_type::uint16:
    case gguf_type::int16: return 2;
    case gguf_type::uint32:
    case gguf_type::int32:
    case gguf_type::float32: return 4;
    case gguf_type::string:
    case gguf_type::uint64:
    case gguf_type::int64:
    case gguf_type::float64: return 8;
    case gguf_type::array: break;
  }
  return 12;
}

/// An error whose detail is a fixed phrase and a name out of the file, with unprintable bytes shown as '?'.
[[nodiscard]] inline error gguf_error(error_code code, const char* phrase, std::string_view name) noexcept {
  fixed_text<118> detail(phrase);
  for (const char c : name) {
    const char shown = c >= ' ' && c <= '~' ? c : '?';
    detail.append(&shown, 1);
  }
  return {code, detail};
}

/// Reads little-endian values from bytes, never beyond their end.
class gguf_cursor {
 public:
  explicit gguf_cursor(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] std::span<const std::byte> all() const noexcept { return bytes_; }
  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }
  [[nodiscard]] std::uint64_t remaining() const noexcept { return bytes_.size() - consumed_; }
  [[nodiscard]] const std::byte* position() const noexcept { return bytes_.data() + consumed_; }
  /// What is left, as characters.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(position()), static_cast<std::size_t>(remaining())};
  }

  [[nodiscard]] bool skip(std::uint64_t size) noexcept {
    if (size > remaining()) return false;
    consumed_ += size;
    return true;
  }

  template <class T>
  [[nodiscard]] bool read(T& value) noexcept {
    static_assert(std::is_arithmetic_v<T>);
    if (sizeof(T) > remaining()) return false;
    std::memcpy(&value, position(), sizeof(T));
    return skip(sizeof(T));
  }

  [[nodiscard]] bool read_bytes(std::uint64_t size, std::string_view& view) noexcept {
    if (size > remaining()) return false;
    view = text().substr(0, static_cast<std::size_t>(size));
    return skip(size);
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t consumed_ = 0;
};

/// A checked metadata value: `count` elements of `element_type` that lie at `data` in the file.
struct gguf_value {
  gguf_type type = gguf_type::uint8;          ///< `array` for arrays
  gguf_type element_type = gguf_type::uint8;  ///< equals `type` for scalars
  std::uint64_t count = 0;                    ///< 1 for scalars
  const std::byte* data = nullptr;

  [[nodiscard]] bool is_array() const noexcept { return type == gguf_type::array; }

  /// The elements as they are in the file. O(1), for texts O(count).
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
    const std::byte* end = data;
    if (element_type != gguf_type::string) end += count * smallest_size(element_type);
    for (std::uint64_t i = 0; element_type == gguf_type::string && i < count; ++i) {
      const auto size = take<std::uint64_t>(end);
      end += size;
    }
    return {data, end};
  }

  /// Converts a scalar to bool, an integer type, float, double or std::string_view. False when the kinds differ or the
  /// number does not fit; `out` is then unspecified.
  template <class T>
  [[nodiscard]] bool convert(T& out) const {
    if (is_array()) return false;
    const std::byte* at = data;
    return convert_element(at, out);
  }

  /// Converts an array, element by element.
  template <class T>
  [[nodiscard]] bool convert(std::vector<T>& out) const {
    if (!is_array()) return false;
    out.clear();
    out.reserve(static_cast<std::size_t>(count));
    const std::byte* at = data;
    for (std::uint64_t i = 0; i < count; ++i) {
      T element{};
      if (!convert_element(at, element)) return false;
      out.push_back(element);
    }
    return true;
  }

 private:
  template <class T>
  [[nodiscard]] bool convert_element(const std::byte*& at, T& out) const {
    if constexpr (std::is_same_v<T, std::string_view>) {
      if (element_type != gguf_type::string) return false;
      const auto size = static_cast<std::size_t>(take<std::uint64_t>(at));
      out = std::string_view(reinterpret_cast<const char*>(at), size);
      at += size;
      return true;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (element_type != gguf_type::boolean) return false;
      out = take<std::uint8_t>(at) != 0;
      return true;
    } else {
      static_assert(std::is_arithmetic_v<T>,
                    "Metadata converts to numbers, bool, std::string_view and vectors of these.");
      return convert_number(at, out);
    }
  }

  template <class T>
  [[nodiscard]] bool convert_number(const std::byte*& at, T& out) const {
    switch (element_type) {
      case gguf_type::uint8: return narrow(take<std::uint8_t>(at), out);
      case gguf_type::int8: return narrow(take<std::int8_t>(at), out);
      case gguf_type::uint16: return narrow(take<std::uint16_t>(at), out);
      case gguf_type::int16: return narrow(take<std::int16_t>(at), out);
      case gguf_type::uint32: return narrow(take<std::uint32_t>(at), out);
      case gguf_type::int32: return narrow(take<std::int32_t>(at), out);
      case gguf_type::uint64: return narrow(take<std::uint64_t>(at), out);
      case gguf_type::int64: return narrow(take<std::int64_t>(at), out);
      case gguf_type::float32: return narrow(take<float>(at), out);
      case gguf_type::float64: return narrow(take<double>(at), out);
      case gguf_type::boolean:
      case gguf_type::string:
      case gguf_type::array: break;
    }
    return false;
  }

  template <class From, class To>
  [[nodiscard]] static bool narrow(From from, To& to) noexcept {
    if constexpr (std::is_floating_point_v<From> != std::is_floating_point_v<To>) {
      return false;
    } else {
      to = static_cast<To>(from);
      if constexpr (std::is_integral_v<To>) return std::in_range<To>(from);
      return true;
    }
  }

  template <class T>
  [[nodiscard]] static T take(const std::byte*& at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof(T));
    at += sizeof(T);
    return value;
  }
};

/// A metadata key and its value.
struct gguf_entry {
  std::string_view name;
  gguf_value value;
};

}  // namespace decant::inline DECANT_ABI

#endif
