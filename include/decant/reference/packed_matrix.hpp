// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weight matrices in the layout that the kernels read: rows in interleaved groups of 16.
#ifndef DECANT_REFERENCE_PACKED_MATRIX_HPP
#define DECANT_REFERENCE_PACKED_MATRIX_HPP

#include <decant/reference/aligned_buffer.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/kernel_table.hpp>
#include <decant/reference/quantisation.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// How a matrix is kept. Q4_1 and Q8_0 stay as they are; Q4_0 becomes Q4_1 and Q5_0 becomes Q8_0 without loss; every
/// other type is kept as floats.
enum class packed_format : std::uint8_t { q4_1, q8_0, f32 };

[[nodiscard]] constexpr packed_format packed_format_of(tensor_type type) noexcept {
  if (type == tensor_type::q4_1 || type == tensor_type::q4_0) return packed_format::q4_1;
  if (type == tensor_type::q8_0 || type == tensor_type::q5_0) return packed_format::q8_0;
  return packed_format::f32;
}

/// A matrix of `rows()` x `columns()`, y = W x. Rows beyond the last up to a multiple of 16 are zero.
class packed_matrix {
 public:
  packed_matrix() noexcept = default;

  /// Copies a tensor of two dimensions {columns, rows}. O(size). Errors: `out_of_memory`; `file_malformed` when a scale
  /// is not finite (it would poison every result).
  [[nodiscard]] static result<packed_matrix> pack(const gguf_tensor& tensor) {
    packed_matrix matrix;
    matrix.format_ = packed_format_of(tensor.type);
    matrix.columns_ = static_cast<std::size_t>(tensor.dimensions[0]);
    matrix.rows_ = static_cast<std::size_t>(tensor.dimensions[1]);
    matrix.group_bytes_ = bytes_per_group(matrix.format_, matrix.columns_);
    if (const auto done = matrix.storage_.allocate(matrix.groups() * matrix.group_bytes_); !done) return done.error();
    const std::size_t row_size = row_bytes(tensor.type, matrix.columns_);
    std::vector<float> scratch(matrix.format_ == packed_format::f32 ? matrix.columns_ : 0);
    for (std::size_t row = 0; row < matrix.rows_; ++row) {
      const std::span<const std::byte> bytes = tensor.bytes.subspan(row * row_size, row_size);
      if (!matrix.pack_row(row, tensor.type, bytes, scratch)) {
        return gguf_error(error_code::file_malformed, "a value is not finite in tensor: ", tensor.name);
      }
    }
    return matrix;
  }

