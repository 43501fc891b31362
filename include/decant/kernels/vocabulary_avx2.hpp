// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels for AVX2; see vocabulary_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_VOCABULARY_AVX2_HPP
#define DECANT_KERNELS_VOCABULARY_AVX2_HPP

#include <decant/kernels/lanes_avx2.hpp>
#include <decant/kernels/vocabulary_table.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX2_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx2 {

[[nodiscard]] inline std::size_t count_bits(unsigned bits) noexcept {
  return static_cast<std::size_t>(__builtin_popcount(bits));
}
inline constexpr unsigned every_lane = 0xFF;
[[nodiscard]] inline unsigned bits_at_least(lanes a, lanes b) noexcept {
  return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)));
}
class nan_watch {
 public:
  nan_watch() noexcept : seen_(_mm256_setzero_ps()) {}
  void include(std::size_t, lanes a, lanes b) noexcept {
    seen_ = _mm256_or_ps(seen_, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
  }
  [[nodiscard]] bool found() const noexcept { return _mm256_movemask_ps(seen_) != 0; }

 private:
  lanes seen_;
};
inline void greatest_of_each(const lanes (&a)[4], float* to) noexcept {
  const lanes ab = maximum(_mm256_unpacklo_ps(a[0], a[1]), _mm256_unpackhi_ps(a[0], a[1]));
  const lanes cd = maximum(_mm256_unpacklo_ps(a[2], a[3]), _mm256_unpackhi_ps(a[2], a[3]));
  const lanes four = maximum(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xEE));
  _mm_storeu_ps(to, _mm_max_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1)));
}

[[nodiscard]] inline lanes times_power_of_2(lanes p, lanes n) noexcept {
  const __m256i power = _mm256_cvtps_epi32(_mm256_floor_ps(n));
  const __m256i half = _mm256_srai_epi32(power, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(power, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}

[[nodiscard]] inline __m128 positive_difference(__m128 r, __m128 q, double scale, double factor) noexcept {
  const __m256d scaled = _mm256_mul_pd(_mm256_cvtps_pd(r), _mm256_set1_pd(scale));
  const __m256d left = _mm256_fnmadd_pd(_mm256_set1_pd(factor), _mm256_cvtps_pd(q), scaled);
  return _mm256_cvtpd_ps(_mm256_max_pd(left, _mm256_setzero_pd()));
}
[[nodiscard]] inline lanes positive_difference(lanes r, lanes q, double scale, double factor) noexcept {
  const __m128 low = positive_difference(_mm256_castps256_ps128(r), _mm256_castps256_ps128(q), scale, factor);
  const __m128 high = positive_difference(_mm256_extractf128_ps(r, 1), _mm256_extractf128_ps(q, 1), scale, factor);
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}

[[nodiscard]] inline __m128 blended(__m128 p, __m128 q, const blend_rule& rule) noexcept {
  const __m256d x = _mm256_cvtps_pd(p);
  const __m256d y = _mm256_cvtps_pd(q);
  const __m256d first = _mm256_min_pd(_mm256_mul_pd(_mm256_set1_pd(rule.limit), x), y);
  const __m256d second = _mm256_min_pd(_mm256_mul_pd(_mm256_set1_pd(rule.second_limit), x), y);
  __m256d sum = _mm256_fmadd_pd(_mm256_set1_pd(rule.share), first, _mm256_mul_pd(_mm256_set1_pd(rule.keep), x));
  sum = _mm256_fmadd_pd(_mm256_set1_pd(rule.second_share), second, sum);
  return _mm256_cvtpd_ps(_mm256_max_pd(sum, _mm256_setzero_pd()));
}
[[nodiscard]] inline lanes blended(lanes p, lanes q, const blend_rule& rule) noexcept {
  const __m128 low = blended(_mm256_castps256_ps128(p), _mm256_castps256_ps128(q), rule);
  const __m128 high = blended(_mm256_extractf128_ps(p, 1), _mm256_extractf128_ps(q, 1), rule);
  return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}

[[nodiscard]] inline lanes fma_minus(lanes a, lanes b, lanes c) noexcept { return _mm256_fmsub_ps(a, b, c); }
[[nodiscard]] inline lanes look_up(const float (&table)[16], lanes a) noexcept {
  const __m256i bits = _mm256_castps_si256(a);
  const lanes low = _mm256_permutevar8x32_ps(load(table), bits);
  const lanes high = _mm256_permutevar8x32_ps(load(table + 8), bits);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(bits, 28)));
}

class wide_sum {
 public:
  wide_sum() noexcept {
    DECANT_UNROLL
    for (int i = 0; i < 4; ++i) part_[i] = _mm256_setzero_pd();
  }
  void include(const lanes (&a)[8]) noexcept {
    const lanes low = add(add(a[0], a[2]), add(a[4], a[6]));
    const lanes high = add(add(a[1], a[3]), add(a[5], a[7]));
    part_[0] = _mm256_add_pd(part_[0], _mm256_cvtps_pd(_mm256_castps256_ps128(low)));
    part_[1] = _mm256_add_pd(part_[1], _mm256_cvtps_pd(_mm256_extractf128_ps(low, 1)));
    part_[2] = _mm256_add_pd(part_[2], _mm256_cvtps_pd(_mm256_castps256_ps128(high)));
    part_[3] = _mm256_add_pd(part_[3], _mm256_cvtps_pd(_mm256_extractf128_ps(high, 1)));
  }
  [[nodiscard]] double total() const noexcept {
    const __m256d four = _mm256_add_pd(_mm256_add_pd(part_[0], part_[2]), _mm256_add_pd(part_[1], part_[3]));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
  }

 private:
  __m256d part_[4];
};

template <class T>
inline void put_selected(unsigned bits, const T* from, T* to) noexcept {
  for (; bits != 0; bits &= bits - 1) *to++ = from[__builtin_ctz(bits)];
}
inline void put_selected_ids(unsigned bits, std::int32_t first, std::int32_t* to) noexcept {
  for (; bits != 0; bits &= bits - 1) *to++ = first + __builtin_ctz(bits);
}

#include <decant/kernels/vocabulary_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::avx2
DECANT_AVX2_END

#endif
#endif
