// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a batch of tree nodes over the committed slots and their own ancestors.
#ifndef DECANT_REFERENCE_ATTENTION_HPP
#define DECANT_REFERENCE_ATTENTION_HPP

#include <decant/core/types.hpp>
#include <decant/reference/kv_cache.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A query head of a layer.
struct attention_head {
  std::size_t layer = 0;
  std::size_t head = 0;

  friend bool operator==(attention_head, attention_head) = default;
};

/// What an attention probe reports.
enum class attention_values : std::uint8_t {
  probabilities,  ///< after the soft-max
  scores,         ///< scaled products of query and keys, before it
};

/// Where the attention of chosen heads is written, for the rows of one evaluation.
struct attention_probe {
  std::span<const attention_head> heads;
  attention_values kind = attention_values::probabilities;
  float* out = nullptr;  ///< [row][head][stride]
  std::size_t stride = 0;

  [[nodiscard]] float* at(std::size_t row, std::size_t head) const noexcept {
    return out + (row * heads.size() + head) * stride;
  }
};

/// Where the residual stream of chosen levels is written, for the rows of one evaluation.
struct hidden_taps {
  std::span<const std::size_t> levels;
  float* out = nullptr;  ///< [row][level][width]
  std::size_t width = 0;

  [[nodiscard]] float* at(std::size_t row, std::size_t level) const noexcept {
    return out + (row * levels.size() + level) * width;
  }
};

/// One row of a pass.
struct pass_row {
  kv_cache* cache = nullptr;  ///< where its key and value go, and what it attends to
  std::size_t committed = 0;  ///< slots of the cache that it sees besides `visible`
  std::size_t slot = 0;       ///< of its key and value
  std::size_t position = 0;   ///< for the rotary embedding
  /// Pending slots it sees, ascending, itself last, counted from `committed`.
  std::span<const std::uint32_t> visible;
  token id = 0;                  ///< whose embedding it starts from, unless `input` says otherwise
  const float* input = nullptr;  ///< residual row to start from
  float* output = nullptr;       ///< where its residual row goes at the end, unless null
  const hidden_taps* taps = nullptr;
  const attention_probe* probe = nullptr;
  std::size_t observed_as = 0;  ///< its row for `taps` and `probe`
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

/// One pass over some rows of one sequence in one layer. Every result is one chain of operations in the order of the
/// tokens the row sees: keys of a row cost one multiply-add chain each, weights are summed by lane of their rank among
/// the visible tokens, values are added in that order. So a row's result has the same bits whether its ancestors are
/// committed or pending, and whatever else is in the pass.
class attention {
 public:
  attention(const cpu::kernel_table& kernels, std::size_t layer, std::size_t group) noexcept
      : kernels_(kernels), layer_(layer), group_(group) {}

  /// Attends for a tile of rows with one cache and one number of committed slots, and one key head. `query` and `out`
  /// point to the first of the group's heads in the first row; rows are `query_stride` and `out_stride` apart.
  void attend(std::size_t head, std::span<const pass_row> rows, const float* query, std::size_t query_stride,
              attention_scratch& scratch, float* out, std::size_t out_stride) const noexcept {
    const kv_shape& shape = rows.front().cache->shape();
    score(head, rows, query, query_stride, scratch);
    normalise(head, rows, scratch);
    mix(head, rows, scratch);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t h = 0; h < group_; ++h) {
        const std::size_t r = i * group_ + h;
        const float* from = scratch.sums.data() + r * shape.padded;
        float* to = out + i * out_stride + h * shape.size;
        for (std::size_t d = 0; d < shape.size; ++d) to[d] = from[d] * scratch.inverses[r];
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
             attention_scratch& scratch) const noexcept {
    const kv_cache& cache = *rows.front().cache;
    std::size_t slots = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      slots = std::max(slots, rows[i].slot + 1);
      for (std::size_t h = 0; h < group_; ++h) {
        scratch.queries[i * group_ + h] = query + i * query_stride + h * cache.shape().size;
      }
    }
    in_kernel_runs(rows.size() * group_, [&](std::size_t first, std::size_t count) {
      cache.score(kernels_, layer_, head, slots, {scratch.queries.data() + first, count},
                  scratch.scores.data() + first * scratch.stride, scratch.stride);
    });
  }

  /// Moves the scores of the visible pending slots behind those of the committed ones, then takes the soft-max.
  void normalise(std::size_t head, std::span<const pass_row> rows, attention_scratch& scratch) const noexcept {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const pass_row& row = rows[i];
      const std::size_t count = row.committed + row.visible.size();
      for (std::size_t h = 0; h < group_; ++h) {
        const std::size_t r = i * group_ + h;
        float* scores = scratch.scores.data() + r * scratch.stride;
        float* pending = scores + row.committed;
        for (std::size_t j = 0; j < row.visible.size(); ++j) pending[j] = pending[row.visible[j]];
        report(row, head * group_ + h, attention_values::scores, {scores, count}, 1.0F);
        scratch.inverses[r] = kernels_.soft_max(scores, count);
        report(row, head * group_ + h, attention_values::probabilities, {scores, count}, scratch.inverses[r]);
      }
    }
  }

  /// Writes the values of a head to the row's probe if it asks for them.
  void report(const pass_row& row, std::size_t query_head, attention_values kind, std::span<const float> values,
              float factor) const noexcept {
    if (row.probe == nullptr || row.probe->kind != kind) return;
    for (std::size_t k = 0; k < row.probe->heads.size(); ++k) {
      if (row.probe->heads[k] != attention_head{layer_, query_head}) continue;
      float* out = row.probe->at(row.observed_as, k);
      for (std::size_t j = 0; j < values.size(); ++j) out[j] = values[j] * factor;
    }
  }

  void mix(std::size_t head, std::span<const pass_row> rows, attention_scratch& scratch) const noexcept {
    const kv_cache& cache = *rows.front().cache;
    const std::size_t width = cache.shape().padded;
    const std::size_t all = rows.size() * group_;
    std::fill_n(scratch.sums.data(), all * width, 0.0F);
    in_kernel_runs(all, [&](std::size_t first, std::size_t count) {
      cache.mix(kernels_, layer_, head, 0, rows.front().committed, scratch.scores.data() + first * scratch.stride,
                scratch.stride, count, scratch.sums.data() + first * width);
    });
    for (std::size_t i = 0; i < rows.size(); ++i) mix_pending(head, rows[i], i * group_, scratch);
  }

  /// Adds the values of the visible pending slots, run by run of neighbouring slots.
  void mix_pending(std::size_t head, const pass_row& row, std::size_t first_query,
                   attention_scratch& scratch) const noexcept {
    const std::span<const std::uint32_t> visible = row.visible;
    for (std::size_t j = 0; j < visible.size();) {
      std::size_t end = j + 1;
      while (end < visible.size() && visible[end] == visible[end - 1] + 1) ++end;
      in_kernel_runs(group_, [&](std::size_t first, std::size_t count) {
        const float* weights = scratch.scores.data() + (first_query + first) * scratch.stride + row.committed + j;
        row.cache->mix(kernels_, layer_, head, row.committed + visible[j], end - j, weights, scratch.stride, count,
                       scratch.sums.data() + (first_query + first) * row.cache->shape().padded);
      });
      j = end;
    }
  }

  const cpu::kernel_table& kernels_;
  std::size_t layer_;
  std::size_t group_;
};

}  // namespace decant::inline DECANT_ABI

#endif
