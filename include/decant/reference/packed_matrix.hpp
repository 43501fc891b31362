// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Weight matrices in the layout that the kernels read: rows in interleaved groups of 16.
#ifndef DECANT_REFERENCE_PACKED_MATRIX_HPP
#define DECANT_REFERENCE_PACKED_MATRIX_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/kernels/kernel_table.hpp>
#include <decant/reference/gguf.hpp>
#include <decant/reference/packed_row.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace decant::inline DECANT_ABI {

/// The format that keeps a file's type without loss (Q5_0 becomes pairs of scale and minimum).
[[nodiscard]] constexpr packed_format packed_format_of(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::q4_0: return packed_format::q4_0;
    case tensor_type::q4_1: return packed_format::q4_1;
    case tensor_type::q5_0:
    case tensor_type::q5_1: return packed_format::q5_1;
    case tensor_type::q8_0: return packed_format::q8_0;
    case tensor_type::q4_k: return packed_format::q4_k;
    case tensor_type::q5_k: return packed_format::q5_k;
    case tensor_type::q6_k: return packed_format::q6_k;
    case tensor_type::f16: return packed_format::f16;
    case tensor_type::bf16: return packed_format::bf16;
    case tensor_type::f32: break;
  }
  return packed_format::f32;
}

/// A matrix of `rows()` x `columns()`, y = W x. Rows beyond the last up to a multiple of 16 are zero. It owns its
/// groups or lies in memory that somebody else keeps.
class packed_matrix {
 public:
  packed_matrix() noexcept = default;

  /// The shape and the format for a tensor of two dimensions {columns, rows}, and no weights yet.
  [[nodiscard]] static packed_matrix shape_of(const gguf_tensor& tensor) noexcept {
    packed_matrix matrix;
    matrix.format_ = packed_format_of(tensor.type);
    matrix.columns_ = static_cast<std::size_t>(tensor.dimensions[0]);
    matrix.rows_ = static_cast<std::size_t>(tensor.dimensions[1]);
    matrix.group_bytes_ = cpu::bytes_per_group(matrix.format_, matrix.columns_);
    return matrix;
  }

  /// Copies a tensor of two dimensions {columns, rows}. O(size). Errors: `out_of_memory`; `file_malformed` when a value
  /// is not finite (it would poison every result).
  [[nodiscard]] static result<packed_matrix> pack(const gguf_tensor& tensor) {
    packed_matrix matrix = shape_of(tensor);
    if (const auto done = matrix.storage_.allocate(matrix.bytes()); !done) return done.error();
    if (!matrix.pack_groups(tensor, matrix.storage_.data(), 0, matrix.groups())) return not_finite(tensor);
    matrix.place_at(matrix.storage_.data());
    return matrix;
  }

  /// Writes groups [first, last) of the tensor to `weights`, `bytes()` zeros at first. False when a value is not
  /// finite. Precondition: the tensor has the shape and the format.
  [[nodiscard]] bool pack_groups(const gguf_tensor& tensor, std::uint8_t* weights, std::size_t first,
                                 std::size_t last) const noexcept {
    const std::size_t row_size = row_bytes(tensor.type, columns_);
    const std::size_t last_row = last * cpu::group_rows < rows_ ? last * cpu::group_rows : rows_;
    bool finite = true;
    for (std::size_t row = first * cpu::group_rows; row < last_row; ++row) {
      const packed_row to(format_, weights + row / cpu::group_rows * group_bytes_, row % cpu::group_rows);
      finite = to.pack(tensor.type, tensor.bytes.subspan(row * row_size, row_size), columns_) && finite;
    }
    return finite;
  }
  [[nodiscard]] static error not_finite(const gguf_tensor& tensor) {
    return gguf_error(error_code::file_malformed, "a value is not finite in tensor: ", tensor.name);
  }

  /// From now on the groups are those at `weights`: `bytes()` of them, on a cache line, for as long as the matrix is
  /// used.
  void place_at(const std::uint8_t* weights) noexcept { weights_ = weights; }

  [[nodiscard]] packed_format format() const noexcept { return format_; }
  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::size_t groups() const noexcept { return (rows_ + cpu::group_rows - 1) / cpu::group_rows; }
  [[nodiscard]] std::size_t bytes() const noexcept { return groups() * group_bytes_; }
  [[nodiscard]] bool empty() const noexcept { return rows_ == 0; }

  /// Whether products with activations of a kind read int8 codes; else they read floats only.
  [[nodiscard]] bool takes_codes(activation_kind kind) const noexcept {
    return kind == activation_kind::int8_blocks && cpu::is_quantised(format_);
  }

  /// Writes row `row` as floats: `columns()` values, those of `dequantise`.
  void unpack_row(std::size_t row, float* out) const noexcept {
    const std::uint8_t* group = weights_ + row / cpu::group_rows * group_bytes_;
    packed_row(format_, group, row % cpu::group_rows).unpack(out, columns_);
  }

  /// Computes row groups [first, last) of the product with `columns` activation rows; see `cpu::product_call`. A result
  /// has the same bits for every `columns`, range and instruction set.
  void multiply(const cpu::kernel_table& kernels, const cpu::activation_view& input, std::size_t columns, float* out,
                std::size_t out_stride, bool accumulate, std::size_t first, std::size_t last,
                activation_kind kind = activation_kind::int8_blocks) const noexcept {
    const auto& products = takes_codes(kind) ? kernels.int8_products : kernels.float_products;
    products[static_cast<std::size_t>(format_)](
        {weights_, group_bytes_, columns_, first, last, input, columns, out, out_stride, accumulate});
  }

 private:
  packed_format format_ = packed_format::f32;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t group_bytes_ = 0;
  const std::uint8_t* weights_ = nullptr;
  aligned_buffer<std::uint8_t> storage_;
};

}  // namespace decant::inline DECANT_ABI

#endif
