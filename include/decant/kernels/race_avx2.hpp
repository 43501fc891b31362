// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The race kernels for AVX2; see race_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_RACE_AVX2_HPP
#define DECANT_KERNELS_RACE_AVX2_HPP

#include <decant/kernels/logarithm.hpp>
#include <decant/kernels/race_table.hpp>
#include <decant/kernels/vocabulary_avx2.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX2_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx2 {

inline constexpr std::size_t race_width = 6;

using pairs = __m256i;

[[nodiscard]] inline pairs splat_pairs(std::uint32_t a) noexcept { return _mm256_set1_epi64x(a); }
[[nodiscard]] inline pairs pairs_from(std::uint32_t first) noexcept {
  return _mm256_add_epi64(splat_pairs(first), _mm256_setr_epi64x(0, 1, 2, 3));
}
[[nodiscard]] inline pairs load_pairs(const std::int32_t* ids) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ids));
}
[[nodiscard]] inline pairs add_halves(pairs a, pairs b) noexcept {
  return _mm256_add_epi64(a, _mm256_srli_epi32(b, 1));
}
[[nodiscard]] inline pairs choose_by_parity(pairs a, pairs b, pairs c) noexcept {
  const __m256d odd = _mm256_castsi256_pd(_mm256_slli_epi64(a, 63));
  return _mm256_castpd_si256(_mm256_blendv_pd(_mm256_castsi256_pd(b), _mm256_castsi256_pd(c), odd));
}
[[nodiscard]] inline pairs wide_products(pairs a, pairs b) noexcept { return _mm256_mul_epu32(a, b); }
[[nodiscard]] inline pairs upper_words(pairs a) noexcept { return _mm256_srli_epi64(a, 32); }
[[nodiscard]] inline pairs exclusive_or(pairs a, pairs b) noexcept { return _mm256_xor_si256(a, b); }
[[nodiscard]] inline pairs exclusive_or(pairs a, pairs b, pairs c) noexcept {
  return exclusive_or(exclusive_or(a, b), c);
}
[[nodiscard]] inline words lower_words(pairs even, pairs odd) noexcept {
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
}

#include <decant/kernels/race_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::avx2
DECANT_AVX2_END

#endif
#endif
