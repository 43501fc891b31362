// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The AVX-512 intrinsics that the kernels use, on pairs of AVX2 registers, written from the definition of each
// instruction. Included before the kernels, it makes them run, slowly, on a processor without AVX-512.
#ifndef DECANT_TESTS_AVX512_EMULATION_EMULATED_AVX512_HPP
#define DECANT_TESTS_AVX512_EMULATION_EMULATED_AVX512_HPP

// Emulated kernels must not be taken for the real ones that other objects of the program may hold under their names.
#define DECANT_ABI with_emulated_avx512

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
struct doubles {
  __m256d low;
  __m256d high;
};
struct integers {
  __m256i low;
  __m256i high;
};
using mask = std::uint16_t;
using mask8 = std::uint8_t;

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
inline floats fmsub_ps(floats a, floats b, floats c) {
  return {_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)};
}
inline __m256 castps512_ps256(floats a) { return a.low; }
inline floats castps256_ps512(__m256 a) { return {a, _mm256_setzero_ps()}; }
inline __m256 extractf32x8_ps(floats a, int index) { return index == 0 ? a.low : a.high; }
inline floats insertf32x8(floats a, __m256 half, int index) {
  return index == 0 ? floats{half, a.high} : floats{a.low, half};
}

inline doubles setzero_pd() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
inline doubles set1_pd(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
inline doubles add_pd(doubles a, doubles b) { return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)}; }
inline doubles mul_pd(doubles a, doubles b) { return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)}; }
inline doubles max_pd(doubles a, doubles b) { return {_mm256_max_pd(a.low, b.low), _mm256_max_pd(a.high, b.high)}; }
inline doubles min_pd(doubles a, doubles b) { return {_mm256_min_pd(a.low, b.low), _mm256_min_pd(a.high, b.high)}; }
inline doubles fmadd_pd(doubles a, doubles b, doubles c) {
  return {_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
inline doubles fnmadd_pd(doubles a, doubles b, doubles c) {
  return {_mm256_fnmadd_pd(a.low, b.low, c.low), _mm256_fnmadd_pd(a.high, b.high, c.high)};
}
inline __m256d castpd512_pd256(doubles a) { return a.low; }
inline __m256d extractf64x4_pd(doubles a, int index) { return index == 0 ? a.low : a.high; }
inline doubles cvtps_pd(__m256 a) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(a)), _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1))};
}
inline __m256 cvtpd_ps(doubles a) { return _mm256_set_m128(_mm256_cvtpd_ps(a.high), _mm256_cvtpd_ps(a.low)); }

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

