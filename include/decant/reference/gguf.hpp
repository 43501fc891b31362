// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// GGUF files, versions 2 and 3: metadata and tensors as views of the file's bytes. Every byte is taken for an
// attacker's: all arithmetic on declared sizes is checked, and nothing is allocated from a declared count that the
// remaining bytes could not hold.
#ifndef DECANT_REFERENCE_GGUF_HPP
#define DECANT_REFERENCE_GGUF_HPP

#include <decant/core/error.hpp>
#include <decant/reference/gguf_values.hpp>
#include <decant/reference/mapped_file.hpp>
#include <decant/reference/tensor_type.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A tensor of a file. `dimensions[0]` is the innermost (contiguous) axis, so a weight matrix of R rows and K columns
/// has dimensions {K, R, 1, 1}.
struct gguf_tensor {
  std::string_view name;
  tensor_type type = tensor_type::f32;
  std::uint32_t rank = 1;
  std::array<std::uint64_t, 4> dimensions{1, 1, 1, 1};
  std::uint64_t offset = 0;          ///< from the start of the data section
  std::span<const std::byte> bytes;  ///< exactly the tensor's bytes
};

/// Metadata and tensors of a GGUF file. All views point into the file's bytes and live as long as this object (or, for
/// `parse`, as long as the caller's bytes); moving the object does not invalidate them.
///
/// Errors name the culprit: `file_truncated` where the file ends early, `file_malformed` where it breaks the format,
/// `unsupported` for tensor types, versions and split files that this reader does not know.
class gguf_file {
 public:
  /// Opens and checks a file. O(size of header).
  [[nodiscard]] static result<gguf_file> open(const char* path, file_mode mode = file_mode::map) {
    result<mapped_file> storage = mapped_file::open(path, mode);
    if (!storage) return storage.error();
    result<gguf_file> file = parse(storage->bytes());
    if (file) file->storage_ = std::move(*storage);
    return file;
  }

  /// Checks a file that lies in memory; the bytes must outlive the result.
  [[nodiscard]] static result<gguf_file> parse(std::span<const std::byte> bytes);

  [[nodiscard]] std::uint32_t version() const noexcept { return version_; }
  [[nodiscard]] std::uint64_t alignment() const noexcept { return alignment_; }

  /// All metadata entries in file order.
  [[nodiscard]] std::span<const gguf_entry> entries() const noexcept { return entries_; }
  /// All tensors in file order.
  [[nodiscard]] std::span<const gguf_tensor> tensors() const noexcept { return tensors_; }

  /// The value of a key, or null. O(log n).
  [[nodiscard]] const gguf_value* find(std::string_view key) const noexcept {
    const gguf_entry* entry = lookup(entries_, entry_order_, key);
    return entry == nullptr ? nullptr : &entry->value;
  }
  [[nodiscard]] bool has(std::string_view key) const noexcept { return find(key) != nullptr; }

  /// The tensor of a name, or null. O(log n).
  [[nodiscard]] const gguf_tensor* tensor(std::string_view name) const noexcept {
    return lookup(tensors_, tensor_order_, name);
  }

  /// The value of a key as `T`: bool, any integer type, float, double, std::string_view, or std::vector of any of
  /// these. Integers of every width convert when the value fits, floats of both widths convert. A missing key, another
  /// kind of value or a number out of range is `file_malformed` and names the key. Arrays are copied; strings are
  /// views.
  template <class T>
  [[nodiscard]] result<T> get(std::string_view key) const {
    const gguf_value* value = find(key);
    if (value == nullptr) return gguf_error(error_code::file_malformed, "metadata key is missing: ", key);
    T converted{};
    if (!value->convert(converted)) {
      return gguf_error(error_code::file_malformed, "metadata value has the wrong type or range: ", key);
    }
    return converted;
  }

  /// As `get`, but a missing key gives `fallback`.
  template <class T>
  [[nodiscard]] result<T> get_or(std::string_view key, T fallback) const {
    return has(key) ? get<T>(key) : result<T>(std::move(fallback));
  }

 private:
  template <class Item>
  [[nodiscard]] static const Item* lookup(const std::vector<Item>& items, const std::vector<std::uint32_t>& order,
                                          std::string_view name) noexcept {
    const auto less = [&](std::uint32_t i, std::string_view wanted) { return items[i].name < wanted; };
    const auto found = std::lower_bound(order.begin(), order.end(), name, less);
    return found != order.end() && items[*found].name == name ? &items[*found] : nullptr;
  }

