// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scalar kernels: the specification. One result is one chain of fused multiply-adds over the blocks of its row.
#ifndef DECANT_KERNELS_KERNELS_SCALAR_HPP
#define DECANT_KERNELS_KERNELS_SCALAR_HPP

#include <decant/kernels/attention_table.hpp>
#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/kernel_table.hpp>
#include <decant/kernels/lanes_scalar.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace decant::inline DECANT_ABI::cpu::scalar {

#include <decant/kernels/lane_kernels.inl>
#include <decant/kernels/row_kernels.inl>

/// The integer dot products of a piece of a block with activation codes.
template <packed_format Format>
[[nodiscard]] inline lanes dot_of(const packed_block<Format>& block, std::size_t row, std::size_t piece,
                                  const activation_block& input) noexcept {
  constexpr packed_layout layout = packed_block<Format>::layout;
  constexpr std::size_t length = 8 / layout.pieces();
  std::int32_t dot[lane_count] = {};
  for (std::size_t g = piece * length; g < (piece + 1) * length; ++g) {
    const words codes = block.codes(row, g);
    for (std::size_t i = 0; i < lane_count; ++i) {
      for (std::size_t j = 0; j < 4; ++j) {
        const int code = static_cast<int>(codes.v[i] >> (8 * j) & 0xFFU);
        dot[i] += (code - layout.offset) * input.codes[4 * g + j];
      }
    }
  }
  return each([&](std::size_t i) { return static_cast<float>(dot[i]); });
}

template <packed_format Format>
inline void int8_product(const product_call& call) noexcept {
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    const std::uint8_t* group = call.weights + g * call.group_bytes;
    for (std::size_t c = 0; c < call.columns; ++c) {
      const activation_block* input = call.input.blocks + c * call.input.block_stride;
      for (std::size_t row = 0; row < group_rows; row += lane_count) {
        lanes total = splat(0.0F);
        for (std::size_t b = 0; b < call.length / block_elements; ++b) {
          const packed_block<Format> block(group, b);
          for (std::size_t piece = 0; piece < packed_block<Format>::layout.pieces(); ++piece) {
            total = chain(total, dot_of(block, row, piece, input[b]), block, row, piece, input[b]);
          }
        }
        put(call, c, g * group_rows + row, total);
      }
    }
  }
}

}  // namespace decant::inline DECANT_ABI::cpu::scalar

#endif
