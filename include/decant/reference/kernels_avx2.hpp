// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX2 kernels. Integer dot products are exact in any order and the float chain per result is the scalar one, so
// results do not depend on the tile a column is computed in.
#ifndef DECANT_REFERENCE_KERNELS_AVX2_HPP
#define DECANT_REFERENCE_KERNELS_AVX2_HPP

#include <decant/reference/kernel_table.hpp>
#include <decant/reference/lanes_avx2.hpp>

#if DECANT_HAS_AVX2_KERNELS()

DECANT_AVX2_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx2 {

#include <decant/reference/lane_kernels.inl>

[[nodiscard]] inline __m256i load_bytes(const std::uint8_t* from) noexcept {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
}

/// Four activation codes in every 32-bit lane.
[[nodiscard]] inline __m256i four_codes(const std::int8_t* from) noexcept {
  int bits;
  __builtin_memcpy(&bits, from, sizeof bits);
  return _mm256_set1_epi32(bits);
}

[[nodiscard]] inline lanes load_halves(const std::uint8_t* from) noexcept {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(from)));
}

/// Adds neighbouring 16-bit sums to eight 32-bit sums, as floats.
[[nodiscard]] inline lanes widen(__m256i sums) noexcept {
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
}

/// Pointers to the activation rows of a tile of columns.
template <std::size_t Columns>
struct column_tile {
  const std::int8_t* codes[Columns];
  const float* scales[Columns];
  const float* sums[Columns];

  column_tile(const activation_view& input, std::size_t first) noexcept {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      codes[c] = input.codes + (first + c) * input.stride;
      scales[c] = input.scales + (first + c) * input.block_stride;
      sums[c] = input.sums + (first + c) * input.block_stride;
    }
  }
};

/// Which results a tile computes: from row 8 * half of a group on, from a column on.
struct tile_call {
  const product_call& call;
  std::size_t group;
  std::size_t half;
  std::size_t column;
};

/// `Halves` times eight rows of a Q4_1 group against `Columns` columns. Codes are at most 15 and activations at most
/// 127, so sixteen products (8 * 2 * 15 * 127 = 30480) fit a 16-bit lane and are widened once per block.
template <std::size_t Columns, std::size_t Halves>
inline void q4_1_tile(const tile_call& place) noexcept {
  const product_call& call = place.call;
  const std::uint8_t* group = call.weights + place.group * call.group_bytes;
  const column_tile<Columns> tile(call.input, place.column);
  const std::size_t blocks = call.length / block_elements;
  const __m256i low_nibbles = _mm256_set1_epi8(15);
  lanes total[Halves][Columns];
  DECANT_UNROLL
  for (std::size_t h = 0; h < Halves; ++h) {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) total[h][c] = _mm256_setzero_ps();
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::uint8_t* at = group + b * q4_1_group_block;
    DECANT_UNROLL
    for (std::size_t h = 0; h < Halves; ++h) {
      __m256i low[4];
      __m256i high[4];
      DECANT_UNROLL
      for (std::size_t v = 0; v < 4; ++v) {
        const __m256i bytes = load_bytes(at + 64 * v + 32 * (place.half + h));
        low[v] = _mm256_and_si256(bytes, low_nibbles);
        high[v] = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_nibbles);
      }
      const lanes scale = load_halves(at + 256 + 16 * (place.half + h));
      const lanes minimum = load_halves(at + 288 + 16 * (place.half + h));
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        const std::int8_t* codes = tile.codes[c] + block_elements * b;
        __m256i even = _mm256_maddubs_epi16(low[0], four_codes(codes));
        __m256i odd = _mm256_maddubs_epi16(high[0], four_codes(codes + 16));
        DECANT_UNROLL
        for (std::size_t v = 1; v < 4; ++v) {
          even = _mm256_add_epi16(even, _mm256_maddubs_epi16(low[v], four_codes(codes + 4 * v)));
          odd = _mm256_add_epi16(odd, _mm256_maddubs_epi16(high[v], four_codes(codes + 16 + 4 * v)));
        }
        const lanes dot = widen(_mm256_add_epi16(even, odd));
        const lanes both = _mm256_mul_ps(scale, _mm256_broadcast_ss(tile.scales[c] + b));
        total[h][c] = _mm256_fmadd_ps(dot, both, total[h][c]);
        total[h][c] = _mm256_fmadd_ps(minimum, _mm256_broadcast_ss(tile.sums[c] + b), total[h][c]);
      }
    }
  }
  DECANT_UNROLL
  for (std::size_t h = 0; h < Halves; ++h) {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c)
      put(call, place.column + c, place.group * group_rows + lane_count * (place.half + h), total[h][c]);
  }
}

