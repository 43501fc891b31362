// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set of kernels offers: the products of packed matrices with activation rows, and the element-wise and
// attention loops of a transformer. The scalar set is the specification; every other set gives the same bits.
#ifndef DECANT_KERNELS_KERNEL_TABLE_HPP
#define DECANT_KERNELS_KERNEL_TABLE_HPP

#include <decant/kernels/packed_layout.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// What a product with a quantised matrix makes of its activations. Products with float matrices always take floats.
enum class activation_kind : std::uint8_t {
  int8_blocks,  ///< codes of 8 bits with a scale per block of 32: integer products, the fast way
  floats,       ///< 32-bit floats: weights are turned into floats on the fly
};

}  // namespace decant::inline DECANT_ABI

namespace decant::inline DECANT_ABI::cpu {

/// Keys that lie side by side, transposed, in a key cache.
inline constexpr std::size_t key_block = 16;
/// Query rows that an attention kernel takes at most in one call.
inline constexpr std::size_t attention_rows = 6;

/// 32 activations x ~ scale * code.
struct activation_block {
  std::int8_t codes[block_elements];
  float scale;
  float sum;                  ///< scale * sum of all codes
  std::int32_t half_sums[2];  ///< of the codes of each half
};

/// Activation rows (columns of the product), as floats and as int8 blocks. Row r starts at r * stride.
struct activation_view {
  const float* values = nullptr;
  const activation_block* blocks = nullptr;
  std::size_t stride = 0;        ///< elements from row to row in `values`
  std::size_t block_stride = 0;  ///< from row to row in `blocks`
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
  bool accumulate = false;  ///< adds to `out`
};

/// Rows of memory that are needed soon. Attention kernels ask for them while they compute, evenly: requests that come
/// in a burst wait for each other.
struct upcoming_rows {
  const std::byte* first = nullptr;
  std::size_t stride = 0;  ///< bytes from row to row
  std::size_t bytes = 0;   ///< of a row
  std::size_t count = 0;

  /// The share of the parts [begin, end) of `parts` equal ones.
  [[nodiscard]] upcoming_rows share(std::size_t begin, std::size_t end, std::size_t parts) const noexcept {
    const std::size_t from = count * begin / parts;
    return {first + from * stride, stride, bytes, count * end / parts - from};
  }
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
  upcoming_rows upcoming{};
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
  upcoming_rows upcoming{};
};

using product_kernel = void (*)(const product_call&) noexcept;

struct kernel_table {
  /// By `packed_format`; of float formats both entries are the same.
  product_kernel int8_products[packed_format_count];
  product_kernel float_products[packed_format_count];
  /// Quantises `count` blocks of 32 floats.
  void (*quantise)(const float* x, std::size_t count, activation_block* blocks) noexcept;
  /// out = x / sqrt(mean square + epsilon) * weight. `padded` is a multiple of 8 with zeros beyond `count`.
  void (*rms_norm)(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                   float* out) noexcept;
  /// gate = silu(gate) * up; `count` is a multiple of 8.
  void (*silu_multiply)(float* gate, const float* up, std::size_t count) noexcept;
  /// Turns scores into exp(score - greatest) and returns the inverse of their sum. The array has room for the next
  /// multiple of 16.
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
