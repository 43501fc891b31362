// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a batch of tree nodes over the committed slots and their own ancestors.
#ifndef DECANT_REFERENCE_ATTENTION_HPP
#define DECANT_REFERENCE_ATTENTION_HPP

#include <decant/core/types.hpp>
#include <decant/kernels/attention_chunk.hpp>
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
  /// For tiles of at most `rows` rows of `group` query heads.
  [[nodiscard]] result<void> allocate(std::size_t rows, std::size_t group, std::size_t padded_size) {
    rows_.resize(rows);
    queries_.resize(rows * group);
    if (auto r = masses_.allocate(rows * group); !r) return r;
    if (auto r = sums_.allocate(rows * group * padded_size); !r) return r;
    return chunk_.allocate(rows * group, padded_size);
  }

 private:
  friend class attention;
  std::vector<cpu::attending_row> rows_;
  std::vector<cpu::attention_query> queries_;
  aligned_buffer<cpu::attention_mass> masses_;  // [row][head of the group], over all chunks
  aligned_buffer<float> sums_;                  // [row][head of the group][padded size]
  cpu::chunk_scratch chunk_;
};

/// States of the chunks of a few rows, for chunks that are shared out over the threads.
class chunk_states {
 public:
  [[nodiscard]] result<void> allocate(std::size_t rows, std::size_t heads, std::size_t chunks,
                                      std::size_t padded_size) {
    heads_ = heads;
    chunks_ = chunks;
    width_ = padded_size;
    if (auto r = masses_.allocate(rows * heads * chunks); !r) return r;
    return sums_.allocate(rows * heads * chunks * padded_size);
  }
  [[nodiscard]] cpu::attention_state at(std::size_t row, std::size_t head, std::size_t chunk) noexcept {
    const std::size_t i = (row * heads_ + head) * chunks_ + chunk;
    return {masses_.data() + i, sums_.data() + i * width_, width_};
  }

 private:
  std::size_t heads_ = 0;
  std::size_t chunks_ = 0;
  std::size_t width_ = 0;
  aligned_buffer<cpu::attention_mass> masses_;
  aligned_buffer<float> sums_;
};

/// Rows of one cache and with one number of committed slots, and where they are: `queries` and `out` point to the first
/// head of the first row; rows are `query_stride` queries and `out_stride` floats apart.
struct attention_tile {
  std::span<const pass_row> rows;
  const cpu::attention_query* queries = nullptr;
  std::size_t query_stride = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};

/// Attention of tiles of rows of one sequence in one layer, chunk by chunk of the tokens a row sees
/// (kernels/attention_chunk.hpp): a row's result has the same bits whether its ancestors are committed or pending,
/// whatever else is in the pass, and whether one thread computes all chunks of a row or several share them.
class attention {
 public:
  attention(const cpu::kernel_table& kernels, const cpu::attention_table& loops, std::size_t layer,
            std::size_t group) noexcept
      : kernels_(kernels), loops_(loops), layer_(layer), group_(group) {}

  /// Chunks of the row of the tile that sees most.
  [[nodiscard]] static std::size_t chunks(std::span<const pass_row> rows) noexcept {
    std::size_t most = 0;
    for (const pass_row& row : rows) most = std::max(most, chunks(row));
    return most;
  }
  [[nodiscard]] static std::size_t chunks(const pass_row& row) noexcept {
    return cpu::chunks_of(row.committed + row.visible.size());
  }

  /// Attends for a tile and a key head.
  void attend(std::size_t head, const attention_tile& tile, attention_scratch& scratch) const noexcept {
    const std::size_t width = tile.rows.front().cache->shape().padded;
    const auto whole = [&](std::size_t q) {
      return cpu::attention_state{scratch.masses_.data() + q, scratch.sums_.data() + q * width, width};
    };
    for (std::size_t q = 0; q < tile.rows.size() * group_; ++q) whole(q).clear();
    for (std::size_t chunk = 0; chunk < chunks(tile.rows); ++chunk) {
      compute(head, tile, chunk, scratch);
      for (std::size_t q = 0; q < tile.rows.size() * group_; ++q) {
        whole(q).merge(loops_, scratch.chunk_.state(q));
      }
    }
    for (std::size_t r = 0; r < tile.rows.size(); ++r) {
      for (std::size_t h = 0; h < group_; ++h) finish(tile, r, head * group_ + h, whole(r * group_ + h));
    }
  }

