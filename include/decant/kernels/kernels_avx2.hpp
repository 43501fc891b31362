// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX2 kernels. Integer dot products are exact in any order and the float chain per result is the scalar one, so
// results do not depend on the tile a column is computed in.
#ifndef DECANT_KERNELS_KERNELS_AVX2_HPP
#define DECANT_KERNELS_KERNELS_AVX2_HPP

#include <decant/kernels/attention_table.hpp>
#include <decant/kernels/kernel_table.hpp>
#include <decant/kernels/lanes_avx2.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX2_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx2 {

#include <decant/kernels/lane_kernels.inl>
#include <decant/kernels/row_kernels.inl>

/// Four activation codes in every 32-bit lane.
[[nodiscard]] inline __m256i four_codes(const std::int8_t* from) noexcept {
  int bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return _mm256_set1_epi32(bits);
}

/// a + b in 16-bit lanes, here and now: a compiler that regroups sums puts all of them off until no register is left.
[[nodiscard]] inline __m256i add_pairs(__m256i a, __m256i b) noexcept {
  __m256i sum = _mm256_add_epi16(a, b);
  __asm__("" : "+x"(sum));
  return sum;
}

/// Sums of neighbouring 16-bit values.
[[nodiscard]] inline __m256i widen(__m256i narrow) noexcept { return _mm256_madd_epi16(narrow, _mm256_set1_epi16(1)); }

/// How many sums of two products of a code and an activation code (at most 127) fit a signed 16-bit lane together.
[[nodiscard]] constexpr std::size_t steps_in_16_bits(packed_layout layout) noexcept {
  const std::size_t greatest = layout.code_bits == 8 ? 128 : (std::size_t{1} << layout.code_bits) - 1;
  return 32767 / (2 * 127 * greatest);
}

/// Sixteen rows of a group times the activation codes of `Columns` columns.
template <packed_format Format, std::size_t Columns>
struct integer_dots {
  static constexpr packed_layout layout = layout_of(Format);
  /// Element groups of four whose products are added in 16 bits: a divisor of the groups of a piece.
  static constexpr std::size_t run = steps_in_16_bits(layout) >= 8 ? 8 : steps_in_16_bits(layout);

  __m256i dot[Columns][2];

  integer_dots(const packed_block<Format>& block, std::size_t piece, const activation_block* const (&input)[Columns],
               std::size_t b) noexcept {
    constexpr std::size_t length = 8 / layout.pieces();
    __m256i narrow[Columns][2];
    DECANT_UNROLL
    for (std::size_t i = 0; i < length; ++i) {
      // The two halves of a byte one after the other where both are wanted.
      const std::size_t g = length == 8 && layout.code_bits != 8 ? i / 2 + i % 2 * 4 : piece * length + i;
      const __m256i low = block.codes(0, g);
      const __m256i high = block.codes(8, g);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        const __m256i codes = four_codes(input[c][b].codes + 4 * g);
        const bool starts = i % run == 0;
        narrow[c][0] = starts ? products(low, codes) : add_pairs(narrow[c][0], products(low, codes));
        narrow[c][1] = starts ? products(high, codes) : add_pairs(narrow[c][1], products(high, codes));
        if (i % run != run - 1) continue;
        dot[c][0] = i < run ? widen(narrow[c][0]) : _mm256_add_epi32(dot[c][0], widen(narrow[c][0]));
        dot[c][1] = i < run ? widen(narrow[c][1]) : _mm256_add_epi32(dot[c][1], widen(narrow[c][1]));
      }
    }
    if constexpr (layout.offset != 0 && layout.code_bits != 8) {
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        const __m256i excess = _mm256_set1_epi32(excess_of(layout, input[c][b], piece));
        dot[c][0] = _mm256_sub_epi32(dot[c][0], excess);
        dot[c][1] = _mm256_sub_epi32(dot[c][1], excess);
      }
    }
  }

 private:
  /// Sums of two products. Codes of eight bits would overflow: they lose their offset first, and their sign goes to the
  /// activation.
  [[nodiscard]] static __m256i products(__m256i weights, __m256i codes) noexcept {
    if constexpr (layout.code_bits == 8) {
      const __m256i centred = _mm256_xor_si256(weights, _mm256_set1_epi8(-128));
      return _mm256_maddubs_epi16(_mm256_abs_epi8(centred), _mm256_sign_epi8(codes, centred));
    } else {
      return _mm256_maddubs_epi16(weights, codes);
    }
  }
};

template <packed_format Format, std::size_t Columns>
inline void int8_tile(const product_call& call, std::size_t g, std::size_t column) noexcept {
  const std::uint8_t* group = call.weights + g * call.group_bytes;
  const activation_block* input[Columns];
  lanes total[Columns][2];
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) {
    input[c] = call.input.blocks + (column + c) * call.input.block_stride;
    total[c][0] = total[c][1] = splat(0.0F);
  }
  for (std::size_t b = 0; b < call.length / block_elements; ++b) {
    if (column == 0) prefetch_weights<Format>(group, b);
    const packed_block<Format> block(group, b);
    for (std::size_t piece = 0; piece < packed_block<Format>::layout.pieces(); ++piece) {
      const integer_dots<Format, Columns> dots(block, piece, input, b);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        total[c][0] = chain(total[c][0], to_floats(dots.dot[c][0]), block, 0, piece, input[c][b]);
        total[c][1] = chain(total[c][1], to_floats(dots.dot[c][1]), block, 8, piece, input[c][b]);
      }
    }
  }
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) {
    put(call, column + c, g * group_rows, total[c][0]);
    put(call, column + c, g * group_rows + 8, total[c][1]);
  }
}

template <packed_format Format>
inline void int8_product(const product_call& call) noexcept {
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    std::size_t column = 0;
    for (; column + 4 <= call.columns; column += 4) int8_tile<Format, 4>(call, g, column);
    switch (call.columns - column) {
      case 1: int8_tile<Format, 1>(call, g, column); break;
      case 2: int8_tile<Format, 2>(call, g, column); break;
      case 3: int8_tile<Format, 3>(call, g, column); break;
      default: break;
    }
  }
}

}  // namespace decant::inline DECANT_ABI::cpu::avx2
DECANT_AVX2_END

#endif
#endif
