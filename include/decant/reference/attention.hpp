// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a batch of tree nodes over the committed slots and their own ancestors.
#ifndef DECANT_REFERENCE_ATTENTION_HPP
#define DECANT_REFERENCE_ATTENTION_HPP

#include <decant/reference/kv_cache.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// One row of a pass.
struct pass_row {
  std::size_t slot = 0;      ///< where its key and value go
  std::size_t position = 0;  ///< for the rotary embedding
  /// Pending slots it sees, ascending, itself last, counted from the first slot that is not committed.
  std::span<const std::uint32_t> visible;
};

/// Scratch memory of one thread.
class attention_scratch {
 public:
  [[nodiscard]] result<void> allocate(std::size_t rows, std::size_t slots, std::size_t padded_size) {
    stride = round_up(slots, cpu::key_block);
    inverses.resize(rows);
    queries.resize(rows);
    if (auto r = scores.allocate(rows * stride); !r) return r;
    return sums.allocate(rows * padded_size);
  }

  std::size_t stride = 0;  ///< from row to row of `scores`
  aligned_buffer<float> scores;
  aligned_buffer<float> sums;
  std::vector<float> inverses;
  std::vector<const float*> queries;
};

/// One pass over some nodes in one layer. Every result is one chain of operations in the order of the tokens the node
/// sees: keys of a node cost one multiply-add chain each, weights are summed by lane of their rank among the visible
/// tokens, values are added in that order. So a node's result has the same bits whether its ancestors are committed or
/// pending, and whatever else is in the pass.
class attention {
 public:
  attention(const cpu::kernel_table& kernels, const kv_cache& cache, std::size_t layer, std::size_t committed,
            std::size_t group) noexcept
      : kernels_(kernels), cache_(cache), layer_(layer), committed_(committed), group_(group) {}

  /// Attends for rows [0, rows.size()) of a tile and one key head. `query` and `out` point to the first of the group's
  /// heads in the first row; rows are `query_stride` and `out_stride` apart, heads `size` apart.
  void attend(std::size_t head, std::span<const pass_row> rows, const float* query, std::size_t query_stride,
              std::size_t size, attention_scratch& scratch, float* out, std::size_t out_stride) const noexcept {
    score(head, rows, query, query_stride, size, scratch);
    normalise(rows, scratch);
    mix(head, rows, scratch);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t h = 0; h < group_; ++h) {
        const std::size_t r = i * group_ + h;
        const float* from = scratch.sums.data() + r * cache_.padded_size();
        float* to = out + i * out_stride + h * size;
        for (std::size_t d = 0; d < size; ++d) to[d] = from[d] * scratch.inverses[r];
      }
    }
  }

 private:
  /// Calls `visit(first, count)` for the rows of a tile in runs that a kernel takes at once.
  template <class Visit>
  static void in_kernel_runs(std::size_t rows, Visit&& visit) {
    for (std::size_t first = 0; first < rows; first += cpu::attention_rows) {
      visit(first, std::min(rows - first, cpu::attention_rows));
    }
  }

  void score(std::size_t head, std::span<const pass_row> rows, const float* query, std::size_t query_stride,
             std::size_t size, attention_scratch& scratch) const noexcept {
    std::size_t slots = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      slots = std::max(slots, rows[i].slot + 1);
      for (std::size_t h = 0; h < group_; ++h) {
        scratch.queries[i * group_ + h] = query + i * query_stride + h * size;
      }
    }
    in_kernel_runs(rows.size() * group_, [&](std::size_t first, std::size_t count) {
      cache_.score(kernels_, layer_, head, slots, {scratch.queries.data() + first, count},
                   scratch.scores.data() + first * scratch.stride, scratch.stride);
    });
  }

  /// Moves the scores of the visible pending slots behind those of the committed ones, then takes the soft-max.
  void normalise(std::span<const pass_row> rows, attention_scratch& scratch) const noexcept {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::span<const std::uint32_t> visible = rows[i].visible;
      for (std::size_t r = i * group_; r < (i + 1) * group_; ++r) {
        float* scores = scratch.scores.data() + r * scratch.stride;
        float* pending = scores + committed_;
        for (std::size_t j = 0; j < visible.size(); ++j) pending[j] = pending[visible[j]];
        scratch.inverses[r] = kernels_.soft_max(scores, committed_ + visible.size());
      }
    }
  }

  void mix(std::size_t head, std::span<const pass_row> rows, attention_scratch& scratch) const noexcept {
    const std::size_t width = cache_.padded_size();
    const std::size_t all = rows.size() * group_;
    std::fill_n(scratch.sums.data(), all * width, 0.0F);
    in_kernel_runs(all, [&](std::size_t first, std::size_t count) {
      cache_.mix(kernels_, layer_, head, 0, committed_, scratch.scores.data() + first * scratch.stride, scratch.stride,
                 count, scratch.sums.data() + first * width);
    });
    for (std::size_t i = 0; i < rows.size(); ++i) mix_pending(head, rows[i].visible, i * group_, scratch);
  }

  /// Adds the values of the visible pending slots, run by run of neighbouring slots.
  void mix_pending(std::size_t head, std::span<const std::uint32_t> visible, std::size_t row,
                   attention_scratch& scratch) const noexcept {
    for (std::size_t j = 0; j < visible.size();) {
      std::size_t end = j + 1;
      while (end < visible.size() && visible[end] == visible[end - 1] + 1) ++end;
      in_kernel_runs(group_, [&](std::size_t first, std::size_t count) {
        const float* weights = scratch.scores.data() + (row + first) * scratch.stride + committed_ + j;
        cache_.mix(kernels_, layer_, head, committed_ + visible[j], end - j, weights, scratch.stride, count,
                   scratch.sums.data() + (row + first) * cache_.padded_size());
      });
      j = end;
    }
  }

  const cpu::kernel_table& kernels_;
  const kv_cache& cache_;
  std::size_t layer_;
  std::size_t committed_;
  std::size_t group_;
};

}  // namespace decant::inline DECANT_ABI

#endif
