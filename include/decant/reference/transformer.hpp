// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The forward pass of a llama-architecture model over a batch of rows. A row's results have the same bits for every
// batch, tree shape and number of threads.
#ifndef DECANT_REFERENCE_TRANSFORMER_HPP
#define DECANT_REFERENCE_TRANSFORMER_HPP

#include <decant/core/types.hpp>
#include <decant/reference/activation_rows.hpp>
#include <decant/reference/attention.hpp>
#include <decant/reference/kernels.hpp>
#include <decant/reference/llama_weights.hpp>
#include <decant/reference/rope_table.hpp>
#include <decant/reference/thread_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A batch of at most `transformer::max_rows` rows.
struct pass_input {
  std::span<const token> tokens;
  std::span<const pass_row> rows;
  std::size_t committed = 0;  ///< slots that every row sees
};

/// Weights, caches and buffers of one sequence.
class transformer {
 public:
  static constexpr std::size_t max_rows = 128;

  /// Takes the weights. Errors: `out_of_memory`.
  [[nodiscard]] result<void> prepare(const llama_config& config, llama_weights&& weights, std::size_t positions,
                                     std::size_t slots, kv_type type, instruction_set set, std::size_t threads) {
    config_ = config;
    weights_ = std::move(weights);
    kernels_ = &cpu::kernels_of(set);
    logits_stride_ = round_up(config.vocabulary, cpu::group_rows);
    if (auto r = rope_.build(config, weights_.rope_divisors, positions); !r) return r;
    if (auto r = cache_.allocate(config, slots, type); !r) return r;
    if (auto r = allocate_rows(); !r) return r;
    return allocate_scratch(threads);
  }

  [[nodiscard]] const llama_config& config() const noexcept { return config_; }
  [[nodiscard]] kv_cache& cache() noexcept { return cache_; }
  [[nodiscard]] const kv_cache& cache() const noexcept { return cache_; }
  [[nodiscard]] std::size_t logits_stride() const noexcept { return logits_stride_; }

  /// Runs all layers over the rows, writes their keys and values to the cache and, unless `logits` is null, a row of
  /// `logits_stride()` floats for each. Preconditions: tokens inside the vocabulary, slots and positions in range.
  void forward(thread_pool& pool, const pass_input& input, float* logits) {
    pool.run([&](thread_pool::worker& self) { run(self, input, logits); });
  }

 private:
  using worker = thread_pool::worker;

  /// One product of a phase.
  struct product {
    const packed_matrix* weight;
    const float* bias;
    float* out;
    std::size_t out_stride;
    bool accumulate;
  };

  [[nodiscard]] result<void> allocate_rows() {
    const std::size_t width = config_.embedding;
    if (auto r = normed_.allocate(max_rows, width); !r) return r;
    if (auto r = attended_.allocate(max_rows, config_.query_width()); !r) return r;
    if (auto r = gated_.allocate(max_rows, config_.feed_forward); !r) return r;
    query_stride_ = round_up(config_.query_width(), cpu::group_rows);
    key_stride_ = round_up(config_.key_width(), cpu::group_rows);
    if (auto r = residual_.allocate(max_rows * normed_.stride()); !r) return r;
    if (auto r = query_.allocate(max_rows * query_stride_); !r) return r;
    if (auto r = key_.allocate(max_rows * key_stride_ + key_padding); !r) return r;
    if (auto r = value_.allocate(max_rows * key_stride_ + key_padding); !r) return r;
    return up_.allocate(max_rows * gated_.stride());
  }

  [[nodiscard]] result<void> allocate_scratch(std::size_t threads) {
    const std::size_t group = config_.heads_per_key();
    widest_tile_ = std::max<std::size_t>(1, 2 * cpu::attention_rows / group);
    scratch_.resize(threads);
    for (attention_scratch& scratch : scratch_) {
      if (auto r = scratch.allocate(widest_tile_ * group, cache_.capacity(), cache_.padded_size()); !r) return r;
    }
    return {};
  }

