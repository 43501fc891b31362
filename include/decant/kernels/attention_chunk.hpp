// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of some rows over one chunk of the keys they see. A row sees dense keys, the same for all rows of a tile,
// and behind them chosen keys of a tail: its ancestors in a tree and itself. The rank of a key is its number among the
// keys the row sees. Chunks cut ranks at fixed places, sums of a chunk run in the order of ranks, and states are merged
// in the order of chunks. So a row's result has the same bits for any number of rows and threads, whatever tree it is
// in, and whether its ancestors are still in the tail or already among the dense keys.
//
// Where keys lie is the business of a source, with
//   score(queries, rows, first, last, out, stride)   out[r * stride + s - first] = scores of slots [first, last);
//   `first`
//                                                    is a multiple of 16, and there is room for the next one of `last`
//   mix(first, count, weights, weight_stride, rows, sums, width)    adds weighted values of slots [first, first +
//   count)
#ifndef DECANT_KERNELS_ATTENTION_CHUNK_HPP
#define DECANT_KERNELS_ATTENTION_CHUNK_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/kernels/attention_state.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace decant::inline DECANT_ABI::cpu {

/// Ranks of a chunk.
inline constexpr std::size_t attention_chunk = 256;

[[nodiscard]] constexpr std::size_t chunks_of(std::size_t keys) noexcept {
  return (keys + attention_chunk - 1) / attention_chunk;
}

/// What a row of a tile sees besides the dense keys, and from which rank on.
struct attending_row {
  std::span<const std::uint32_t> tail;  ///< keys of the tail, ascending
  std::size_t first = 0;                ///< keys of lower rank are out of its sliding window
};

/// Rows that attend together, `group` queries each: the heads that share a key head.
struct attending_tile {
  std::span<const attending_row> rows;
  std::size_t group = 1;
  const attention_query* queries = nullptr;  ///< [row][group]
  std::size_t dense = 0;                     ///< dense keys, slots [0, dense) of their source
  std::size_t tail_slot = 0;                 ///< of key 0 of the tail, in the source of the tail
  float soft_cap = 0;                        ///< scores become c * tanh(score / c), unless 0

  [[nodiscard]] std::size_t queries_count() const noexcept { return rows.size() * group; }
  /// Keys of a row, those out of its window included.
  [[nodiscard]] std::size_t keys_of(const attending_row& row) const noexcept { return dense + row.tail.size(); }
};

/// Scratch memory of one thread; bounded whatever the context.
class chunk_scratch {
 public:
  /// For tiles of at most `queries` queries. Errors: `out_of_memory`.
  [[nodiscard]] result<void> allocate(std::size_t queries, std::size_t width) {
    queries_ = queries;
    width_ = width;
    if (auto r = scores_.allocate(queries * score_stride); !r) return r;
    if (auto r = tail_scores_.allocate(queries * tail_stride); !r) return r;
    if (auto r = masses_.allocate(queries); !r) return r;
    return sums_.allocate(queries * width);
  }

  // Odd numbers of cache lines: rows at a power of two would meet in the same sets of a cache.
  static constexpr std::size_t score_stride = attention_chunk + 16;
  static constexpr std::size_t tail_window = 128;
  static constexpr std::size_t tail_stride = tail_window + 16;

  [[nodiscard]] std::size_t queries() const noexcept { return queries_; }
  [[nodiscard]] float* scores(std::size_t q) noexcept { return scores_.data() + q * score_stride; }
  [[nodiscard]] float* tail_scores(std::size_t q) noexcept { return tail_scores_.data() + q * tail_stride; }
  [[nodiscard]] float* sums() noexcept { return sums_.data(); }
  /// The state of a query's chunk.
  [[nodiscard]] attention_state state(std::size_t q) noexcept {
    return {masses_.data() + q, sums_.data() + q * width_, width_};
  }

 private:
  std::size_t queries_ = 0;
  std::size_t width_ = 0;
  aligned_buffer<float> scores_;       // [query][score_stride]
  aligned_buffer<float> tail_scores_;  // [query][tail_stride]
  aligned_buffer<attention_mass> masses_;
  aligned_buffer<float> sums_;  // [query][width]
};

/// One chunk of a tile.
template <class Dense, class Tail>
class chunk_attention {
 public:
  chunk_attention(const attention_table& kernels, const Dense& dense, const Tail& tail, const attending_tile& tile,
                  chunk_scratch& scratch) noexcept
      : kernels_(kernels), dense_(dense), tail_(tail), tile_(tile), scratch_(scratch) {}

  /// Leaves the states of chunk `chunk` in the scratch memory. Calls `observe(row, head of the group, first rank,
  /// scores)` with the scores of every query before they become weights.
  template <class Observe>
  void compute(std::size_t chunk, Observe&& observe) noexcept {
    begin_ = chunk * attention_chunk;
    end_ = begin_ + attention_chunk;
    std::size_t first = end_;
    for (const attending_row& row : tile_.rows) first = std::min(first, row.first);
    first_ = std::max(begin_, first) / key_block * key_block;
    dense_end_ = std::min(end_, tile_.dense);
    score_dense();
    score_tail();
    weigh(observe);
    mix();
  }

 private:
  [[nodiscard]] std::size_t width() const noexcept { return scratch_.state(0).width; }

  /// Ranks of a row in the chunk, counted from the chunk's first.
  [[nodiscard]] std::size_t count_of(const attending_row& row) const noexcept {
    const std::size_t keys = std::min(tile_.keys_of(row), end_);
    return keys > begin_ ? keys - begin_ : 0;
  }

