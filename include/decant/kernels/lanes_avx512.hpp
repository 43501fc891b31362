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

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
