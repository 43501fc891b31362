// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX-512 intrinsics that the kernels use, on pairs of AVX2 registers, written from the definition of each
// instruction. Included before the kernels, it makes them run, slowly, on a processor without AVX-512.
#ifndef DECANT_TESTS_AVX512_EMULATION_EMULATED_AVX512_HPP
#define DECANT_TESTS_AVX512_EMULATION_EMULATED_AVX512_HPP

#include <decant/config.hpp>

// Emulated code is AVX2 code.
#define DECANT_AVX512_BEGIN DECANT_AVX2_BEGIN
#define DECANT_AVX512_END DECANT_AVX2_END

#include <decant/kernels/cpu_features.hpp>

#if DECANT_HAS_X86_KERNELS()
#include <immintrin.h>

#include <cstdint>

DECANT_AVX2_BEGIN
namespace emulated {

struct floats {
  __m256 low;
  __m256 high;
};
struct integers {
  __m256i low;
  __m256i high;
};
using mask = std::uint16_t;

inline floats set1_ps(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline floats loadu_ps(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
inline void storeu_ps(float* to, floats a) {
  _mm256_storeu_ps(to, a.low);
  _mm256_storeu_ps(to + 8, a.high);
}
inline floats add_ps(floats a, floats b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
inline floats sub_ps(floats a, floats b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
inline floats mul_ps(floats a, floats b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
inline floats div_ps(floats a, floats b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
inline floats max_ps(floats a, floats b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
inline floats min_ps(floats a, floats b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
inline floats fmadd_ps(floats a, floats b, floats c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline __m256 castps512_ps256(floats a) { return a.low; }
inline __m256 extractf32x8_ps(floats a, int index) { return index == 0 ? a.low : a.high; }

inline integers castps_si512(floats a) { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }
inline floats castsi512_ps(integers a) { return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)}; }
inline floats cvtepi32_ps(integers a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
inline integers cvtps_epi32(floats a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
inline floats cvtph_ps(__m256i a) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))};
}
inline integers cvtepu16_epi32(__m256i a) {
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))};
}
inline integers cvtepu8_epi32(__m128i a) {
  return {_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_srli_si128(a, 8))};
}
inline integers cvtepi8_epi32(__m128i a) {
  return {_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8))};
}

/// Bit i: not a[i] < b[i], true for NaN: the one predicate that the kernels use.
inline mask compare(floats a, floats b, int predicate) {
  if (predicate != _CMP_NLT_UQ) return 0;
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, _CMP_NLT_UQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, _CMP_NLT_UQ));
  return static_cast<mask>(low | high << 8);
}
inline floats maskz_mov_ps(mask keep, floats a) {
  float values[16];
  storeu_ps(values, a);
  for (int i = 0; i < 16; ++i) {
    if ((keep >> i & 1) == 0) values[i] = 0.0F;
  }
  return loadu_ps(values);
}

