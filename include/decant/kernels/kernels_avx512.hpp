// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX-512 kernels: a register holds the sixteen rows of a group, and one instruction multiplies and sums four codes
// of each. Results have the bits of the scalar kernels.
#ifndef DECANT_KERNELS_KERNELS_AVX512_HPP
#define DECANT_KERNELS_KERNELS_AVX512_HPP

#include <decant/kernels/kernels_avx2.hpp>
#include <decant/kernels/lanes_avx512.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX512_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx512 {

#include <decant/kernels/lane_kernels.inl>

inline void quantise(const float* x, std::size_t count, activation_block* blocks) noexcept {
  avx2::quantise(x, count, blocks);
}

inline void rms_norm(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                     float* out) noexcept {
  avx2::rms_norm(x, weight, count, padded, epsilon, out);
}

inline void silu_multiply(float* gate, const float* up, std::size_t count) noexcept {
  const std::size_t whole = count / lane_count * lane_count;
  for (std::size_t i = 0; i < whole; i += lane_count) {
    const lanes z = load(gate + i);
    const lanes denominator = add(exponential(subtract(splat(0.0F), z)), splat(1.0F));
    store(gate + i, multiply(divide(z, denominator), load(up + i)));
  }
  avx2::silu_multiply(gate + whole, up + whole, count - whole);
}

inline void to_half(const float* x, std::size_t count, std::uint16_t* halves) noexcept {
  avx2::to_half(x, count, halves);
}

/// Four activation codes in every 32-bit lane.
[[nodiscard]] inline __m512i four_codes(const std::int8_t* from) noexcept {
  int bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return _mm512_set1_epi32(bits);
}

/// The rows of `Groups` neighbouring groups times `Columns` columns: more groups share what is loaded of a column, more
/// columns what is decoded of a group. Each result is the one chain, whatever the tile.
template <packed_format Format, std::size_t Groups, std::size_t Columns>
class int8_tile {
 public:
  int8_tile(const product_call& call, std::size_t g, std::size_t column) noexcept {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      input_[c] = call.input.blocks + (column + c) * call.input.block_stride;
      DECANT_UNROLL
      for (std::size_t r = 0; r < Groups; ++r) total_[r][c] = splat(0.0F);
    }
    const std::uint8_t* group = call.weights + g * call.group_bytes;
    for (std::size_t b = 0; b < call.length / block_elements; ++b) {
      if (column == 0) {
        DECANT_UNROLL
        for (std::size_t r = 0; r < Groups; ++r) prefetch_weights<Format>(group + r * call.group_bytes, b);
      }
      for (std::size_t piece = 0; piece < layout.pieces(); ++piece) add_piece(group, call.group_bytes, b, piece);
    }
    DECANT_UNROLL
    for (std::size_t r = 0; r < Groups; ++r) {
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) put(call, column + c, (g + r) * group_rows, total_[r][c]);
    }
  }

 private:
  static constexpr packed_layout layout = layout_of(Format);

  void add_piece(const std::uint8_t* group, std::size_t group_bytes, std::size_t b, std::size_t piece) noexcept {
    __m512i dot[Groups][Columns];
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      const __m512i start = _mm512_set1_epi32(-excess_of(layout, input_[c][b], piece));
      DECANT_UNROLL
      for (std::size_t r = 0; r < Groups; ++r) dot[r][c] = start;
    }
    constexpr std::size_t length = 8 / layout.pieces();
    DECANT_UNROLL
    for (std::size_t i = 0; i < length; ++i) {
      // The two halves of a byte one after the other where both are wanted.
      const std::size_t g = length == 8 && layout.code_bits != 8 ? i / 2 + i % 2 * 4 : piece * length + i;
      __m512i weights[Groups];
      DECANT_UNROLL
      for (std::size_t r = 0; r < Groups; ++r) {
        weights[r] = packed_block<Format>(group + r * group_bytes, b).codes(0, g);
      }
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        const __m512i codes = four_codes(input_[c][b].codes + 4 * g);
        DECANT_UNROLL
        for (std::size_t r = 0; r < Groups; ++r) dot[r][c] = _mm512_dpbusd_epi32(dot[r][c], weights[r], codes);
      }
    }
    DECANT_UNROLL
    for (std::size_t r = 0; r < Groups; ++r) {
      const packed_block<Format> block(group + r * group_bytes, b);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        total_[r][c] = chain(total_[r][c], to_floats(dot[r][c]), block, 0, piece, input_[c][b]);
      }
    }
  }

  const activation_block* input_[Columns];
  lanes total_[Groups][Columns];
};

/// The columns from `column` on for one group.
template <packed_format Format>
inline void int8_tiles(const product_call& call, std::size_t g, std::size_t column) noexcept {
  for (; column + 8 <= call.columns; column += 8) int8_tile<Format, 1, 8>(call, g, column);
  switch (call.columns - column) {
    case 1: int8_tile<Format, 1, 1>(call, g, column); break;
    case 2: int8_tile<Format, 1, 2>(call, g, column); break;
    case 3: int8_tile<Format, 1, 3>(call, g, column); break;
    case 4: int8_tile<Format, 1, 4>(call, g, column); break;
    case 5: int8_tile<Format, 1, 5>(call, g, column); break;
    case 6: int8_tile<Format, 1, 6>(call, g, column); break;
    case 7: int8_tile<Format, 1, 7>(call, g, column); break;
    default: break;
  }
}

/// Few columns are as fast as memory, which is read fastest group by group; many are bound by instructions, of which
/// two groups that share their columns need fewer. Formats with a minimum have more to decode of a group: wider tiles.
template <packed_format Format>
inline void int8_product(const product_call& call) noexcept {
  constexpr packed_layout layout = layout_of(Format);
  constexpr std::size_t wide = layout.has_minimum() ? 6 : 4;
  std::size_t g = call.first_group;
  if constexpr (layout.pieces() == 1) {
    for (; call.columns >= 16 && g + 2 <= call.last_group; g += 2) {
      std::size_t column = 0;
      for (; column + wide <= call.columns; column += wide) int8_tile<Format, 2, wide>(call, g, column);
      int8_tiles<Format>(call, g, column);
      int8_tiles<Format>(call, g + 1, column);
    }
  }
  for (; g < call.last_group; ++g) int8_tiles<Format>(call, g, 0);
}

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