/// As `q4_1_tile` for Q8_0: |weight| times the activation with the weight's sign. A pair is at most 2 * 128 * 127,
/// which fits 16 bits, and is widened at once.
template <std::size_t Columns, std::size_t Halves>
inline void q8_0_tile(const tile_call& place) noexcept {
  const product_call& call = place.call;
  const std::uint8_t* group = call.weights + place.group * call.group_bytes;
  const column_tile<Columns> tile(call.input, place.column);
  const std::size_t blocks = call.length / block_elements;
  const std::uint8_t* scales = group + blocks * q8_0_group_codes;
  const __m256i ones = _mm256_set1_epi16(1);
  lanes total[Halves][Columns];
  DECANT_UNROLL
  for (std::size_t h = 0; h < Halves; ++h) {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) total[h][c] = _mm256_setzero_ps();
  }
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::uint8_t* at = group + b * q8_0_group_codes;
    DECANT_UNROLL
    for (std::size_t h = 0; h < Halves; ++h) {
      __m256i dot[Columns];
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) dot[c] = _mm256_setzero_si256();
      DECANT_UNROLL
      for (std::size_t v = 0; v < 8; ++v) {
        const __m256i weight = load_bytes(at + 64 * v + 32 * (place.half + h));
        const __m256i magnitude = _mm256_abs_epi8(weight);
        DECANT_UNROLL
        for (std::size_t c = 0; c < Columns; ++c) {
          const __m256i codes = _mm256_sign_epi8(four_codes(tile.codes[c] + block_elements * b + 4 * v), weight);
          const __m256i pairs = _mm256_maddubs_epi16(magnitude, codes);
          dot[c] = _mm256_add_epi32(dot[c], _mm256_madd_epi16(pairs, ones));
        }
      }
      const lanes scale = load_halves(scales + b * q8_0_group_scales + 16 * (place.half + h));
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        const lanes both = _mm256_mul_ps(scale, _mm256_broadcast_ss(tile.scales[c] + b));
        total[h][c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[c]), both, total[h][c]);
      }
    }
  }
  DECANT_UNROLL
  for (std::size_t h = 0; h < Halves; ++h) {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c)
      put(call, place.column + c, place.group * group_rows + lane_count * (place.half + h), total[h][c]);
  }
}

struct q4_1_kernel {
  template <std::size_t Columns, std::size_t Halves>
  static void tile(const tile_call& at) noexcept {
    q4_1_tile<Columns, Halves>(at);
  }
};

struct q8_0_kernel {
  template <std::size_t Columns, std::size_t Halves>
  static void tile(const tile_call& at) noexcept {
    q8_0_tile<Columns, Halves>(at);
  }
};

/// One or two columns keep both halves of a group in registers; three or four take one half at a time.
template <class Kernel>
inline void tile_of_width(const product_call& call, std::size_t group, std::size_t column, std::size_t width) noexcept {
  if (width == 1) return Kernel::template tile<1, 2>({call, group, 0, column});
  if (width == 2) return Kernel::template tile<2, 2>({call, group, 0, column});
  for (std::size_t half = 0; half < 2; ++half) {
    if (width == 3) Kernel::template tile<3, 1>({call, group, half, column});
    if (width == 4) Kernel::template tile<4, 1>({call, group, half, column});
  }
}

template <class Kernel>
inline void product(const product_call& call) noexcept {
  constexpr std::size_t widest = 4;
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    for (std::size_t column = 0; column < call.columns; column += widest) {
      const std::size_t left = call.columns - column;
      tile_of_width<Kernel>(call, g, column, left < widest ? left : widest);
    }
  }
}

inline void product_q4_1(const product_call& call) noexcept { product<q4_1_kernel>(call); }
inline void product_q8_0(const product_call& call) noexcept { product<q8_0_kernel>(call); }

[[nodiscard]] inline const kernel_table& kernels() noexcept {
  static constexpr kernel_table table{product_q4_1, product_q8_0,         product_f32, quantise,
                                      rms_norm,     silu_multiply,        soft_max,    to_half,
                                      score<float>, score<std::uint16_t>, mix<float>,  mix<std::uint16_t>};
  return table;
}

}  // namespace decant::inline DECANT_ABI::cpu::avx2
DECANT_AVX2_END

#endif
#endif
