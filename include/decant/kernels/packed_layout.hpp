// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Layouts of weight matrices that the kernels read: rows in interleaved groups of 16, quantised elements in blocks of
// 32. Every layout holds its file types without loss in (nearly) the bits they have in the file.
#ifndef DECANT_KERNELS_PACKED_LAYOUT_HPP
#define DECANT_KERNELS_PACKED_LAYOUT_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// How a matrix is kept.
enum class packed_format : std::uint8_t {
  q4_0,
  q4_1,
  q5_1,  ///< Q5_1 and Q5_0
  q8_0,
  q4_k,
  q5_k,
  q6_k,
  f16,
  bf16,
  f32,
};
inline constexpr std::size_t packed_format_count = 10;

}  // namespace decant::inline DECANT_ABI

namespace decant::inline DECANT_ABI::cpu {

/// Rows of a packed matrix that are stored interleaved and computed together.
inline constexpr std::size_t group_rows = 16;
/// Elements of a quantised block.
inline constexpr std::size_t block_elements = 32;

/// What turns codes into values: value = scale * (code - offset) + minimum.
enum class scaling : std::uint8_t {
  none,         ///< a float format
  half_scale,   ///< a binary16 scale per block
  half_pair,    ///< a binary16 scale and a binary16 minimum per block
  nested_pair,  ///< per block a byte for the scale and one for the minimum, each times a binary16 of the whole unit
  nested_half,  ///< per half block a signed byte for the scale, times a binary16 of the whole unit
};

/// A group of 16 rows is a sequence of units of `unit_blocks` blocks. A unit starts with the codes of its blocks; a
/// block of codes is, for codes of 4, 5, 6 and 8 bits, in vectors of 64 bytes that hold four bytes of each row:
///  - 4 to 6 bits: four vectors of nibbles. Byte j of a row in vector v is element 4v + j (low) and 16 + 4v + j (high);
///  - 5 bits: then a vector whose bit g of byte j is the fifth bit of element 4g + j;
///  - 6 bits: then two vectors; bits 2g and 2g + 1 of byte j in vector h are the high bits of element 16h + 4g + j;
///  - 8 bits: eight vectors; byte j of a row in vector g is element 4g + j.
/// After the codes come, each as 16 values side by side: all scales of `half_scale`; scale and minimum of `half_pair`;
/// the scale bytes, the minimum bytes, the scale and the negated minimum of the unit of `nested_pair`; the scale bytes
/// and the scale of the unit of `nested_half`.
struct packed_layout {
  std::size_t code_bits = 0;
  int offset = 0;
  scaling scales = scaling::none;
  std::size_t unit_blocks = 1;
  std::size_t unit_bytes = 0;

  [[nodiscard]] constexpr std::size_t code_bytes() const noexcept { return 64 * code_bits; }
  /// Where the scales of a unit start.
  [[nodiscard]] constexpr std::size_t scales_at() const noexcept { return unit_blocks * code_bytes(); }
  /// Parts of a block that have a scale of their own.
  [[nodiscard]] constexpr std::size_t pieces() const noexcept { return scales == scaling::nested_half ? 2 : 1; }
  [[nodiscard]] constexpr bool has_minimum() const noexcept {
    return scales == scaling::half_pair || scales == scaling::nested_pair;
  }
};

[[nodiscard]] constexpr packed_layout layout_of(packed_format format) noexcept {
  switch (format) {
    case packed_format::q4_0: return {4, 8, scaling::half_scale, 2, 2 * 256 + 64};
    case packed_format::q4_1: return {4, 0, scaling::half_pair, 1, 256 + 64};
    case packed_format::q5_1: return {5, 0, scaling::half_pair, 1, 320 + 64};
    case packed_format::q8_0: return {8, 128, scaling::half_scale, 2, 2 * 512 + 64};
    case packed_format::q4_k: return {4, 0, scaling::nested_pair, 8, 8 * 256 + 320};
    case packed_format::q5_k: return {5, 0, scaling::nested_pair, 8, 8 * 320 + 320};
    case packed_format::q6_k: return {6, 32, scaling::nested_half, 8, 8 * 384 + 320};
    case packed_format::f16:
    case packed_format::bf16:
    case packed_format::f32: break;
  }
  return {};
}

[[nodiscard]] constexpr bool is_quantised(packed_format format) noexcept {
  return layout_of(format).scales != scaling::none;
}

/// Bytes of an element of a float format.
[[nodiscard]] constexpr std::size_t element_bytes(packed_format format) noexcept {
  return format == packed_format::f32 ? 4 : 2;
}

/// Bytes of a group of rows of `columns` elements, a multiple of 32.
[[nodiscard]] constexpr std::size_t bytes_per_group(packed_format format, std::size_t columns) noexcept {
  if (!is_quantised(format)) return columns * group_rows * element_bytes(format);
  const packed_layout layout = layout_of(format);
  const std::size_t blocks = columns / block_elements;
  return (blocks + layout.unit_blocks - 1) / layout.unit_blocks * layout.unit_bytes;
}

}  // namespace decant::inline DECANT_ABI::cpu

#endif
