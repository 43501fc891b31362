// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set of attention kernels offers, and the calls they take. The scalar set is the specification: a score is one
// chain over the dimensions, a sum of values one chain over the keys, so results do not depend on how many rows or keys
// a call holds; every other set gives the same bits.
#ifndef DECANT_KERNELS_ATTENTION_TABLE_HPP
#define DECANT_KERNELS_ATTENTION_TABLE_HPP

#include <decant/kernels/kernel_table.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI::cpu {

/// A query row as kernels take it: floats, and for keys of 8 bits also codes.
struct attention_query {
  const float* values = nullptr;
  const std::int8_t* codes = nullptr;  ///< zeros from the dimension up to a multiple of 64
  float scale = 0;                     ///< values ~ scale * codes
  std::int32_t code_sum = 0;
};

/// Keys one after the other: key t starts at t * stride. With scales, an element means scale[t] * element.
template <class Element>
struct key_rows {
  const Element* keys = nullptr;
  std::size_t stride = 0;
  std::size_t count = 0;
  std::size_t dimension = 0;
  const float* scales = nullptr;  ///< of 8-bit keys only
  std::size_t scale_stride = 0;
};

/// out[r * out_stride + t] = q_r . k_t for t < count; what lies behind, up to a multiple of 16, is scratch. Scores of
/// 8-bit keys are dot * query scale * key scale, added to `out` as fma(dot * query scale, key scale, out) on request.
template <class Element>
struct row_score_call {
  key_rows<Element> keys;
  const attention_query* queries = nullptr;
  std::size_t rows = 0;  ///< at most `attention_rows`
  float* out = nullptr;
  std::size_t out_stride = 0;
  upcoming_rows upcoming{};
  bool accumulate = false;  ///< of 8-bit keys only
};

/// Four codes of a key side by side.
struct code_word {
  std::uint32_t codes;
};

/// Scores of query rows against packed 8-bit keys, [block][dimension / 4][16].
struct code_score_call {
  const code_word* keys = nullptr;
  const float* scales = nullptr;  ///< [block][16]
  std::size_t blocks = 0;
  std::size_t words = 0;  ///< of a key
  const attention_query* queries = nullptr;
  std::size_t rows = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
  upcoming_rows upcoming{};
  bool accumulate = false;
};

/// Adds weighted values: sums[r][d] = fma(weights[r][t] (* scales[t]), values[t][d], sums[r][d]) for t in order.
template <class Element>
struct row_mix_call {
  const Element* values = nullptr;
  std::size_t stride = 0;
  std::size_t count = 0;
  std::size_t dimension = 0;
  const float* scales = nullptr;  ///< of 8-bit values only
  std::size_t scale_stride = 0;
  const float* weights = nullptr;
  std::size_t weight_stride = 0;
  std::size_t rows = 0;  ///< at most `attention_rows`
  float* sums = nullptr;
  std::size_t sum_stride = 0;  ///< has room for the dimension rounded up to 16
  upcoming_rows upcoming{};
};

/// What codes of a row of floats mean: x ~ scale * code.
struct byte_row {
  float scale = 0;
  std::int32_t code_sum = 0;
};

/// Greatest score m and total weight l = sum of exp(score - m) of a set of keys. Of no keys: -infinity and 0.
struct attention_mass {
  float greatest = -__builtin_huge_valf();
  float total = 0;
};

struct attention_table {
  /// Scores of keys as they lie: a block of 16 keys is turned in registers. For few rows.
  void (*score_rows_f32)(const row_score_call<float>&) noexcept;
  void (*score_rows_f16)(const row_score_call<std::uint16_t>&) noexcept;
  void (*score_rows_i8)(const row_score_call<std::int8_t>&) noexcept;
  /// Turns keys into blocks [block][dimension][16] of floats, or [block][dimension / 4][16] of codes, once for many
  /// rows.
  void (*pack_f32)(const key_rows<float>&, float* out) noexcept;
  void (*pack_f16)(const key_rows<std::uint16_t>&, float* out) noexcept;
  void (*pack_i8)(const key_rows<std::int8_t>&, code_word* out) noexcept;
  void (*score_codes)(const code_score_call&) noexcept;
  /// Codes in [-127, 127], ties to even. A row that holds NaN or infinity gets zeros and a NaN scale, so that it cannot
  /// pass for a finite one.
  byte_row (*to_bytes)(const float* x, std::size_t count, std::int8_t* codes) noexcept;
  void (*mix_f32)(const row_mix_call<float>&) noexcept;
  void (*mix_f16)(const row_mix_call<std::uint16_t>&) noexcept;
  void (*mix_i8)(const row_mix_call<std::int8_t>&) noexcept;
  /// Soft cap: s = limit * tanh(s / limit), with an absolute error of about 2e-7 * limit.
  void (*cap)(float* scores, std::size_t count, float limit) noexcept;
  /// Turns scores into exp(score - greatest). The array has room for the next multiple of 16. All -infinity: zeros.
  attention_mass (*weigh)(float* scores, std::size_t count) noexcept;
  /// Merges the state (mass of `from`, from_sums) into (into, into_sums); `width` is a multiple of 16.
  void (*merge)(attention_mass& into, float* into_sums, const attention_mass& from, const float* from_sums,
                std::size_t width) noexcept;
  /// exp(scores - greatest) * factor, the probabilities of scores once the whole row is known.
  void (*probabilities)(float* scores, std::size_t count, float greatest, float factor) noexcept;
};

/// A query whose values are set gets codes too, for keys of 8 bits; `codes` as in `attention_query`.
inline void quantise(const attention_table& kernels, std::size_t dimension, std::int8_t* codes,
                     attention_query& query) noexcept {
  const byte_row row = kernels.to_bytes(query.values, dimension, codes);
  query.codes = codes;
  query.scale = row.scale;
  query.code_sum = row.code_sum;
}

}  // namespace decant::inline DECANT_ABI::cpu

#endif