  void run(worker& self, const pass_input& input, float* logits) {
    embed(self, input);
    for (std::size_t i = 0; i < weights_.blocks.size(); ++i) {
      const llama_block& block = weights_.blocks[i];
      const bool last = i + 1 == weights_.blocks.size();
      normalise(self, input, block.attention_norm);
      if (!attend(self, input, i, last && logits == nullptr)) return;
      normalise(self, input, block.feed_norm);
      feed_forward(self, input, block);
    }
    if (logits == nullptr) return;
    normalise(self, input, weights_.output_norm);
    const packed_matrix& output = weights_.is_tied() ? weights_.token_embedding : weights_.output.weight;
    multiply(self, input, normed_, {{&output, weights_.output.bias.data(), logits, logits_stride_, false}});
  }

  void embed(worker& self, const pass_input& input) {
    self.for_each(input.rows.size(), 1,
                  [&](std::size_t r) { weights_.token_embedding.unpack_row(index(input.tokens[r]), residual_row(r)); });
  }

  void normalise(worker& self, const pass_input& input, const aligned_buffer<float>& weight) {
    self.for_each(input.rows.size(), 1, [&](std::size_t r) {
      kernels_->rms_norm(residual_row(r), weight.data(), config_.embedding, weight.size(), config_.epsilon,
                         normed_.row(r));
      normed_.quantise(*kernels_, r);
    });
  }

  /// Attention with its residual; with `keys_only` stops once keys and values are stored and returns false.
  [[nodiscard]] bool attend(worker& self, const pass_input& input, std::size_t layer, bool keys_only) {
    const llama_block& block = weights_.blocks[layer];
    const product query{&block.query.weight, block.query.bias.data(), query_.data(), query_stride_, false};
    const product key{&block.key.weight, block.key.bias.data(), key_.data(), key_stride_, false};
    const product value{&block.value.weight, block.value.bias.data(), value_.data(), key_stride_, false};
    multiply(self, input, normed_, {query, key, value});
    self.for_each(input.rows.size(), 1, [&](std::size_t r) { store(input.rows[r], r, layer); });
    if (keys_only) return false;
    attend_tiles(self, input, layer);
    self.for_each(input.rows.size(), 1, [&](std::size_t r) { attended_.quantise(*kernels_, r); });
    multiply(self, input, attended_, {residual_product(block.attention_output)});
    return true;
  }

  /// Rotates and scales the queries of a row, rotates its keys, and stores keys and values.
  void store(const pass_row& row, std::size_t r, std::size_t layer) noexcept {
    const std::size_t size = config_.head_size;
    float* query = query_.data() + r * query_stride_;
    for (std::size_t h = 0; h < config_.heads; ++h) rope_.rotate(row.position, query + h * size);
    for (std::size_t d = 0; d < config_.query_width(); ++d) query[d] *= config_.attention_scale;
    for (std::size_t h = 0; h < config_.key_heads; ++h) {
      float* key = key_.data() + r * key_stride_ + h * size;
      rope_.rotate(row.position, key);
      cache_.store(*kernels_, layer, h, row.slot, key, value_.data() + r * key_stride_ + h * size);
    }
  }

  void attend_tiles(worker& self, const pass_input& input, std::size_t layer) {
    const std::size_t rows = input.rows.size();
    const std::size_t heads = config_.key_heads;
    const std::size_t group_width = config_.heads_per_key() * config_.head_size;
    const std::size_t balanced = std::max<std::size_t>(1, rows * heads / (4 * scratch_.size()));
    const std::size_t tile = std::min(widest_tile_, balanced);
    const std::size_t tiles = (rows + tile - 1) / tile;
    const attention attention(*kernels_, cache_, layer, input.committed, config_.heads_per_key());
    self.for_each(tiles * heads, 1, [&](std::size_t item) {
      const std::size_t head = item % heads;
      const std::size_t first = item / heads * tile;
      attention.attend(head, input.rows.subspan(first, std::min(tile, rows - first)),
                       query_.data() + first * query_stride_ + head * group_width, query_stride_, config_.head_size,
                       scratch_[self.index()], attended_.row(first) + head * group_width, attended_.stride());
    });
  }

