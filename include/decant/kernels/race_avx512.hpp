// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The race kernels for AVX-512; see race_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_RACE_AVX512_HPP
#define DECANT_KERNELS_RACE_AVX512_HPP

#include <decant/kernels/logarithm.hpp>
#include <decant/kernels/race_table.hpp>
#include <decant/kernels/vocabulary_avx512.hpp>

#if DECANT_HAS_X86_KERNELS()

DECANT_AVX512_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx512 {

inline constexpr std::size_t race_width = 6;

using pairs = __m512i;

[[nodiscard]] inline pairs splat_pairs(std::uint32_t a) noexcept { return _mm512_set1_epi64(a); }
[[nodiscard]] inline pairs pairs_from(std::uint32_t first) noexcept {
  return _mm512_add_epi64(splat_pairs(first), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
}
[[nodiscard]] inline pairs load_pairs(const std::int32_t* ids) noexcept { return _mm512_loadu_si512(ids); }
[[nodiscard]] inline pairs add_halves(pairs a, pairs b) noexcept {
  return _mm512_add_epi64(a, _mm512_srli_epi32(b, 1));
}
[[nodiscard]] inline pairs choose_by_parity(pairs a, pairs b, pairs c) noexcept {
  return _mm512_mask_blend_epi64(_mm512_test_epi64_mask(a, _mm512_set1_epi64(1)), b, c);
}
[[nodiscard]] inline pairs wide_products(pairs a, pairs b) noexcept { return _mm512_mul_epu32(a, b); }
[[nodiscard]] inline pairs upper_words(pairs a) noexcept { return _mm512_srli_epi64(a, 32); }
[[nodiscard]] inline pairs exclusive_or(pairs a, pairs b) noexcept { return _mm512_xor_si512(a, b); }
[[nodiscard]] inline pairs exclusive_or(pairs a, pairs b, pairs c) noexcept {
  return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}
[[nodiscard]] inline words lower_words(pairs even, pairs odd) noexcept {
  return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}

#include <decant/kernels/race_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::avx512
DECANT_AVX512_END

#endif
#endif
