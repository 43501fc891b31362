// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set of kernels offers: the products of packed matrices with activation rows, and the element-wise and
// attention loops of a transformer. The scalar set is the specification; every other set gives the same bits.
#ifndef DECANT_REFERENCE_KERNEL_TABLE_HPP
#define DECANT_REFERENCE_KERNEL_TABLE_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI::cpu {

/// Rows of a packed matrix that are stored interleaved and computed together.
inline constexpr std::size_t group_rows = 16;
/// Elements of a quantised block.
inline constexpr std::size_t block_elements = 32;
/// Keys that lie side by side, transposed, in a key cache.
inline constexpr std::size_t key_block = 16;
/// Query rows that an attention kernel takes at most in one call.
inline constexpr std::size_t attention_rows = 6;

/// Bytes of a 16-row Q4_1 group per block: four 64-byte vectors of nibbles, 16 scales and 16 minima as binary16. Vector
/// v holds, for each row, the bytes 4v..4v+3 of its block: elements 4v.. low, elements 16+4v.. high.
inline constexpr std::size_t q4_1_group_block = 320;
/// Bytes of codes of a 16-row Q8_0 group per block: eight 64-byte vectors; vector v holds elements 4v..4v+3 of each
/// row.
inline constexpr std::size_t q8_0_group_codes = 512;
/// Bytes of scales of a 16-row Q8_0 group per block. All scales of a group follow all of its codes.
inline constexpr std::size_t q8_0_group_scales = 32;

/// Activation rows (columns of the product), as floats and as int8 blocks of 32. Row r starts at r * stride.
struct activation_view {
  const float* values = nullptr;
  const std::int8_t* codes = nullptr;
  const float* scales = nullptr;  ///< one per block
  const float* sums = nullptr;    ///< scale * sum of codes, one per block
  std::size_t stride = 0;         ///< elements from row to row in `values` and `codes`
  std::size_t block_stride = 0;   ///< elements from row to row in `scales` and `sums`
};

/// A product over a range of row groups: out[c * stride + 16 * g + r] (+)= row (16 * g + r) . activations c.
struct product_call {
  const std::uint8_t* weights = nullptr;  ///< first group of the whole matrix
  std::size_t group_bytes = 0;
  std::size_t length = 0;  ///< elements of a row
  std::size_t first_group = 0;
  std::size_t last_group = 0;
  activation_view input;
  std::size_t columns = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
  bool accumulate = false;
};

/// Scores of query rows against blocks of 16 transposed keys: out[r * out_stride + t] = q_r . k_t.
template <class Element>
struct score_call {
  const Element* keys = nullptr;  ///< [block][dimension][16]
  std::size_t blocks = 0;
  std::size_t dimension = 0;
  const float* const* queries = nullptr;
  std::size_t rows = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

/// Adds weighted values: sums[r][d] = fma(weights[r * weight_stride + t], values[t][d], sums[r][d]) for t in order.
template <class Element>
struct mix_call {
  const Element* values = nullptr;  ///< [t][dimension], dimension a multiple of 16
  std::size_t count = 0;
  std::size_t dimension = 0;
  const float* weights = nullptr;
  std::size_t weight_stride = 0;
  std::size_t rows = 0;
  float* sums = nullptr;  ///< [r][dimension]
};

struct kernel_table {
  void (*product_q4_1)(const product_call&) noexcept;
  void (*product_q8_0)(const product_call&) noexcept;
  void (*product_f32)(const product_call&) noexcept;
  /// Quantises `blocks` blocks of 32 floats.
  void (*quantise)(const float* x, std::size_t blocks, std::int8_t* codes, float* scales, float* sums) noexcept;
  /// out = x / sqrt(mean square + epsilon) * weight. `padded` is a multiple of 8 with zeros beyond `count`.
  void (*rms_norm)(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                   float* out) noexcept;
  /// gate = silu(gate) * up; `count` is a multiple of 8.
  void (*silu_multiply)(float* gate, const float* up, std::size_t count) noexcept;
  /// Turns scores into exp(score - greatest) and returns the inverse of their sum. The array has room for the next
  /// multiple of 8.
  float (*soft_max)(float* scores, std::size_t count) noexcept;
  /// Writes binary16, finite values clamped to its range. `count` is a multiple of 8.
  void (*to_half)(const float* x, std::size_t count, std::uint16_t* halves) noexcept;
  void (*score_f32)(const score_call<float>&) noexcept;
  void (*score_f16)(const score_call<std::uint16_t>&) noexcept;
  void (*mix_f32)(const mix_call<float>&) noexcept;
  void (*mix_f16)(const mix_call<std::uint16_t>&) noexcept;
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
