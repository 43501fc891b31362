// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scalar kernels: the specification. One result is one chain of fused multiply-adds over the blocks of its row.
#ifndef DECANT_REFERENCE_KERNELS_SCALAR_HPP
#define DECANT_REFERENCE_KERNELS_SCALAR_HPP

#include <decant/reference/cpu_features.hpp>
#include <decant/reference/kernel_table.hpp>
#include <decant/reference/lanes_scalar.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace decant::inline DECANT_ABI::cpu::scalar {

#include <decant/reference/lane_kernels.inl>

[[nodiscard]] inline float half_at(const std::uint8_t* bytes, std::size_t i) noexcept {
  std::uint16_t bits;
  std::memcpy(&bits, bytes + 2 * i, sizeof bits);
  return half_to_float(bits);
}

/// A block of one row: the integer dot product with the activation codes, the scale and the minimum.
struct block_terms {
  std::int32_t dot = 0;
  float scale = 0;
  float minimum = 0;
};

[[nodiscard]] inline block_terms q4_1_terms(const std::uint8_t* group, std::size_t, std::size_t b, std::size_t row,
                                            const std::int8_t* codes) noexcept {
  const std::uint8_t* at = group + b * q4_1_group_block;
  block_terms terms{0, half_at(at + 256, row), half_at(at + 288, row)};
  for (std::size_t i = 0; i < 16; ++i) {
    const int byte = at[i / 4 * 64 + row * 4 + i % 4];
    terms.dot += (byte & 15) * codes[i] + (byte >> 4) * codes[16 + i];
  }
  return terms;
}

[[nodiscard]] inline block_terms q8_0_terms(const std::uint8_t* group, std::size_t blocks, std::size_t b,
                                            std::size_t row, const std::int8_t* codes) noexcept {
  const std::uint8_t* at = group + b * q8_0_group_codes;
  block_terms terms{0, half_at(group + blocks * q8_0_group_codes + b * q8_0_group_scales, row), 0};
  for (std::size_t i = 0; i < 32; ++i) {
    terms.dot += static_cast<std::int8_t>(at[i / 4 * 64 + row * 4 + i % 4]) * codes[i];
  }
  return terms;
}

template <bool HasMinimum, class Terms>
inline void product(const product_call& call, const Terms& terms_of) noexcept {
  const std::size_t blocks = call.length / block_elements;
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    const std::uint8_t* group = call.weights + g * call.group_bytes;
    for (std::size_t c = 0; c < call.columns; ++c) {
      const std::int8_t* codes = call.input.codes + c * call.input.stride;
      const float* scales = call.input.scales + c * call.input.block_stride;
      const float* sums = call.input.sums + c * call.input.block_stride;
      for (std::size_t row = 0; row < group_rows; ++row) {
        float total = 0;
        for (std::size_t b = 0; b < blocks; ++b) {
          const block_terms terms = terms_of(group, blocks, b, row, codes + b * block_elements);
          total = std::fma(static_cast<float>(terms.dot), terms.scale * scales[b], total);
          if constexpr (HasMinimum) total = std::fma(terms.minimum, sums[b], total);
        }
        float& to = call.out[c * call.out_stride + g * group_rows + row];
        to = call.accumulate ? to + total : total;
      }
    }
  }
}

inline void product_q4_1(const product_call& call) noexcept { product<true>(call, q4_1_terms); }
inline void product_q8_0(const product_call& call) noexcept { product<false>(call, q8_0_terms); }

[[nodiscard]] inline const kernel_table& kernels() noexcept {
  static constexpr kernel_table table{product_q4_1, product_q8_0,         product_f32, quantise,
                                      rms_norm,     silu_multiply,        soft_max,    to_half,
                                      score<float>, score<std::uint16_t>, mix<float>,  mix<std::uint16_t>};
  return table;
}

}  // namespace decant::inline DECANT_ABI::cpu::scalar

#endif
