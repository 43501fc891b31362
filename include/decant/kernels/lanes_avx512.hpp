// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sixteen floats in an AVX-512 register; see lanes_scalar.hpp for the meaning of each operation. Sums over lanes keep
// the order of eight lanes.
#ifndef DECANT_KERNELS_LANES_AVX512_HPP
#define DECANT_KERNELS_LANES_AVX512_HPP

#include <decant/kernels/lanes_avx2.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX512_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx512 {

inline constexpr std::size_t lane_count = 16;
/// Columns that products with float activations keep in registers.
inline constexpr std::size_t float_columns = 4;

using lanes = __m512;

[[nodiscard]] inline lanes splat(float x) noexcept { return _mm512_set1_ps(x); }
[[nodiscard]] inline lanes load(const float* from) noexcept { return _mm512_loadu_ps(from); }
[[nodiscard]] inline lanes load(const std::uint16_t* halves) noexcept {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}
[[nodiscard]] inline lanes load(const bfloat16* from) noexcept {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
[[nodiscard]] inline lanes load(const std::uint8_t* from) noexcept {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
[[nodiscard]] inline lanes load(const std::int8_t* from) noexcept {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}
inline void store(float* to, lanes a) noexcept { _mm512_storeu_ps(to, a); }
inline void store(std::uint16_t* halves, lanes a) noexcept {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(halves), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

[[nodiscard]] inline lanes add(lanes a, lanes b) noexcept { return _mm512_add_ps(a, b); }
[[nodiscard]] inline lanes subtract(lanes a, lanes b) noexcept { return _mm512_sub_ps(a, b); }
[[nodiscard]] inline lanes multiply(lanes a, lanes b) noexcept { return _mm512_mul_ps(a, b); }
[[nodiscard]] inline lanes divide(lanes a, lanes b) noexcept { return _mm512_div_ps(a, b); }
[[nodiscard]] inline lanes fma(lanes a, lanes b, lanes c) noexcept { return _mm512_fmadd_ps(a, b, c); }
[[nodiscard]] inline lanes maximum(lanes a, lanes b) noexcept { return _mm512_max_ps(a, b); }
[[nodiscard]] inline lanes minimum(lanes a, lanes b) noexcept { return _mm512_min_ps(a, b); }
[[nodiscard]] inline lanes zero_below(lanes a, lanes x, float limit) noexcept {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_NLT_UQ), a);
}
[[nodiscard]] inline lanes scale_exponent(lanes a, lanes n) noexcept {
  const __m512i steps = _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), steps));
}
[[nodiscard]] inline __m256 lower(lanes a) noexcept { return _mm512_castps512_ps256(a); }
[[nodiscard]] inline __m256 upper(lanes a) noexcept { return _mm512_extractf32x8_ps(a, 1); }
[[nodiscard]] inline float greatest(lanes a) noexcept { return avx2::greatest(avx2::maximum(lower(a), upper(a))); }

class lane_sum {
 public:
  void include(lanes a) noexcept {
    eight_.include(lower(a));
    eight_.include(upper(a));
  }
  [[nodiscard]] float total() const noexcept { return eight_.total(); }

 private:
  avx2::lane_sum eight_;
};

using words = __m512i;

[[nodiscard]] inline words load_words(const std::uint8_t* from) noexcept { return _mm512_loadu_si512(from); }
[[nodiscard]] inline words shift_left(words a, int bits) noexcept {
  return _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits));
}
[[nodiscard]] inline words shift_right(words a, int bits) noexcept {
  return _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits));
}
[[nodiscard]] inline words keep_bits(words a, std::uint32_t mask) noexcept {
  return _mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(mask)));
}
[[nodiscard]] inline words unite(words a, words b) noexcept { return _mm512_or_si512(a, b); }
[[nodiscard]] inline lanes to_floats(words a) noexcept { return _mm512_cvtepi32_ps(a); }
[[nodiscard]] inline words splat_word(std::uint32_t a) noexcept { return _mm512_set1_epi32(static_cast<int>(a)); }
[[nodiscard]] inline words signed_products_start(std::int32_t b_sum) noexcept {
  return _mm512_set1_epi32(-128 * b_sum);
}
/// With a + 128 in place of a: the instruction takes unsigned bytes on one side.
[[nodiscard]] inline words add_signed_products(words sum, words a, words b) noexcept {
  return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(a, splat_word(0x80808080U)), b);
}

[[nodiscard]] inline lanes as_lanes(words a) noexcept { return _mm512_castsi512_ps(a); }
[[nodiscard]] inline words as_words(lanes a) noexcept { return _mm512_castps_si512(a); }
inline void transpose(lanes (&a)[lane_count]) noexcept {
  lanes quads[lane_count];  // quads[4k + c]: columns c, 4 + c, 8 + c and 12 + c of rows 4k..4k+3
  DECANT_UNROLL
  for (std::size_t k = 0; k < lane_count; k += 4) {
    const lanes low01 = _mm512_unpacklo_ps(a[k], a[k + 1]);
    const lanes high01 = _mm512_unpackhi_ps(a[k], a[k + 1]);
    const lanes low23 = _mm512_unpacklo_ps(a[k + 2], a[k + 3]);
    const lanes high23 = _mm512_unpackhi_ps(a[k + 2], a[k + 3]);
    quads[k] = _mm512_shuffle_ps(low01, low23, 0x44);
    quads[k + 1] = _mm512_shuffle_ps(low01, low23, 0xEE);
    quads[k + 2] = _mm512_shuffle_ps(high01, high23, 0x44);
    quads[k + 3] = _mm512_shuffle_ps(high01, high23, 0xEE);
  }
  DECANT_UNROLL
  for (std::size_t c = 0; c < 4; ++c) {
    const lanes upper_rows_low = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0x44);
    const lanes upper_rows_high = _mm512_shuffle_f32x4(quads[c], quads[4 + c], 0xEE);
    const lanes lower_rows_low = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0x44);
    const lanes lower_rows_high = _mm512_shuffle_f32x4(quads[8 + c], quads[12 + c], 0xEE);
    a[c] = _mm512_shuffle_f32x4(upper_rows_low, lower_rows_low, 0x88);
    a[4 + c] = _mm512_shuffle_f32x4(upper_rows_low, lower_rows_low, 0xDD);
    a[8 + c] = _mm512_shuffle_f32x4(upper_rows_high, lower_rows_high, 0x88);
    a[12 + c] = _mm512_shuffle_f32x4(upper_rows_high, lower_rows_high, 0xDD);
  }
}

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