  [[nodiscard]] packed_format format() const noexcept { return format_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::size_t groups() const noexcept { return (rows_ + cpu::group_rows - 1) / cpu::group_rows; }
  [[nodiscard]] std::size_t bytes() const noexcept { return storage_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rows_ == 0; }

  /// Writes row `row` as floats: `columns()` values.
  void unpack_row(std::size_t row, float* out) const noexcept {
    const std::uint8_t* group = storage_.data() + row / cpu::group_rows * group_bytes_;
    const std::size_t lane = row % cpu::group_rows;
    switch (format_) {
      case packed_format::q4_1: return unpack_q4_1(group, lane, out);
      case packed_format::q8_0: return unpack_q8_0(group, lane, out);
      case packed_format::f32: return unpack_f32(group, lane, out);
    }
  }

  /// Computes row groups [first, last) of the product with `columns` activation rows; see `cpu::product_call`.
  void multiply(const cpu::kernel_table& kernels, const cpu::activation_view& input, std::size_t columns, float* out,
                std::size_t out_stride, bool accumulate, std::size_t first, std::size_t last) const noexcept {
    const cpu::product_call call{storage_.data(), group_bytes_, columns_, first,      last,
                                 input,           columns,      out,      out_stride, accumulate};
    switch (format_) {
      case packed_format::q4_1: return kernels.product_q4_1(call);
      case packed_format::q8_0: return kernels.product_q8_0(call);
      case packed_format::f32: return kernels.product_f32(call);
    }
  }

 private:
  [[nodiscard]] static std::size_t bytes_per_group(packed_format format, std::size_t columns) noexcept {
    const std::size_t blocks = columns / cpu::block_elements;
    switch (format) {
      case packed_format::q4_1: return blocks * cpu::q4_1_group_block;
      case packed_format::q8_0: return round_up(blocks * (cpu::q8_0_group_codes + cpu::q8_0_group_scales), cache_line);
      case packed_format::f32: break;
    }
    return columns * cpu::group_rows * sizeof(float);
  }

  [[nodiscard]] bool pack_row(std::size_t row, tensor_type type, std::span<const std::byte> bytes,
                              std::vector<float>& scratch) noexcept {
    std::uint8_t* group = storage_.data() + row / cpu::group_rows * group_bytes_;
    const std::size_t lane = row % cpu::group_rows;
    switch (type) {
      case tensor_type::q4_1: return pack_nibbles(group, lane, bytes, 20, 4);
      case tensor_type::q4_0: return pack_nibbles(group, lane, bytes, 18, 2);
      case tensor_type::q8_0: return pack_codes(group, lane, bytes, 34, eight_bit_code);
      case tensor_type::q5_0: return pack_codes(group, lane, bytes, 22, five_bit_code);
      default: break;
    }
    dequantise(type, bytes, scratch);
    auto* values = reinterpret_cast<float*>(group);
    for (std::size_t k = 0; k < columns_; ++k) values[k * cpu::group_rows + lane] = scratch[k];
    return std::all_of(scratch.begin(), scratch.end(), [](float x) { return std::isfinite(x); });
  }

  /// Q4_1, or Q4_0 with the minimum -8 * scale, which binary16 holds exactly unless it overflows.
  [[nodiscard]] bool pack_nibbles(std::uint8_t* group, std::size_t lane, std::span<const std::byte> bytes,
                                  std::size_t block_bytes, std::size_t codes_at) const noexcept {
    for (std::size_t b = 0; b < columns_ / cpu::block_elements; ++b) {
      const std::byte* from = bytes.data() + b * block_bytes;
      std::uint8_t* to = group + b * cpu::q4_1_group_block;
      const std::uint16_t scale = block::load_u16(from);
      const std::uint16_t minimum =
          codes_at == 4 ? block::load_u16(from + 2) : float_to_half(-8.0F * half_to_float(scale));
      if (!is_finite_half(scale) || !is_finite_half(minimum)) return false;
      for (std::size_t v = 0; v < 4; ++v) std::memcpy(to + 64 * v + 4 * lane, from + codes_at + 4 * v, 4);
      std::memcpy(to + 256 + 2 * lane, &scale, 2);
      std::memcpy(to + 288 + 2 * lane, &minimum, 2);
    }
    return true;
  }

  using code_reader = std::int8_t (*)(const std::byte* block, std::size_t i) noexcept;

  [[nodiscard]] static std::int8_t eight_bit_code(const std::byte* from, std::size_t i) noexcept {
    return static_cast<std::int8_t>(std::to_integer<std::uint8_t>(from[2 + i]));
  }
  [[nodiscard]] static std::int8_t five_bit_code(const std::byte* from, std::size_t i) noexcept {
    const std::uint32_t high = block::load_u32(from + 2);
    return static_cast<std::int8_t>(block::nibble(from + 6, i) + block::fifth_bit(high, i) - 16);
  }

  [[nodiscard]] bool pack_codes(std::uint8_t* group, std::size_t lane, std::span<const std::byte> bytes,
                                std::size_t block_bytes, code_reader code_of) const noexcept {
    const std::size_t blocks = columns_ / cpu::block_elements;
    std::uint8_t* scales = group + blocks * cpu::q8_0_group_codes;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::byte* from = bytes.data() + b * block_bytes;
      const std::uint16_t scale = block::load_u16(from);
      if (!is_finite_half(scale)) return false;
      std::uint8_t* to = group + b * cpu::q8_0_group_codes + 4 * lane;
      for (std::size_t i = 0; i < cpu::block_elements; ++i) {
        to[i / 4 * 64 + i % 4] = static_cast<std::uint8_t>(code_of(from, i));
      }
      std::memcpy(scales + b * cpu::q8_0_group_scales + 2 * lane, &scale, 2);
    }
    return true;
  }

  [[nodiscard]] static bool is_finite_half(std::uint16_t bits) noexcept { return (bits & 0x7C00U) != 0x7C00U; }

  [[nodiscard]] static float half_at(const std::uint8_t* at) noexcept {
    std::uint16_t bits;
    std::memcpy(&bits, at, sizeof bits);
    return half_to_float(bits);
  }

  void unpack_q4_1(const std::uint8_t* group, std::size_t lane, float* out) const noexcept {
    for (std::size_t b = 0; b < columns_ / cpu::block_elements; ++b, group += cpu::q4_1_group_block) {
      const float scale = half_at(group + 256 + 2 * lane);
      const float minimum = half_at(group + 288 + 2 * lane);
      float* to = out + b * cpu::block_elements;
      for (std::size_t i = 0; i < 16; ++i) {
        const int byte = group[i / 4 * 64 + 4 * lane + i % 4];
        to[i] = std::fma(scale, static_cast<float>(byte & 15), minimum);
        to[16 + i] = std::fma(scale, static_cast<float>(byte >> 4), minimum);
      }
    }
  }

  void unpack_q8_0(const std::uint8_t* group, std::size_t lane, float* out) const noexcept {
    const std::size_t blocks = columns_ / cpu::block_elements;
    const std::uint8_t* scales = group + blocks * cpu::q8_0_group_codes;
    for (std::size_t k = 0; k < columns_; ++k) {
      const std::size_t b = k / cpu::block_elements;
      const std::size_t i = k % cpu::block_elements;
      const float scale = half_at(scales + b * cpu::q8_0_group_scales + 2 * lane);
      const std::uint8_t code = group[b * cpu::q8_0_group_codes + i / 4 * 64 + 4 * lane + i % 4];
      out[k] = scale * static_cast<float>(static_cast<std::int8_t>(code));
    }
  }

  void unpack_f32(const std::uint8_t* group, std::size_t lane, float* out) const noexcept {
    const auto* values = reinterpret_cast<const float*>(group);
    for (std::size_t k = 0; k < columns_; ++k) out[k] = values[k * cpu::group_rows + lane];
  }

  packed_format format_ = packed_format::f32;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t group_bytes_ = 0;
  aligned_buffer<std::uint8_t> storage_;
};

}  // namespace decant::inline DECANT_ABI

#endif
