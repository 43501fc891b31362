// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels for AVX-512; see vocabulary_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_VOCABULARY_AVX512_HPP
#define DECANT_KERNELS_VOCABULARY_AVX512_HPP

#include <decant/kernels/lanes_avx512.hpp>
#include <decant/kernels/vocabulary_table.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX512_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx512 {

[[nodiscard]] inline std::size_t count_bits(unsigned bits) noexcept {
  return static_cast<std::size_t>(__builtin_popcount(bits));
}
inline constexpr unsigned every_lane = 0xFFFF;
[[nodiscard]] inline unsigned bits_at_least(lanes a, lanes b) noexcept { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
/// As in vocabulary_kernels.inl, put together by instructions for masks.
[[nodiscard]] inline std::uint64_t block_bits(const float* block, lanes bar) noexcept {
  const auto of_vector = [&](std::size_t v) { return _mm512_cmp_ps_mask(load(block + 16 * v), bar, _CMP_GE_OQ); };
  return _mm512_kunpackd(_mm512_kunpackw(of_vector(3), of_vector(2)), _mm512_kunpackw(of_vector(1), of_vector(0)));
}
class nan_watch {
 public:
  void include(std::size_t watch, lanes a, lanes b) noexcept {
    ordered_[watch] = _mm512_mask_cmp_ps_mask(ordered_[watch], a, b, _CMP_ORD_Q);
  }
  [[nodiscard]] bool found() const noexcept {
    return (ordered_[0] & ordered_[1] & ordered_[2] & ordered_[3]) != 0xFFFF;
  }

 private:
  __mmask16 ordered_[4] = {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF};
};
inline void greatest_of_each(const lanes (&a)[4], float* to) noexcept {
  const lanes ab = maximum(_mm512_unpacklo_ps(a[0], a[1]), _mm512_unpackhi_ps(a[0], a[1]));
  const lanes cd = maximum(_mm512_unpacklo_ps(a[2], a[3]), _mm512_unpackhi_ps(a[2], a[3]));
  const lanes four = maximum(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
  const __m256 half = _mm256_max_ps(lower(four), upper(four));
  _mm_storeu_ps(to, _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

[[nodiscard]] inline lanes times_power_of_2(lanes p, lanes n) noexcept { return _mm512_scalef_ps(p, n); }

[[nodiscard]] inline __m256 positive_difference(__m256 r, __m256 q, double scale, double factor) noexcept {
  const __m512d scaled = _mm512_mul_pd(_mm512_cvtps_pd(r), _mm512_set1_pd(scale));
  const __m512d left = _mm512_fnmadd_pd(_mm512_set1_pd(factor), _mm512_cvtps_pd(q), scaled);
  return _mm512_cvtpd_ps(_mm512_max_pd(left, _mm512_setzero_pd()));
}
[[nodiscard]] inline lanes positive_difference(lanes r, lanes q, double scale, double factor) noexcept {
  return _mm512_insertf32x8(_mm512_castps256_ps512(positive_difference(lower(r), lower(q), scale, factor)),
                            positive_difference(upper(r), upper(q), scale, factor), 1);
}

[[nodiscard]] inline __m256 blended(__m256 p, __m256 q, const blend_rule& rule) noexcept {
  const __m512d x = _mm512_cvtps_pd(p);
  const __m512d y = _mm512_cvtps_pd(q);
  const __m512d first = _mm512_min_pd(_mm512_mul_pd(_mm512_set1_pd(rule.limit), x), y);
  const __m512d second = _mm512_min_pd(_mm512_mul_pd(_mm512_set1_pd(rule.second_limit), x), y);
  __m512d sum = _mm512_fmadd_pd(_mm512_set1_pd(rule.share), first, _mm512_mul_pd(_mm512_set1_pd(rule.keep), x));
  sum = _mm512_fmadd_pd(_mm512_set1_pd(rule.second_share), second, sum);
  return _mm512_cvtpd_ps(_mm512_max_pd(sum, _mm512_setzero_pd()));
}
[[nodiscard]] inline lanes blended(lanes p, lanes q, const blend_rule& rule) noexcept {
  return _mm512_insertf32x8(_mm512_castps256_ps512(blended(lower(p), lower(q), rule)),
                            blended(upper(p), upper(q), rule), 1);
}

[[nodiscard]] inline lanes fma_minus(lanes a, lanes b, lanes c) noexcept { return _mm512_fmsub_ps(a, b, c); }
[[nodiscard]] inline lanes look_up(const float (&table)[16], lanes a) noexcept {
  return _mm512_permutexvar_ps(_mm512_castps_si512(a), load(table));
}

class wide_sum {
 public:
  wide_sum() noexcept : low_(_mm512_setzero_pd()), high_(_mm512_setzero_pd()) {}
  void include(const lanes (&a)[4]) noexcept {
    const lanes four = add(add(a[0], a[1]), add(a[2], a[3]));
    low_ = _mm512_add_pd(low_, _mm512_cvtps_pd(lower(four)));
    high_ = _mm512_add_pd(high_, _mm512_cvtps_pd(upper(four)));
  }
  [[nodiscard]] double total() const noexcept {
    const __m512d eight = _mm512_add_pd(low_, high_);
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }

 private:
  __m512d low_;
  __m512d high_;
};

inline void put_selected(unsigned bits, const float* from, float* to) noexcept {
  // To a register and from there to memory: compressing into memory takes hundreds of cycles on some processors.
  store(to, _mm512_maskz_compress_ps(static_cast<__mmask16>(bits), load(from)));
}
inline void put_selected(unsigned bits, const std::int32_t* from, std::int32_t* to) noexcept {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), _mm512_loadu_si512(from)));
}
inline void put_selected_ids(unsigned bits, std::int32_t first, std::int32_t* to) noexcept {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i ids = _mm512_add_epi32(_mm512_set1_epi32(first), lane);
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(bits), ids));
}

#include <decant/kernels/vocabulary_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
