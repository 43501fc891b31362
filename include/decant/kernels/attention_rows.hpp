// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A head of the keys and values of a host, as `chunk_attention` reads it: few rows take keys as they lie, many take
// them packed once for all. A head whose 8-bit elements have a scale per block is taken block by block: scores add up
// in the order of blocks, one fma each.
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

/// What a source needs of the memory of a thread.
struct source_memory {
  float* packed = nullptr;       ///< [pack_keys][dimension]
  std::size_t query_stride = 0;  ///< between the queries of two blocks of a scale
};

/// A head of a view, as a source of `chunk_attention`.
template <class Element>
class row_source {
 public:
  /// Keys that are packed at a time where many rows use them: they stay in the first-level cache.
  static constexpr std::size_t pack_keys = 64;

  /// `count` tokens of a view.
  row_source(const kernel_table& products, const attention_table& kernels, const attention_shape& shape,
             const key_value_view<Element>& view, std::size_t count, std::size_t head,
             const source_memory& memory) noexcept
      : products_(products),
        kernels_(kernels),
        shape_(shape),
        view_(view),
        count_(count),
        head_(head),
        memory_(memory) {}

  void score(const attention_query* queries, std::size_t rows, std::size_t first, std::size_t last, float* out,
             std::size_t stride) const noexcept {
    for (std::size_t block = 0; block < blocks_of(shape_.dimension); ++block) {
      score_block(block, queries + block * memory_.query_stride, rows, first, last, out, stride);
    }
  }

  void mix(std::size_t first, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
           float* sums, std::size_t width) const noexcept {
    for (std::size_t block = 0; block < blocks_of(shape_.value_dimension); ++block) {
      mix_block(block, first, count, weights, stride, rows, sums + block * shape_.scale_block, width);
    }
  }

 private:
  /// Blocks of a row whose elements share a scale; rows of floats are one.
  [[nodiscard]] std::size_t blocks_of(std::size_t size) const noexcept {
    return std::is_same_v<Element, std::int8_t> ? shape_.scales_of(size) : 1;
  }
  /// Elements of a block.
  [[nodiscard]] std::size_t block_size(std::size_t block, std::size_t size) const noexcept {
    return blocks_of(size) == 1 ? size : std::min(shape_.scale_block, size - block * shape_.scale_block);
  }
  [[nodiscard]] const float* scales(const float* all, std::size_t first, std::size_t block) const noexcept {
    return all == nullptr ? nullptr : all + head_ * view_.scale_head_stride + first * view_.scale_stride + block;
  }
  [[nodiscard]] const Element* key(std::size_t t) const noexcept {
    return view_.keys + head_ * view_.key_head_stride + t * view_.key_stride;
  }
  [[nodiscard]] const Element* value(std::size_t t) const noexcept {
    return view_.values + head_ * view_.value_head_stride + t * view_.value_stride;
  }
  [[nodiscard]] key_rows<Element> keys(std::size_t first, std::size_t last, std::size_t block) const noexcept {
    return {
        key(first) + block * shape_.scale_block, view_.key_stride,  last - first, block_size(block, shape_.dimension),
        scales(view_.key_scales, first, block),  view_.scale_stride};
  }

  void score_block(std::size_t block, const attention_query* queries, std::size_t rows, std::size_t first,
                   std::size_t last, float* out, std::size_t stride) const noexcept {
    const bool adds = block > 0;
    if (rows <= attention_rows) {
      return score_in_place(
          {keys(first, last, block), queries, rows, out, stride, upcoming_values(first, last, block), adds});
    }
    for (std::size_t t = first; t < last; t += pack_keys) {
      const std::size_t end = std::min(t + pack_keys, last);
      score_packed(keys(t, end, block), queries, rows, out + (t - first), stride, upcoming_values(t, end, block), adds);
    }
  }

  void mix_block(std::size_t block, std::size_t first, std::size_t count, const float* weights, std::size_t stride,
                 std::size_t rows, float* sums, std::size_t width) const noexcept {
    const upcoming_rows next = upcoming_keys(first + attention_chunk, count, block);
    in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
      const row_mix_call<Element> call{value(first) + block * shape_.scale_block,
                                       view_.value_stride,
                                       count,
                                       block_size(block, shape_.value_dimension),
                                       scales(view_.value_scales, first, block),
                                       view_.scale_stride,
                                       weights + r * stride,
                                       stride,
                                       run,
                                       sums + r * width,
                                       width,
                                       next.share(r, r + run, rows)};
      if constexpr (std::is_same_v<Element, float>) kernels_.mix_f32(call);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.mix_f16(call);
      if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.mix_i8(call);
    });
  }

  /// The values of keys that are scored, all of their blocks with the first.
  [[nodiscard]] upcoming_rows upcoming_values(std::size_t first, std::size_t last, std::size_t block) const noexcept {
    if (block > 0) return {};
    return {reinterpret_cast<const std::byte*>(value(first)), view_.value_stride * sizeof(Element),
            shape_.value_dimension * sizeof(Element), last - first};
  }
  /// Keys from `first` on, as many as there are.
  [[nodiscard]] upcoming_rows upcoming_keys(std::size_t first, std::size_t count, std::size_t block) const noexcept {
    if (first >= count_ || block > 0) return {};
    return {reinterpret_cast<const std::byte*>(key(first)), view_.key_stride * sizeof(Element),
            shape_.dimension * sizeof(Element), std::min(count, count_ - first)};
  }

  void score_in_place(const row_score_call<Element>& call) const noexcept {
    if constexpr (std::is_same_v<Element, float>) kernels_.score_rows_f32(call);
    if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.score_rows_f16(call);
    if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.score_rows_i8(call);
  }

  void score_packed(const key_rows<Element>& keys, const attention_query* queries, std::size_t rows, float* out,
                    std::size_t stride, const upcoming_rows& next, bool adds) const noexcept {
    const std::size_t blocks = (keys.count + key_block - 1) / key_block;
    if constexpr (std::is_same_v<Element, std::int8_t>) {
      auto* codes = reinterpret_cast<code_word*>(memory_.packed);
      float scales[pack_keys] = {};
      for (std::size_t t = 0; t < keys.count; ++t) scales[t] = keys.scales[t * keys.scale_stride];
      kernels_.pack_i8(keys, codes);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        kernels_.score_codes({codes, scales, blocks, (keys.dimension + 3) / 4, queries + r, count, out + r * stride,
                              stride, next.share(r, r + count, rows), adds});
      });
    } else {
      if constexpr (std::is_same_v<Element, float>) kernels_.pack_f32(keys, memory_.packed);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.pack_f16(keys, memory_.packed);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        const float* values[attention_rows];
        for (std::size_t i = 0; i < count; ++i) values[i] = queries[r + i].values;
        products_.score_f32({memory_.packed, blocks, shape_.dimension, values, count, out + r * stride, stride,
                             next.share(r, r + count, rows)});
      });
    }
  }

  const kernel_table& products_;
  const attention_table& kernels_;
  const attention_shape& shape_;
  const key_value_view<Element>& view_;
  std::size_t count_;
  std::size_t head_;
  source_memory memory_;
};

}  // namespace cpu

}  // namespace decant::inline DECANT_ABI

#endif
