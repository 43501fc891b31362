// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes GGUF version 3 files: for tests, and for tools that make models.
#ifndef DECANT_REFERENCE_GGUF_WRITER_HPP
#define DECANT_REFERENCE_GGUF_WRITER_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/reference/gguf_values.hpp>
#include <decant/reference/quantisation.hpp>
#include <decant/reference/tensor_type.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Collects metadata and tensors, in the order in which they are added, and lays them out as a file with the default
/// alignment of 32. It checks nothing: keys may repeat and shapes may lie, so that tests can write broken files.
class gguf_writer {
 public:
  /// Adds a scalar: bool, a number of any GGUF type, or text.
  template <class T>
  gguf_writer& set(std::string_view key, const T& value) {
    begin_entry(key, type_of<T>());
    put_element(entries_, value);
    return *this;
  }

  /// Adds an array of numbers or texts.
  template <class T>
  gguf_writer& set_array(std::string_view key, std::span<const T> values) {
    begin_entry(key, gguf_type::array);
    put(entries_, static_cast<std::uint32_t>(type_of<T>()));
    put(entries_, static_cast<std::uint64_t>(values.size()));
    for (const T& value : values) put_element(entries_, value);
    return *this;
  }
  template <class T>
  gguf_writer& set_array(std::string_view key, const std::vector<T>& values) {
    return set_array(key, std::span<const T>(values));
  }

  /// Adds an entry of another file as it is.
  gguf_writer& add(const gguf_entry& entry) {
    begin_entry(entry.name, entry.value.type);
    if (entry.value.is_array()) {
      put(entries_, static_cast<std::uint32_t>(entry.value.element_type));
      put(entries_, entry.value.count);
    }
    const std::span<const std::byte> bytes = entry.value.bytes();
    entries_.insert(entries_.end(), bytes.begin(), bytes.end());
    return *this;
  }

  /// Adds a tensor of any type from its bytes; `dimensions` begins with the contiguous one.
  gguf_writer& add_tensor(std::string_view name, tensor_type type, std::span<const std::uint64_t> dimensions,
                          std::span<const std::byte> bytes) {
    ++tensor_count_;
    put_text(tensors_, name);
    put(tensors_, static_cast<std::uint32_t>(dimensions.size()));
    for (const std::uint64_t dimension : dimensions) put(tensors_, dimension);
    put(tensors_, static_cast<std::uint32_t>(type));
    data_.resize(round_up(data_.size(), alignment));
    put(tensors_, static_cast<std::uint64_t>(data_.size()));
    data_.insert(data_.end(), bytes.begin(), bytes.end());
    return *this;
  }

  /// Adds a tensor of floats, quantised to `type`. Preconditions: `can_quantise(type)`, rows of whole blocks.
  gguf_writer& add_tensor(std::string_view name, tensor_type type, std::initializer_list<std::uint64_t> dimensions,
                          std::span<const float> values) {
    std::vector<std::byte> bytes(row_bytes(type, values.size()));
    quantise(type, values, bytes);
    return add_tensor(name, type, std::span<const std::uint64_t>(dimensions.begin(), dimensions.size()), bytes);
  }

  /// The whole file.
  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> file = head();
    file.insert(file.end(), data_.begin(), data_.end());
    return file;
  }

  /// Writes the file. Error: `file_unreadable` with the path.
  [[nodiscard]] result<void> write(const char* path) const {
    const std::vector<std::byte> start = head();
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(path, "wb"), &std::fclose);
    if (stream == nullptr) return error{error_code::file_unreadable, path};
    const auto put_all = [&](const std::vector<std::byte>& part) {
      return std::fwrite(part.data(), 1, part.size(), stream.get()) == part.size();
    };
    const bool complete = put_all(start) && put_all(data_);
    const bool closed = std::fclose(stream.release()) == 0;
    return complete && closed ? result<void>() : result<void>(error{error_code::file_unreadable, path});
  }

 private:
  static constexpr std::size_t alignment = 32;

  /// All that comes before the data of the tensors.
  [[nodiscard]] std::vector<std::byte> head() const {
    std::vector<std::byte> file;
    for (const char c : {'G', 'G', 'U', 'F'}) put(file, c);
    put(file, std::uint32_t{3});
    put(file, tensor_count_);
    put(file, entry_count_);
    file.insert(file.end(), entries_.begin(), entries_.end());
    file.insert(file.end(), tensors_.begin(), tensors_.end());
    file.resize(round_up(file.size(), alignment));
    return file;
  }

  template <class T>
  [[nodiscard]] static constexpr gguf_type type_of() noexcept {
    if constexpr (std::is_same_v<T, bool>)
      return gguf_type::boolean;
    else if constexpr (std::is_same_v<T, std::uint8_t>)
      return gguf_type::uint8;
    else if constexpr (std::is_same_v<T, std::int8_t>)
      return gguf_type::int8;
    else if constexpr (std::is_same_v<T, std::uint16_t>)
      return gguf_type::uint16;
    else if constexpr (std::is_same_v<T, std::int16_t>)
      return gguf_type::int16;
    else if constexpr (std::is_same_v<T, std::uint32_t>)
      return gguf_type::uint32;
    else if constexpr (std::is_same_v<T, std::int32_t>)
      return gguf_type::int32;
    else if constexpr (std::is_same_v<T, std::uint64_t>)
      return gguf_type::uint64;
    else if constexpr (std::is_same_v<T, std::int64_t>)
      return gguf_type::int64;
    else if constexpr (std::is_same_v<T, float>)
      return gguf_type::float32;
    else if constexpr (std::is_same_v<T, double>)
      return gguf_type::float64;
    else
      return gguf_type::string;
  }

  void begin_entry(std::string_view key, gguf_type type) {
    ++entry_count_;
    put_text(entries_, key);
    put(entries_, static_cast<std::uint32_t>(type));
  }

  template <class T>
  static void put_element(std::vector<std::byte>& out, const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      put(out, value);
    } else {
      put_text(out, value);
    }
  }

  static void put_text(std::vector<std::byte>& out, std::string_view text) {
    put(out, static_cast<std::uint64_t>(text.size()));
    for (const char c : text) put(out, c);
  }

  template <class T>
  static void put(std::vector<std::byte>& out, T value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(T));
    std::memcpy(out.data() + at, &value, sizeof(T));
  }

  std::uint64_t tensor_count_ = 0;
  std::uint64_t entry_count_ = 0;
  std::vector<std::byte> entries_;
  std::vector<std::byte> tensors_;
  std::vector<std::byte> data_;
};

}  // namespace decant::inline DECANT_ABI

#endif
