// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Eight floats in an AVX2 register; see lanes_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_LANES_AVX2_HPP
#define DECANT_KERNELS_LANES_AVX2_HPP

#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/float16.hpp>
#include <decant/kernels/kernel_table.hpp>

#if DECANT_HAS_X86_KERNELS()
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

DECANT_AVX2_BEGIN
namespace decant::inline DECANT_ABI::cpu::avx2 {

inline constexpr std::size_t lane_count = 8;
/// Columns that products with float activations keep in registers.
inline constexpr std::size_t float_columns = 2;

using lanes = __m256;

[[nodiscard]] inline lanes splat(float x) noexcept { return _mm256_set1_ps(x); }
[[nodiscard]] inline lanes load(const float* from) noexcept { return _mm256_loadu_ps(from); }
[[nodiscard]] inline lanes load(const std::uint16_t* halves) noexcept {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}
[[nodiscard]] inline lanes load(const bfloat16* from) noexcept {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
[[nodiscard]] inline lanes load(const std::uint8_t* from) noexcept {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
[[nodiscard]] inline lanes load(const std::int8_t* from) noexcept {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
inline void store(float* to, lanes a) noexcept { _mm256_storeu_ps(to, a); }
inline void store(std::uint16_t* halves, lanes a) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

[[nodiscard]] inline lanes add(lanes a, lanes b) noexcept { return _mm256_add_ps(a, b); }
[[nodiscard]] inline lanes subtract(lanes a, lanes b) noexcept { return _mm256_sub_ps(a, b); }
[[nodiscard]] inline lanes multiply(lanes a, lanes b) noexcept { return _mm256_mul_ps(a, b); }
[[nodiscard]] inline lanes divide(lanes a, lanes b) noexcept { return _mm256_div_ps(a, b); }
[[nodiscard]] inline lanes fma(lanes a, lanes b, lanes c) noexcept { return _mm256_fmadd_ps(a, b, c); }
[[nodiscard]] inline lanes maximum(lanes a, lanes b) noexcept { return _mm256_max_ps(a, b); }
[[nodiscard]] inline lanes minimum(lanes a, lanes b) noexcept { return _mm256_min_ps(a, b); }
[[nodiscard]] inline lanes zero_below(lanes a, lanes x, float limit) noexcept {
  return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ), a);
}
[[nodiscard]] inline lanes scale_exponent(lanes a, lanes n) noexcept {
  const __m256i steps = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), steps));
}
[[nodiscard]] inline float sum(lanes a) noexcept {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
[[nodiscard]] inline float greatest(lanes a) noexcept {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

class lane_sum {
 public:
  lane_sum() noexcept : total_(_mm256_setzero_ps()) {}
  void include(lanes a) noexcept { total_ = add(total_, a); }
  [[nodiscard]] float total() const noexcept { return sum(total_); }

 private:
  lanes total_;
};

[[nodiscard]] inline double sum_of_squares(const float* x, std::size_t count) noexcept {
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
  for (std::size_t i = 0; i < count; i += lane_count) {
    const __m256d a = _mm256_cvtps_pd(_mm_loadu_ps(x + i));
    const __m256d b = _mm256_cvtps_pd(_mm_loadu_ps(x + i + 4));
    low = _mm256_fmadd_pd(a, a, low);
    high = _mm256_fmadd_pd(b, b, high);
  }
  const __m256d four = _mm256_add_pd(low, high);
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

using words = __m256i;

[[nodiscard]] inline words load_words(const std::uint8_t* from) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
[[nodiscard]] inline words shift_left(words a, int bits) noexcept { return _mm256_slli_epi32(a, bits); }
[[nodiscard]] inline words shift_right(words a, int bits) noexcept { return _mm256_srli_epi32(a, bits); }
[[nodiscard]] inline words keep_bits(words a, std::uint32_t mask) noexcept {
  return _mm256_and_si256(a, _mm256_set1_epi32(static_cast<int>(mask)));
}
[[nodiscard]] inline words unite(words a, words b) noexcept { return _mm256_or_si256(a, b); }
[[nodiscard]] inline lanes to_floats(words a) noexcept { return _mm256_cvtepi32_ps(a); }
[[nodiscard]] inline words splat_word(std::uint32_t a) noexcept { return _mm256_set1_epi32(static_cast<int>(a)); }
[[nodiscard]] inline words signed_products_start(std::int32_t) noexcept { return _mm256_setzero_si256(); }
/// The sign of a goes to b: sums of two products then fit 16 bits, 2 * 128 * 127 < 2^15.
[[nodiscard]] inline words add_signed_products(words sum, words a, words b) noexcept {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

[[nodiscard]] inline lanes as_lanes(words a) noexcept { return _mm256_castsi256_ps(a); }
[[nodiscard]] inline words as_words(lanes a) noexcept { return _mm256_castps_si256(a); }
inline void transpose(lanes (&a)[lane_count]) noexcept {
  lanes quads[lane_count];  // quads[4k + c]: column c, and column 4 + c, of rows 4k..4k+3
  DECANT_UNROLL
  for (std::size_t k = 0; k < lane_count; k += 4) {
    const lanes low01 = _mm256_unpacklo_ps(a[k], a[k + 1]);
    const lanes high01 = _mm256_unpackhi_ps(a[k], a[k + 1]);
    const lanes low23 = _mm256_unpacklo_ps(a[k + 2], a[k + 3]);
    const lanes high23 = _mm256_unpackhi_ps(a[k + 2], a[k + 3]);
    quads[k] = _mm256_shuffle_ps(low01, low23, 0x44);
    quads[k + 1] = _mm256_shuffle_ps(low01, low23, 0xEE);
    quads[k + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
    quads[k + 3] = _mm256_shuffle_ps(high01, high23, 0xEE);
  }
  DECANT_UNROLL
  for (std::size_t c = 0; c < 4; ++c) {
    a[c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x20);
    a[4 + c] = _mm256_permute2f128_ps(quads[c], quads[4 + c], 0x31);
  }
}

[[nodiscard]] inline std::int32_t sum_of_words(__m256i a) noexcept {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1));
  return _mm_cvtsi128_si32(four);
}

inline void quantise_block(const float* x, activation_block& to) noexcept {
  const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
  __m256i greatest8 = _mm256_setzero_si256();
  for (std::size_t i = 0; i < block_elements; i += lane_count) {
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + i)), magnitude);
    greatest8 = _mm256_max_epi32(greatest8, bits);
  }
  __m128i greatest4 = _mm_max_epi32(_mm256_castsi256_si128(greatest8), _mm256_extracti128_si256(greatest8, 1));
  greatest4 = _mm_max_epi32(greatest4, _mm_shuffle_epi32(greatest4, 0x4E));
  greatest4 = _mm_max_epi32(greatest4, _mm_shuffle_epi32(greatest4, 0xB1));
  const float greatest = _mm_cvtss_f32(_mm_castsi128_ps(greatest4));
  const bool finite = _mm_cvtsi128_si32(greatest4) < 0x7F800000;
  const bool usable = finite && greatest > 1e-30F;
  if (!usable) {
    to = {};
    to.scale = finite ? 0.0F : __builtin_nanf("");
    to.sum = to.scale;
    return;
  }
  const lanes inverse = _mm256_set1_ps(127.0F / greatest);
  const auto code = [&](std::size_t i) { return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), inverse)); };
  const __m256i c0 = code(0);
  const __m256i c1 = code(8);
  const __m256i c2 = code(16);
  const __m256i c3 = code(24);
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(c0, c1), _mm256_packs_epi32(c2, c3));
  const __m256i in_order = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.codes), in_order);
  to.half_sums[0] = sum_of_words(_mm256_add_epi32(c0, c1));
  to.half_sums[1] = sum_of_words(_mm256_add_epi32(c2, c3));
  to.scale = greatest / 127.0F;
  to.sum = to.scale * static_cast<float>(to.half_sums[0] + to.half_sums[1]);
}

}  // namespace decant::inline DECANT_ABI::cpu::avx2
DECANT_AVX2_END

#endif
#endif
