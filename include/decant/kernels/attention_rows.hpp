// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A head of the keys and values of a host, as `chunk_attention` reads it: few rows take keys as they lie, many take
// them packed once for all.
#ifndef DECANT_KERNELS_ATTENTION_ROWS_HPP
#define DECANT_KERNELS_ATTENTION_ROWS_HPP

#include <decant/kernels/attention_kernels.hpp>
#include <decant/kernels/attention_plan.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace decant::inline DECANT_ABI {

namespace cpu {

/// A head of a view, as a source of `chunk_attention`.
template <class Element>
class row_source {
 public:
  /// Keys that are packed at a time where many rows use them: they stay in the first-level cache.
  static constexpr std::size_t pack_keys = 64;

  row_source(const kernel_table& products, const attention_table& kernels, const attention_shape& shape,
             const key_value_view<Element>& view, std::size_t head, float* packed) noexcept
      : products_(products), kernels_(kernels), shape_(shape), view_(view), head_(head), packed_(packed) {}

  void score(const attention_query* queries, std::size_t rows, std::size_t first, std::size_t last, float* out,
             std::size_t stride) const noexcept {
    if (rows <= attention_rows) return score_in_place({keys(first, last), queries, rows, out, stride});
    for (std::size_t t = first; t < last; t += pack_keys) {
      score_packed(keys(t, std::min(t + pack_keys, last)), queries, rows, out + (t - first), stride);
    }
  }

  void mix(std::size_t first, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
           float* sums, std::size_t width) const noexcept {
    in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
      const row_mix_call<Element> call{view_.values + head_ * view_.value_head_stride + first * view_.value_stride,
                                       view_.value_stride,
                                       count,
                                       shape_.value_dimension,
                                       scales(view_.value_scales, first),
                                       view_.scale_stride,
                                       weights + r * stride,
                                       stride,
                                       run,
                                       sums + r * width,
                                       width};
      if constexpr (std::is_same_v<Element, float>) kernels_.mix_f32(call);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.mix_f16(call);
      if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.mix_i8(call);
    });
  }

 private:
  [[nodiscard]] const float* scales(const float* all, std::size_t first) const noexcept {
    return all == nullptr ? nullptr : all + head_ * view_.scale_head_stride + first * view_.scale_stride;
  }
  [[nodiscard]] key_rows<Element> keys(std::size_t first, std::size_t last) const noexcept {
    return {view_.keys + head_ * view_.key_head_stride + first * view_.key_stride,
            view_.key_stride,
            last - first,
            shape_.dimension,
            scales(view_.key_scales, first),
            view_.scale_stride};
  }

  void score_in_place(const row_score_call<Element>& call) const noexcept {
    if constexpr (std::is_same_v<Element, float>) kernels_.score_rows_f32(call);
    if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.score_rows_f16(call);
    if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.score_rows_i8(call);
  }

  void score_packed(const key_rows<Element>& keys, const attention_query* queries, std::size_t rows, float* out,
                    std::size_t stride) const noexcept {
    const std::size_t blocks = (keys.count + key_block - 1) / key_block;
    if constexpr (std::is_same_v<Element, std::int8_t>) {
      auto* codes = reinterpret_cast<code_word*>(packed_);
      kernels_.pack_i8(keys, codes);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        kernels_.score_codes({codes, blocks, (shape_.dimension + 3) / 4, queries + r, count, out + r * stride, stride});
      });
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t t = 0; t < keys.count; ++t) out[r * stride + t] *= keys.scales[t * keys.scale_stride];
      }
    } else {
      if constexpr (std::is_same_v<Element, float>) kernels_.pack_f32(keys, packed_);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.pack_f16(keys, packed_);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        const float* values[attention_rows];
        for (std::size_t i = 0; i < count; ++i) values[i] = queries[r + i].values;
        products_.score_f32({packed_, blocks, shape_.dimension, values, count, out + r * stride, stride});
      });
    }
  }

  const kernel_table& products_;
  const attention_table& kernels_;
  const attention_shape& shape_;
  const key_value_view<Element>& view_;
  std::size_t head_;
  float* packed_;  // [pack_keys][dimension]
};

}  // namespace cpu

}  // namespace decant::inline DECANT_ABI

#endif