  void feed_forward(worker& self, const pass_input& input, const llama_block& block) {
    const product gate{&block.gate.weight, block.gate.bias.data(), gated_.row(0), gated_.stride(), false};
    const product up{&block.up.weight, block.up.bias.data(), up_.data(), gated_.stride(), false};
    multiply(self, input, normed_, {gate, up});
    constexpr std::size_t piece = 512;
    const std::size_t width = config_.feed_forward;
    const std::size_t pieces = (width + piece - 1) / piece;
    self.for_each(input.rows.size() * pieces, 1, [&](std::size_t item) {
      const std::size_t r = item / pieces;
      const std::size_t first = item % pieces * piece;
      const std::size_t last = std::min(first + piece, width);
      kernels_->silu_multiply(gated_.row(r) + first, up_.data() + r * gated_.stride() + first,
                              round_up(last - first, 8));
      gated_.quantise(*kernels_, r, first, last);
    });
    multiply(self, input, gated_, {residual_product(block.down)});
  }

  [[nodiscard]] product residual_product(const linear_layer& layer) noexcept {
    return {&layer.weight, layer.bias.data(), residual_.data(), normed_.stride(), true};
  }

  /// Runs products with a common input, shared out over the threads by groups of rows.
  void multiply(worker& self, const pass_input& input, const activation_rows& from,
                std::initializer_list<product> products) {
    std::size_t groups = 0;
    for (const product& p : products) groups += p.weight->groups();
    const std::size_t grain = std::max<std::size_t>(1, groups / (8 * scratch_.size()));
    self.for_ranges(groups, grain, [&](std::size_t first, std::size_t last) {
      for (const product& p : products) {
        const std::size_t size = p.weight->groups();
        if (first < size && last > 0) multiply_groups(p, from, input.rows.size(), first, std::min(last, size));
        first -= std::min(first, size);
        last -= std::min(last, size);
      }
    });
  }

  void multiply_groups(const product& p, const activation_rows& from, std::size_t columns, std::size_t first,
                       std::size_t last) const noexcept {
    p.weight->multiply(*kernels_, from.view(), columns, p.out, p.out_stride, p.accumulate, first, last);
    if (p.bias == nullptr) return;
    for (std::size_t c = 0; c < columns; ++c) {
      float* out = p.out + c * p.out_stride;
      for (std::size_t row = first * cpu::group_rows; row < last * cpu::group_rows; ++row) out[row] += p.bias[row];
    }
  }

  [[nodiscard]] float* residual_row(std::size_t r) noexcept { return residual_.data() + r * normed_.stride(); }

  static constexpr std::size_t key_padding = 8;  // kernels read heads up to a multiple of 8 floats

  llama_config config_;
  llama_weights weights_;
  const cpu::kernel_table* kernels_ = nullptr;
  rope_table rope_;
  kv_cache cache_;
  activation_rows normed_;    // [row][embedding]
  activation_rows attended_;  // [row][heads * head_size]
  activation_rows gated_;     // [row][feed_forward]
  aligned_buffer<float> residual_;
  aligned_buffer<float> query_;
  aligned_buffer<float> key_;
  aligned_buffer<float> value_;
  aligned_buffer<float> up_;
  std::size_t query_stride_ = 0;
  std::size_t key_stride_ = 0;
  std::size_t logits_stride_ = 0;
  std::size_t widest_tile_ = 1;
  std::vector<attention_scratch> scratch_;
};

}  // namespace decant::inline DECANT_ABI

#endif