template <int Predicate>
inline mask compare(floats a, floats b) {
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, Predicate));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, Predicate));
  return static_cast<mask>(low | high << 8);
}
/// Bit i: whether the predicate, one of those that the kernels use, holds for a[i] and b[i].
inline mask compare(floats a, floats b, int predicate) {
  switch (predicate) {
    case _CMP_NLT_UQ: return compare<_CMP_NLT_UQ>(a, b);
    case _CMP_GE_OQ: return compare<_CMP_GE_OQ>(a, b);
    case _CMP_ORD_Q: return compare<_CMP_ORD_Q>(a, b);
    default: __builtin_trap();
  }
}
inline mask compare_where(mask where, floats a, floats b, int predicate) {
  return static_cast<mask>(where & compare(a, b, predicate));
}
inline std::uint32_t kunpackw(std::uint32_t a, std::uint32_t b) { return a << 16 | (b & 0xFFFFU); }
inline std::uint64_t kunpackd(std::uint64_t a, std::uint64_t b) { return a << 32 | (b & 0xFFFFFFFFU); }
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
inline void storeu_si512(void* to, integers a) {
  auto* at = static_cast<__m256i*>(to);
  _mm256_storeu_si256(at, a.low);
  _mm256_storeu_si256(at + 1, a.high);
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

inline integers srli_epi32(integers a, unsigned bits) {
  return {_mm256_srli_epi32(a.low, static_cast<int>(bits)), _mm256_srli_epi32(a.high, static_cast<int>(bits))};
}

inline integers set1_epi64(long long x) { return {_mm256_set1_epi64x(x), _mm256_set1_epi64x(x)}; }
inline integers setr_epi64(long long a, long long b, long long c, long long d, long long e, long long f, long long g,
                           long long h) {
  return {_mm256_setr_epi64x(a, b, c, d), _mm256_setr_epi64x(e, f, g, h)};
}
inline integers add_epi64(integers a, integers b) {
  return {_mm256_add_epi64(a.low, b.low), _mm256_add_epi64(a.high, b.high)};
}
inline integers mul_epu32(integers a, integers b) {
  return {_mm256_mul_epu32(a.low, b.low), _mm256_mul_epu32(a.high, b.high)};
}
inline integers slli_epi64(integers a, unsigned bits) {
  return {_mm256_slli_epi64(a.low, static_cast<int>(bits)), _mm256_slli_epi64(a.high, static_cast<int>(bits))};
}
inline integers srli_epi64(integers a, unsigned bits) {
  return {_mm256_srli_epi64(a.low, static_cast<int>(bits)), _mm256_srli_epi64(a.high, static_cast<int>(bits))};
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
/// VPTERNLOGQ: bit i of the table is the result for the bits i / 4 of a, i / 2 % 2 of b and i % 2 of c.
inline integers ternarylogic_epi64(integers a, integers b, integers c, unsigned table) {
  std::uint64_t x[8], y[8], z[8], out[8] = {};
  storeu_si512(x, a);
  storeu_si512(y, b);
  storeu_si512(z, c);
  for (unsigned i = 0; i < 8; ++i) {
    for (unsigned row = 0; row < 8; ++row) {
      if ((table >> row & 1U) == 0) continue;
      out[i] |= ((row & 4U) != 0 ? x[i] : ~x[i]) & ((row & 2U) != 0 ? y[i] : ~y[i]) & ((row & 1U) != 0 ? z[i] : ~z[i]);
    }
  }
  return loadu_si512(out);
}
/// VPTESTMQ: bit i: whether a[i] and b[i] have a bit in common.
inline mask8 test_epi64_mask(integers a, integers b) {
  std::uint64_t common[8];
  storeu_si512(common, and_si512(a, b));
  unsigned bits = 0;
  for (unsigned i = 0; i < 8; ++i) bits |= (common[i] != 0 ? 1U : 0U) << i;
  return static_cast<mask8>(bits);
}
/// VPBLENDMD, VPBLENDMQ: b where the bit of a lane is set, else a.
inline integers mask_blend_epi32(mask from_b, integers a, integers b) {
  std::uint32_t out[16], other[16];
  storeu_si512(out, a);
  storeu_si512(other, b);
  for (int i = 0; i < 16; ++i) out[i] = (from_b >> i & 1) != 0 ? other[i] : out[i];
  return loadu_si512(out);
}
inline integers mask_blend_epi64(mask8 from_b, integers a, integers b) {
  std::uint64_t out[8], other[8];
  storeu_si512(out, a);
  storeu_si512(other, b);
  for (int i = 0; i < 8; ++i) out[i] = (from_b >> i & 1) != 0 ? other[i] : out[i];
  return loadu_si512(out);
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

/// VSCALEFPS: a 2^floor(b), rounded once; NaN where a or b is. (With infinities beside NaN the instruction knows more.)
inline floats scalef_ps(floats a, floats b) {
  float values[16], powers[16];
  storeu_ps(values, a);
  storeu_ps(powers, b);
  for (int i = 0; i < 16; ++i) {
    if (powers[i] != powers[i]) values[i] = powers[i];
    if (values[i] == values[i]) values[i] = __builtin_scalbnf(values[i], static_cast<int>(__builtin_floorf(powers[i])));
  }
  return loadu_ps(values);
}
/// VPERMPS: the floats of a that the last four bits of each index name.
inline floats permutexvar_ps(integers indices, floats a) {
  std::uint32_t at[16];
  float from[16], out[16];
  storeu_si512(at, indices);
  storeu_ps(from, a);
  for (int i = 0; i < 16; ++i) out[i] = from[at[i] & 15U];
  return loadu_ps(out);
}
/// VPCOMPRESSD: the lanes to keep one after the other, then zeros.
inline integers maskz_compress_epi32(mask keep, integers a) {
  std::int32_t from[16], out[16] = {};
  storeu_si512(from, a);
  int kept = 0;
  for (int i = 0; i < 16; ++i) {
    if ((keep >> i & 1) != 0) out[kept++] = from[i];
  }
  return loadu_si512(out);
}
inline floats maskz_compress_ps(mask keep, floats a) {
  return castsi512_ps(maskz_compress_epi32(keep, castps_si512(a)));
}
template <class... Words>
inline integers setr_epi32(Words... words) {
  const std::int32_t lanes[16] = {words...};
  return loadu_si512(lanes);
}

}  // namespace emulated
DECANT_AVX2_END

#define __m512 emulated::floats
#define __m512d emulated::doubles
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
#define _mm512_fmsub_ps emulated::fmsub_ps
#undef _mm512_scalef_ps
#define _mm512_scalef_ps emulated::scalef_ps
#define _mm512_castps512_ps256 emulated::castps512_ps256
#define _mm512_castps256_ps512 emulated::castps256_ps512
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps emulated::extractf32x8_ps
#undef _mm512_insertf32x8
#define _mm512_insertf32x8 emulated::insertf32x8
#define _mm512_setzero_pd emulated::setzero_pd
#define _mm512_set1_pd emulated::set1_pd
#define _mm512_add_pd emulated::add_pd
#define _mm512_mul_pd emulated::mul_pd
#define _mm512_max_pd emulated::max_pd
#define _mm512_min_pd emulated::min_pd
#define _mm512_fmadd_pd emulated::fmadd_pd
#define _mm512_fnmadd_pd emulated::fnmadd_pd
#define _mm512_castpd512_pd256 emulated::castpd512_pd256
#undef _mm512_extractf64x4_pd
#define _mm512_extractf64x4_pd emulated::extractf64x4_pd
#undef _mm512_cvtps_pd
#define _mm512_cvtps_pd emulated::cvtps_pd
#undef _mm512_cvtpd_ps
#define _mm512_cvtpd_ps emulated::cvtpd_ps
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
#undef _mm512_mask_cmp_ps_mask
#define _mm512_mask_cmp_ps_mask emulated::compare_where
#define _mm512_kunpackw emulated::kunpackw
#define _mm512_kunpackd emulated::kunpackd
#define _mm512_maskz_mov_ps emulated::maskz_mov_ps
#define _mm512_loadu_si512 emulated::loadu_si512
#define _mm512_storeu_si512 emulated::storeu_si512
#define _mm512_set1_epi32 emulated::set1_epi32
#undef _mm512_setr_epi32
#define _mm512_setr_epi32 emulated::setr_epi32
#define _mm512_add_epi32 emulated::add_epi32
#define _mm512_and_si512 emulated::and_si512
#define _mm512_or_si512 emulated::or_si512
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 emulated::slli_epi32
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 emulated::srli_epi32
#define _mm512_set1_epi64 emulated::set1_epi64
#undef _mm512_setr_epi64
#define _mm512_setr_epi64 emulated::setr_epi64
#define _mm512_add_epi64 emulated::add_epi64
#define _mm512_mul_epu32 emulated::mul_epu32
#undef _mm512_slli_epi64
#define _mm512_slli_epi64 emulated::slli_epi64
#undef _mm512_srli_epi64
#define _mm512_srli_epi64 emulated::srli_epi64
#undef _mm512_ternarylogic_epi64
#define _mm512_ternarylogic_epi64 emulated::ternarylogic_epi64
#define _mm512_test_epi64_mask emulated::test_epi64_mask
#define _mm512_mask_blend_epi32 emulated::mask_blend_epi32
#define _mm512_mask_blend_epi64 emulated::mask_blend_epi64
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

#define _mm512_permutexvar_ps emulated::permutexvar_ps
#define _mm512_maskz_compress_ps emulated::maskz_compress_ps
#define _mm512_maskz_compress_epi32 emulated::maskz_compress_epi32

#endif
#endif