  friend class gguf_parser;

  mapped_file storage_;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32;
  std::vector<gguf_entry> entries_;
  std::vector<gguf_tensor> tensors_;
  std::vector<std::uint32_t> entry_order_;   // indices of entries_, by name
  std::vector<std::uint32_t> tensor_order_;  // indices of tensors_, by name
};

/// Limits of the reader; a file beyond one of them is refused.
struct gguf_limits {
  static constexpr std::uint64_t tensors = 65536;
  static constexpr std::uint64_t entries = 65536;
  static constexpr std::uint64_t key_bytes = 65535;
  static constexpr std::uint64_t tensor_name_bytes = 63;
  static constexpr std::uint64_t string_bytes = std::uint64_t{1} << 24;
  static constexpr std::uint64_t dimension = std::uint64_t{1} << 40;
  static constexpr std::uint64_t smallest_alignment = 8;
  static constexpr std::uint64_t largest_alignment = std::uint64_t{1} << 20;
};

/// One pass over a file's header. Use `gguf_file::open` or `gguf_file::parse`.
class gguf_parser {
 public:
  explicit gguf_parser(std::span<const std::byte> bytes) noexcept : cursor_(bytes) {}

  [[nodiscard]] result<void> run(gguf_file& file) {
    if (const auto done = read_header(file); !done) return done;
    if (const auto done = read_entries(file); !done) return done;
    if (const auto done = check_entries(file); !done) return done;
    if (const auto done = read_tensor_infos(file); !done) return done;
    return place_tensors(file);
  }

 private:
  [[nodiscard]] result<void> read_header(gguf_file& file) {
    constexpr std::string_view magic = "GGUF";
    const std::string_view start = cursor_.text().substr(0, magic.size());
    if (start != magic.substr(0, start.size())) return error{error_code::file_malformed, "not a GGUF file"};
    if (!cursor_.skip(magic.size())) return truncated("the header");
    if (!cursor_.read(file.version_)) return truncated("the header");
    if (file.version_ != 0 && (file.version_ & 0xFFFFU) == 0) {
      return error{error_code::unsupported, "a big-endian GGUF file"};
    }
    if (file.version_ != 2 && file.version_ != 3) {
      return error{error_code::unsupported, fixed_text<118>("GGUF version ").append_number(file.version_)};
    }
    if (!cursor_.read(tensor_count_) || !cursor_.read(entry_count_)) return truncated("the header");
    if (tensor_count_ > gguf_limits::tensors) return error{error_code::file_too_large, "the count of tensors"};
    if (entry_count_ > gguf_limits::entries) return error{error_code::file_too_large, "the count of metadata keys"};
    constexpr std::uint64_t smallest_tensor_info = 8 + 1 + 4 + 8 + 4 + 8;
    constexpr std::uint64_t smallest_entry = 8 + 1 + 4 + 1;
    const std::uint64_t least = tensor_count_ * smallest_tensor_info + entry_count_ * smallest_entry;
    if (least > cursor_.remaining()) return truncated("the metadata or tensor list");
    return {};
  }

  [[nodiscard]] result<void> read_entries(gguf_file& file) {
    file.entries_.reserve(entry_count_);
    for (std::uint64_t i = 0; i < entry_count_; ++i) {
      gguf_entry entry;
      if (const auto done = read_name(entry.name, gguf_limits::key_bytes, "a metadata key"); !done) return done;
      if (const auto done = read_value(entry); !done) return done;
      file.entries_.push_back(entry);
    }
    return index_names(file.entries_, file.entry_order_, "metadata key appears twice: ");
  }

  [[nodiscard]] result<void> read_name(std::string_view& name, std::uint64_t limit, const char* what) {
    std::uint64_t size = 0;
    if (!cursor_.read(size)) return truncated(what);
    if (size == 0 || size > limit) {
      return error{error_code::file_malformed, fixed_text<118>("the length of ").append(what)};
    }
    if (!cursor_.read_bytes(size, name)) return truncated(what);
    const auto printable = [](char c) { return c > ' ' && c <= '~'; };
    if (!std::all_of(name.begin(), name.end(), printable)) {
      return gguf_error(error_code::file_malformed, "name is not printable ASCII: ", name);
    }
    return {};
  }

