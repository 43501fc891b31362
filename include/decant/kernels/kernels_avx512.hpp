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

/// Adds the products of four unsigned with four signed codes to each lane.
[[nodiscard]] inline __m512i add_four_products(__m512i sum, __m512i weights, const std::int8_t* codes) noexcept {
  int bits;
  __builtin_memcpy(&bits, codes, sizeof bits);
  return _mm512_dpbusd_epi32(sum, weights, _mm512_set1_epi32(bits));
}

/// Sixteen rows of a group times the activation codes of `Columns` columns.
template <packed_format Format, std::size_t Columns>
struct integer_dots {
  static constexpr packed_layout layout = layout_of(Format);

  __m512i dot[Columns];

  integer_dots(const packed_block<Format>& block, std::size_t piece, const activation_block* const (&input)[Columns],
               std::size_t b) noexcept {
    constexpr std::size_t length = 8 / layout.pieces();
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) dot[c] = _mm512_set1_epi32(-excess(input[c][b], piece));
    DECANT_UNROLL
    for (std::size_t i = 0; i < length; ++i) {
      // The two halves of a byte one after the other where both are wanted.
      const std::size_t g = length == 8 && layout.code_bits != 8 ? i / 2 + i % 2 * 4 : piece * length + i;
      const __m512i weights = block.codes(0, g);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) dot[c] = add_four_products(dot[c], weights, input[c][b].codes + 4 * g);
    }
  }

 private:
  /// What the offset of the codes adds to a dot product.
  [[nodiscard]] static int excess(const activation_block& input, std::size_t piece) noexcept {
    if constexpr (layout.offset == 0) return 0;
    if constexpr (layout.pieces() == 2) return layout.offset * input.half_sums[piece];
    return layout.offset * (input.half_sums[0] + input.half_sums[1]);
  }
};

template <packed_format Format, std::size_t Columns>
inline void int8_tile(const product_call& call, std::size_t g, std::size_t column) noexcept {
  const std::uint8_t* group = call.weights + g * call.group_bytes;
  const activation_block* input[Columns];
  lanes total[Columns];
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) {
    input[c] = call.input.blocks + (column + c) * call.input.block_stride;
    total[c] = splat(0.0F);
  }
  for (std::size_t b = 0; b < call.length / block_elements; ++b) {
    if (column == 0) prefetch_weights<Format>(group, b);
    const packed_block<Format> block(group, b);
    for (std::size_t piece = 0; piece < packed_block<Format>::layout.pieces(); ++piece) {
      const integer_dots<Format, Columns> dots(block, piece, input, b);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        total[c] = chain(total[c], to_floats(dots.dot[c]), block, 0, piece, input[c][b]);
      }
    }
  }
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) put(call, column + c, g * group_rows, total[c]);
}

template <packed_format Format>
inline void int8_product(const product_call& call) noexcept {
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    std::size_t column = 0;
    for (; column + 8 <= call.columns; column += 8) int8_tile<Format, 8>(call, g, column);
    switch (call.columns - column) {
      case 1: int8_tile<Format, 1>(call, g, column); break;
      case 2: int8_tile<Format, 2>(call, g, column); break;
      case 3: int8_tile<Format, 3>(call, g, column); break;
      case 4: int8_tile<Format, 4>(call, g, column); break;
      case 5: int8_tile<Format, 5>(call, g, column); break;
      case 6: int8_tile<Format, 6>(call, g, column); break;
      case 7: int8_tile<Format, 7>(call, g, column); break;
      default: break;
    }
  }
}

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