  /// Attends for a tile, a key head and a chunk; `first_row` is that of the tile in `states`.
  void attend_chunk(std::size_t head, const attention_tile& tile, std::size_t chunk, attention_scratch& scratch,
                    chunk_states& states, std::size_t first_row) const noexcept {
    compute(head, tile, chunk, scratch);
    for (std::size_t r = 0; r < tile.rows.size(); ++r) {
      if (chunk >= chunks(tile.rows[r])) continue;
      for (std::size_t h = 0; h < group_; ++h) {
        const cpu::attention_state from = scratch.chunk_.state(r * group_ + h);
        const cpu::attention_state to = states.at(first_row + r, head * group_ + h, chunk);
        *to.mass = *from.mass;
        std::copy_n(from.sums, from.width, to.sums);
      }
    }
  }

  /// Merges the chunks of row `r` of a tile for a key head.
  void merge(std::size_t head, const attention_tile& tile, std::size_t r, chunk_states& states,
             std::size_t first_row) const noexcept {
    for (std::size_t h = head * group_; h < (head + 1) * group_; ++h) {
      cpu::attention_mass mass;
      float sums[1024];
      const cpu::attention_state whole{&mass, sums, tile.rows[r].cache->shape().padded};
      whole.clear();
      for (std::size_t chunk = 0; chunk < chunks(tile.rows[r]); ++chunk) {
        whole.merge(loops_, states.at(first_row + r, h, chunk));
      }
      finish(tile, r, h, whole);
    }
  }

 private:
  /// Leaves the states of a chunk in the scratch memory.
  void compute(std::size_t head, const attention_tile& tile, std::size_t chunk,
               attention_scratch& scratch) const noexcept {
    const pass_row& front = tile.rows.front();
    for (std::size_t r = 0; r < tile.rows.size(); ++r) {
      scratch.rows_[r] = {tile.rows[r].visible, 0};
      std::copy_n(tile.queries + r * tile.query_stride + head * group_, group_, &scratch.queries_[r * group_]);
    }
    const cpu::attending_tile attending{
        {scratch.rows_.data(), tile.rows.size()}, group_, scratch.queries_.data(), front.committed, front.committed};
    const kv_cache::head_view keys(*front.cache, kernels_, loops_, layer_, head);
    cpu::chunk_attention part(loops_, keys, keys, attending, scratch.chunk_);
    part.compute(chunk, [&](std::size_t r, std::size_t h, std::size_t first, std::span<const float> scores) {
      if (float* out = probed(tile.rows[r], head * group_ + h)) std::copy(scores.begin(), scores.end(), out + first);
    });
  }

  /// Writes a head's output; what is probed are scores up to here.
  void finish(const attention_tile& tile, std::size_t r, std::size_t query_head,
              const cpu::attention_state& state) const noexcept {
    const pass_row& row = tile.rows[r];
    const std::size_t size = row.cache->shape().size;
    state.finish(size, tile.out + r * tile.out_stride + query_head * size);
    float* out = probed(row, query_head);
    if (out == nullptr || row.probe->kind == attention_values::scores) return;
    loops_.probabilities(out, row.committed + row.visible.size(), state.mass->greatest, 1.0F / state.mass->total);
  }

  /// Where the row's probe wants the values of a head, or null.
  [[nodiscard]] float* probed(const pass_row& row, std::size_t query_head) const noexcept {
    if (row.probe == nullptr) return nullptr;
    for (std::size_t k = 0; k < row.probe->heads.size(); ++k) {
      if (row.probe->heads[k] == attention_head{layer_, query_head}) return row.probe->at(row.observed_as, k);
    }
    return nullptr;
  }

  const cpu::kernel_table& kernels_;
  const cpu::attention_table& loops_;
  std::size_t layer_;
  std::size_t group_;
};

}  // namespace decant::inline DECANT_ABI

#endif