  [[nodiscard]] result<void> read_value(gguf_entry& entry) {
    gguf_value& value = entry.value;
    std::uint32_t type = 0;
    if (!cursor_.read(type)) return truncated("a metadata value");
    if (!is_gguf_type(type))
      return gguf_error(error_code::file_malformed, "unknown type of metadata value: ", entry.name);
    value.type = static_cast<gguf_type>(type);
    value.element_type = value.type;
    value.count = 1;
    if (value.type == gguf_type::array) {
      if (const auto done = read_array_header(entry); !done) return done;
    }
    return read_elements(entry);
  }

  [[nodiscard]] result<void> read_array_header(gguf_entry& entry) {
    std::uint32_t type = 0;
    if (!cursor_.read(type)) return truncated("a metadata array");
    if (!is_gguf_type(type) || static_cast<gguf_type>(type) == gguf_type::array) {
      return gguf_error(error_code::file_malformed, "unusable element type of metadata array: ", entry.name);
    }
    entry.value.element_type = static_cast<gguf_type>(type);
    if (!cursor_.read(entry.value.count)) return truncated("a metadata array");
    if (entry.value.count > cursor_.remaining() / smallest_size(entry.value.element_type)) {
      return gguf_error(error_code::file_truncated, "metadata array is longer than the file: ", entry.name);
    }
    return {};
  }

  [[nodiscard]] result<void> read_elements(gguf_entry& entry) {
    gguf_value& value = entry.value;
    value.data = cursor_.position();
    if (value.element_type != gguf_type::string) {
      const std::uint64_t size = value.count * smallest_size(value.element_type);  // bounded by the check of the count
      std::string_view bytes;
      if (!cursor_.read_bytes(size, bytes)) return truncated("a metadata value");
      const auto is_flag = [](char c) { return c == 0 || c == 1; };
      if (value.element_type == gguf_type::boolean && !std::all_of(bytes.begin(), bytes.end(), is_flag)) {
        return gguf_error(error_code::file_malformed, "boolean is neither 0 nor 1: ", entry.name);
      }
      return {};
    }
    for (std::uint64_t i = 0; i < value.count; ++i) {
      std::uint64_t size = 0;
      std::string_view text;
      if (!cursor_.read(size)) return truncated("a metadata string");
      if (size > gguf_limits::string_bytes) {
        return gguf_error(error_code::file_malformed, "metadata string is too long: ", entry.name);
      }
      if (!cursor_.read_bytes(size, text)) return truncated("a metadata string");
    }
    return {};
  }

  [[nodiscard]] static result<void> check_entries(gguf_file& file) {
    if (const gguf_value* alignment = file.find("general.alignment"); alignment != nullptr) {
      if (alignment->type != gguf_type::uint32 || !alignment->convert(file.alignment_)) {
        return error{error_code::file_malformed, "general.alignment is not a 32-bit unsigned integer"};
      }
      const bool power_of_two = (file.alignment_ & (file.alignment_ - 1)) == 0;
      if (!power_of_two || file.alignment_ < gguf_limits::smallest_alignment ||
          file.alignment_ > gguf_limits::largest_alignment) {
        return error{error_code::file_malformed, "general.alignment is not a power of two from 8 to 1048576"};
      }
    }
    const auto parts = file.get_or<std::uint64_t>("split.count", 0);
    if (!parts) return parts.error();
    if (*parts > 1) return error{error_code::unsupported, "a model that is split over several files"};
    return {};
  }

  [[nodiscard]] result<void> read_tensor_infos(gguf_file& file) {
    file.tensors_.reserve(tensor_count_);
    for (std::uint64_t i = 0; i < tensor_count_; ++i) {
      gguf_tensor tensor;
      if (const auto done = read_name(tensor.name, gguf_limits::tensor_name_bytes, "a tensor name"); !done) return done;
      if (const auto done = read_tensor_info(tensor); !done) return done;
      file.tensors_.push_back(tensor);
    }
    return index_names(file.tensors_, file.tensor_order_, "tensor appears twice: ");
  }