inline integers loadu_si512(const void* from) {
  const auto* at = static_cast<const __m256i*>(from);
  return {_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
inline integers set1_epi32(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline integers add_epi32(integers a, integers b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline integers and_si512(integers a, integers b) {
  return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline integers or_si512(integers a, integers b) {
  return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline integers slli_epi32(integers a, int bits) {
  return {_mm256_slli_epi32(a.low, bits), _mm256_slli_epi32(a.high, bits)};
}
inline integers sll_epi32(integers a, __m128i bits) {
  return {_mm256_sll_epi32(a.low, bits), _mm256_sll_epi32(a.high, bits)};
}
inline integers srl_epi32(integers a, __m128i bits) {
  return {_mm256_srl_epi32(a.low, bits), _mm256_srl_epi32(a.high, bits)};
}

/// VPDPBUSD: sum[i] += the four products of unsigned bytes of a with signed bytes of b, without saturation.
inline integers dpbusd_epi32(integers sum, integers a, integers b) {
  std::int32_t sums[16];
  std::uint8_t left[64];
  std::int8_t right[64];
  __builtin_memcpy(sums, &sum, sizeof sums);
  __builtin_memcpy(left, &a, sizeof left);
  __builtin_memcpy(right, &b, sizeof right);
  for (int i = 0; i < 64; ++i) sums[i / 4] += left[i] * right[i];
  return loadu_si512(sums);
}

inline integers xor_si512(integers a, integers b) {
  return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}
inline floats unpacklo_ps(floats a, floats b) {
  return {_mm256_unpacklo_ps(a.low, b.low), _mm256_unpacklo_ps(a.high, b.high)};
}
inline floats unpackhi_ps(floats a, floats b) {
  return {_mm256_unpackhi_ps(a.low, b.low), _mm256_unpackhi_ps(a.high, b.high)};
}
/// VSHUFPS: of every four floats, two of a and two of b.
inline floats shuffle_ps(floats a, floats b, unsigned choice) {
  float left[16], right[16], out[16];
  storeu_ps(left, a);
  storeu_ps(right, b);
  for (unsigned i = 0; i < 16; ++i) out[i] = (i % 4 < 2 ? left : right)[i / 4 * 4 + (choice >> 2 * (i % 4) & 3U)];
  return loadu_ps(out);
}
/// VSHUFF32X4: two groups of four floats of a, then two of b.
inline floats shuffle_f32x4(floats a, floats b, unsigned choice) {
  float left[16], right[16], out[16];
  storeu_ps(left, a);
  storeu_ps(right, b);
  for (unsigned i = 0; i < 16; ++i) out[i] = (i < 8 ? left : right)[(choice >> 2 * (i / 4) & 3U) * 4 + i % 4];
  return loadu_ps(out);
}

}  // namespace emulated
DECANT_AVX2_END

#define __m512 emulated::floats
#define __m512i emulated::integers
#define _mm512_set1_ps emulated::set1_ps
#define _mm512_loadu_ps emulated::loadu_ps
#define _mm512_storeu_ps emulated::storeu_ps
#define _mm512_add_ps emulated::add_ps
#define _mm512_sub_ps emulated::sub_ps
#define _mm512_mul_ps emulated::mul_ps
#define _mm512_div_ps emulated::div_ps
#define _mm512_max_ps emulated::max_ps
#define _mm512_min_ps emulated::min_ps
#define _mm512_fmadd_ps emulated::fmadd_ps
#define _mm512_castps512_ps256 emulated::castps512_ps256
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps emulated::extractf32x8_ps
#define _mm512_castps_si512 emulated::castps_si512
#define _mm512_castsi512_ps emulated::castsi512_ps
#define _mm512_cvtepi32_ps emulated::cvtepi32_ps
#define _mm512_cvtps_epi32 emulated::cvtps_epi32
#define _mm512_cvtph_ps emulated::cvtph_ps
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph(a, rounding) \
  _mm256_set_m128i(_mm256_cvtps_ph((a).high, rounding), _mm256_cvtps_ph((a).low, rounding))
#define _mm512_cvtepu16_epi32 emulated::cvtepu16_epi32
#define _mm512_cvtepu8_epi32 emulated::cvtepu8_epi32
#define _mm512_cvtepi8_epi32 emulated::cvtepi8_epi32
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask emulated::compare
#define _mm512_maskz_mov_ps emulated::maskz_mov_ps
#define _mm512_loadu_si512 emulated::loadu_si512
#define _mm512_set1_epi32 emulated::set1_epi32
#define _mm512_add_epi32 emulated::add_epi32
#define _mm512_and_si512 emulated::and_si512
#define _mm512_or_si512 emulated::or_si512
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 emulated::slli_epi32
#define _mm512_sll_epi32 emulated::sll_epi32
#define _mm512_srl_epi32 emulated::srl_epi32
#define _mm512_dpbusd_epi32 emulated::dpbusd_epi32
#define _mm512_xor_si512 emulated::xor_si512
#define _mm512_unpacklo_ps emulated::unpacklo_ps
#define _mm512_unpackhi_ps emulated::unpackhi_ps
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps emulated::shuffle_ps
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 emulated::shuffle_f32x4

#endif
#endif