  /// The keys of a row's tail that are in the chunk and in its window.
  [[nodiscard]] std::span<const std::uint32_t> tail_of(const attending_row& row) const noexcept {
    const std::size_t from = std::max({begin_, row.first, tile_.dense}) - tile_.dense;
    const std::size_t to = std::min(end_ > tile_.dense ? end_ - tile_.dense : 0, row.tail.size());
    return from < to ? row.tail.subspan(from, to - from) : std::span<const std::uint32_t>{};
  }
  /// Where the scores of `tail_of` start.
  [[nodiscard]] std::size_t tail_place(const attending_row& row) const noexcept {
    return std::max({begin_, row.first, tile_.dense}) - begin_;
  }

  void score_dense() noexcept {
    if (first_ >= dense_end_) return;
    dense_.score(tile_.queries, tile_.queries_count(), first_, dense_end_, scratch_.scores(0) + (first_ - begin_),
                 chunk_scratch::score_stride);
  }

  /// Scores the tail window by window for all rows, and picks what each of them sees.
  void score_tail() noexcept {
    std::size_t first = SIZE_MAX;
    std::size_t last = 0;
    for (const attending_row& row : tile_.rows) {
      const std::span<const std::uint32_t> seen = tail_of(row);
      if (seen.empty()) continue;
      first = std::min<std::size_t>(first, seen.front());
      last = std::max<std::size_t>(last, seen.back() + std::size_t{1});
    }
    if (first >= last) return;
    const std::size_t end = tile_.tail_slot + last;
    for (std::size_t slot = (tile_.tail_slot + first) / key_block * key_block; slot < end;) {
      const std::size_t window_end = std::min(end, slot + chunk_scratch::tail_window);
      tail_.score(tile_.queries, tile_.queries_count(), slot, window_end, scratch_.tail_scores(0),
                  chunk_scratch::tail_stride);
      for (std::size_t r = 0; r < tile_.rows.size(); ++r) pick(r, slot, window_end);
      slot = window_end;
    }
  }

  /// Copies the scores of slots [slot, end) that row `r` sees to the places of their ranks.
  void pick(std::size_t r, std::size_t slot, std::size_t end) noexcept {
    const attending_row& row = tile_.rows[r];
    const std::span<const std::uint32_t> seen = tail_of(row);
    const auto at = [&](std::size_t s) {
      return std::lower_bound(seen.begin(), seen.end(), s,
                              [&](std::uint32_t key, std::size_t value) { return tile_.tail_slot + key < value; });
    };
    const auto from = at(slot);
    const auto to = at(end);
    const auto place = tail_place(row) + static_cast<std::size_t>(from - seen.begin());
    for (std::size_t h = 0; h < tile_.group; ++h) {
      const float* scores = scratch_.tail_scores(r * tile_.group + h);
      float* out = scratch_.scores(r * tile_.group + h) + place;
      for (auto key = from; key != to; ++key) *out++ = scores[tile_.tail_slot + *key - slot];
    }
  }

  template <class Observe>
  void weigh(Observe& observe) noexcept {
    for (std::size_t r = 0; r < tile_.rows.size(); ++r) {
      const attending_row& row = tile_.rows[r];
      const std::size_t count = count_of(row);
      const std::size_t banned = std::min(row.first > begin_ ? row.first - begin_ : 0, count);
      for (std::size_t h = 0; h < tile_.group; ++h) {
        float* scores = scratch_.scores(r * tile_.group + h);
        if (tile_.soft_cap > 0) kernels_.cap(scores, count, tile_.soft_cap);
        std::fill_n(scores, banned, -HUGE_VALF);
        observe(r, h, begin_, std::span<const float>(scores, count));
        const attention_state state = scratch_.state(r * tile_.group + h);
        state.clear();
        *state.mass = kernels_.weigh(scores, count);
      }
    }
  }

  void mix() noexcept {
    if (first_ < dense_end_) {
      dense_.mix(first_, dense_end_ - first_, scratch_.scores(0) + (first_ - begin_), chunk_scratch::score_stride,
                 tile_.queries_count(), scratch_.sums(), width());
    }
    for (std::size_t r = 0; r < tile_.rows.size(); ++r) mix_tail(r);
  }

  /// Adds the values of the tail that a row sees, run by run of neighbouring slots.
  void mix_tail(std::size_t r) noexcept {
    const std::span<const std::uint32_t> seen = tail_of(tile_.rows[r]);
    const float* weights = scratch_.scores(r * tile_.group) + tail_place(tile_.rows[r]);
    for (std::size_t j = 0; j < seen.size();) {
      std::size_t end = j + 1;
      while (end < seen.size() && seen[end] == seen[end - 1] + 1) ++end;
      tail_.mix(tile_.tail_slot + seen[j], end - j, weights + j, chunk_scratch::score_stride, tile_.group,
                scratch_.sums() + r * tile_.group * width(), width());
      j = end;
    }
  }

  const attention_table& kernels_;
  const Dense& dense_;
  const Tail& tail_;
  const attending_tile& tile_;
  chunk_scratch& scratch_;
  std::size_t begin_ = 0;  // ranks of the chunk
  std::size_t end_ = 0;
  std::size_t first_ = 0;      // first rank that a row sees, rounded down to a block
  std::size_t dense_end_ = 0;  // end of the dense keys in the chunk
};

/// Calls `visit(first, count)` for rows in runs that a kernel takes at once.
template <class Visit>
void in_kernel_runs(std::size_t rows, Visit&& visit) {
  for (std::size_t first = 0; first < rows; first += attention_rows) {
    visit(first, std::min(rows - first, attention_rows));
  }
}

}  // namespace decant::inline DECANT_ABI::cpu

#endif