  [[nodiscard]] result<void> read_tensor_info(gguf_tensor& tensor) {
    if (!cursor_.read(tensor.rank)) return truncated("the tensor list");
    if (tensor.rank < 1 || tensor.rank > tensor.dimensions.size()) {
      return gguf_error(error_code::file_malformed, "tensor does not have 1 to 4 dimensions: ", tensor.name);
    }
    for (std::uint32_t d = 0; d < tensor.rank; ++d) {
      if (!cursor_.read(tensor.dimensions[d])) return truncated("the tensor list");
      if (tensor.dimensions[d] < 1 || tensor.dimensions[d] > gguf_limits::dimension) {
        return gguf_error(error_code::file_malformed, "a dimension is out of range in tensor: ", tensor.name);
      }
    }
    std::uint32_t type = 0;
    if (!cursor_.read(type) || !cursor_.read(tensor.offset)) return truncated("the tensor list");
    tensor.type = static_cast<tensor_type>(type);
    const tensor_type_traits traits = traits_of(tensor.type);
    if (traits.block_elements == 0) {
      fixed_text<118> detail("tensor type ");
      return error{error_code::unsupported,
                   detail.append_number(type).append(" of ").append(tensor.name.data(), tensor.name.size())};
    }
    if (tensor.dimensions[0] % traits.block_elements != 0) {
      return gguf_error(error_code::file_malformed, "rows are not whole blocks in tensor: ", tensor.name);
    }
    return {};
  }

  [[nodiscard]] result<void> place_tensors(gguf_file& file) {
    if (tensor_count_ == 0) return {};
    const std::uint64_t header = cursor_.consumed();
    const std::uint64_t start = (header + file.alignment_ - 1) / file.alignment_ * file.alignment_;
    if (start > cursor_.all().size()) return truncated("the padding before the tensors");
    const std::span<const std::byte> section = cursor_.all().subspan(start);
    for (gguf_tensor& tensor : file.tensors_) {
      std::uint64_t size = 0;
      if (!checked_size(tensor, size)) {
        return gguf_error(error_code::file_malformed, "size overflows in tensor: ", tensor.name);
      }
      if (tensor.offset % file.alignment_ != 0) {
        return gguf_error(error_code::file_malformed, "data is not aligned in tensor: ", tensor.name);
      }
      if (tensor.offset > section.size() || size > section.size() - tensor.offset) {
        return gguf_error(error_code::file_truncated, "data lies beyond the end of the file in tensor: ", tensor.name);
      }
      tensor.bytes = section.subspan(tensor.offset, size);
    }
    return check_overlaps(file);
  }

  [[nodiscard]] static bool checked_size(const gguf_tensor& tensor, std::uint64_t& size) noexcept {
    const tensor_type_traits traits = traits_of(tensor.type);
    size = tensor.dimensions[0] / traits.block_elements;
    for (std::size_t d = 1; d < tensor.dimensions.size(); ++d) {
      if (!checked_multiply(size, tensor.dimensions[d], size)) return false;
    }
    return checked_multiply(size, traits.block_bytes, size);
  }

  [[nodiscard]] static bool checked_multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& product) noexcept {
    if (b != 0 && a > UINT64_MAX / b) return false;
    product = a * b;
    return true;
  }

  [[nodiscard]] static result<void> check_overlaps(const gguf_file& file) {
    std::vector<const gguf_tensor*> by_offset;
    by_offset.reserve(file.tensors_.size());
    for (const gguf_tensor& tensor : file.tensors_) by_offset.push_back(&tensor);
    std::sort(by_offset.begin(), by_offset.end(),
              [](const gguf_tensor* a, const gguf_tensor* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < by_offset.size(); ++i) {
      if (by_offset[i]->offset < by_offset[i - 1]->offset + by_offset[i - 1]->bytes.size()) {
        return gguf_error(error_code::file_malformed, "data overlaps another tensor in tensor: ", by_offset[i]->name);
      }
    }
    return {};
  }

  template <class Item>
  [[nodiscard]] static result<void> index_names(const std::vector<Item>& items, std::vector<std::uint32_t>& order,
                                                const char* complaint) {
    order.resize(items.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return items[a].name < items[b].name; });
    const auto twice = std::adjacent_find(
        order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return items[a].name == items[b].name; });
    if (twice != order.end()) return gguf_error(error_code::file_malformed, complaint, items[*twice].name);
    return {};
  }

  [[nodiscard]] static error truncated(const char* where) noexcept {
    return {error_code::file_truncated, fixed_text<118>("it ends inside ").append(where)};
  }

  gguf_cursor cursor_;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t entry_count_ = 0;
};

inline result<gguf_file> gguf_file::parse(std::span<const std::byte> bytes) {
  gguf_file file;
  const result<void> done = gguf_parser(bytes).run(file);
  if (!done) return done.error();
  return file;
}

}  // namespace decant::inline DECANT_ABI

#endif
