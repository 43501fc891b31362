// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The forward pass of a model of the llama family over a batch of rows, or a part of its layers. A row's results have
// the same bits for every batch, tree shape, number of threads, and division of the layers into passes.
#ifndef DECANT_REFERENCE_TRANSFORMER_HPP
#define DECANT_REFERENCE_TRANSFORMER_HPP

#include <decant/core/types.hpp>
#include <decant/kernels/activation_rows.hpp>
#include <decant/kernels/attention_kernels.hpp>
#include <decant/kernels/kernels.hpp>
#include <decant/reference/attention.hpp>
#include <decant/reference/llama_weights.hpp>
#include <decant/reference/pass_clock.hpp>
#include <decant/reference/rope_table.hpp>
#include <decant/reference/thread_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A batch of at most `transformer::max_rows` rows, of one sequence or several, and the layers it runs through.
struct pass_input {
  std::span<const pass_row> rows;
  std::size_t first_layer = 0;  ///< rows of a pass that begins later have an `input`
  std::size_t last_layer = 0;   ///< one behind the last
  /// Logits of each row, [row][logits_stride()], unless null.
  float* logits = nullptr;
  /// Whether anything is wanted of the rows besides their keys and values.
  bool keys_only = false;
};

/// What passes may ask for, and how they are computed.
struct pass_setup {
  std::size_t positions = 0;  ///< bounds those of rows
  std::size_t slots = 0;      ///< bounds those of caches
  instruction_set kernels = instruction_set::scalar;
  activation_kind activations = activation_kind::int8_blocks;
  std::size_t threads = 1;
};

/// Weights and buffers, shared by all sequences of a model: one pass at a time.
class transformer {
 public:
  static constexpr std::size_t max_rows = 128;

  /// Takes the weights. Errors: `out_of_memory`.
  [[nodiscard]] result<void> prepare(const llama_config& config, llama_weights&& weights, const pass_setup& setup) {
    config_ = config;
    weights_ = std::move(weights);
    kernels_ = &cpu::kernels_of(setup.kernels);
    attention_kernels_ = &cpu::attention_kernels_of(setup.kernels);
    activations_ = setup.activations;
    logits_stride_ = round_up(config.vocabulary, cpu::group_rows);
    pool_ = std::make_unique<thread_pool>(setup.threads);
    tiles_.reserve(max_rows);
    if (auto r = rope_.build(config, weights_.rope_divisors, setup.positions); !r) return r;
    if (auto r = allocate_rows(); !r) return r;
    return allocate_scratch(pool_->size(), setup.slots);
  }

  [[nodiscard]] const llama_config& config() const noexcept { return config_; }
  [[nodiscard]] const llama_weights& weights() const noexcept { return weights_; }
  [[nodiscard]] std::size_t threads() const noexcept { return pool_->size(); }
  [[nodiscard]] std::size_t logits_stride() const noexcept { return logits_stride_; }

  /// Times the parts of every pass from now on; null: no more.
  void time_passes(pass_clock* clock) noexcept { clock_ = clock; }

  /// Runs the rows through the layers of the pass and writes their keys and values to their caches. Preconditions:
  /// tokens inside the vocabulary, slots writable and positions in range, rows of a sequence next to each other.
  void forward(const pass_input& pass) {
    cut_tiles(pass.rows);
    pool_->run([&](thread_pool::worker& self) { run(self, pass); });
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

  /// Rows that attend together.
  struct row_tile {
    std::size_t first;
    std::size_t count;
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
    queries_.resize(max_rows * config_.heads);
    code_stride_ = round_up(config_.head_size, 64);
    if (auto r = query_codes_.allocate(queries_.size() * code_stride_); !r) return r;
    return up_.allocate(max_rows * gated_.stride());
  }

  [[nodiscard]] result<void> allocate_scratch(std::size_t threads, std::size_t slots) {
    const std::size_t group = config_.heads_per_key();
    const std::size_t padded = round_up(config_.head_size, 16);
    widest_tile_ = std::max<std::size_t>(1, most_tile_queries / group);
    scratch_.resize(threads);
    for (attention_scratch& scratch : scratch_) {
      if (auto r = scratch.allocate(widest_tile_, group, padded); !r) return r;
    }
    return chunk_states_.allocate(threads > 1 ? most_split_rows : 0, config_.heads, cpu::chunks_of(slots), padded);
  }

  /// Cuts the rows into tiles of one sequence each. Every thread gets several items of work: tiles for each key head,
  /// or, of few rows, their chunks.
  void cut_tiles(std::span<const pass_row> rows) {
    most_chunks_ = 1;
    const bool may_split = scratch_.size() > 1 && rows.size() <= most_split_rows;
    if (may_split) most_chunks_ = std::max<std::size_t>(1, attention::chunks(rows));
    const std::size_t balanced = rows.size() * config_.key_heads * most_chunks_ / (4 * scratch_.size());
    const std::size_t widest = std::clamp<std::size_t>(balanced, 1, widest_tile_);
    tiles_.clear();
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const bool goes_on = r > 0 && tiles_.back().count < widest && rows[r].cache == rows[r - 1].cache;
      if (goes_on) ++tiles_.back().count;
      if (!goes_on) tiles_.push_back({r, 1});
    }
  }

  void charge(const worker& self, pass_part part) const noexcept {
    if (clock_ != nullptr && self.index() == 0) clock_->charge(part);
  }

  void run(worker& self, const pass_input& pass) {
    if (clock_ != nullptr && self.index() == 0) clock_->start();
    begin(self, pass);
    charge(self, pass_part::embedding);
    for (std::size_t i = pass.first_layer; i < pass.last_layer; ++i) {
      const llama_block& block = weights_.blocks[i];
      normalise(self, pass, block.attention_norm, i, pass.first_layer);
      charge(self, pass_part::norm);
      if (!attend(self, pass, i, pass.keys_only && i + 1 == pass.last_layer)) return;
      normalise(self, pass, block.feed_norm);
      charge(self, pass_part::norm);
      feed_forward(self, pass, block);
    }
    finish(self, pass);
    charge(self, pass_part::logits);
  }

  void begin(worker& self, const pass_input& pass) {
    self.for_each(pass.rows.size(), 1, [&](std::size_t r) {
      const pass_row& row = pass.rows[r];
      if (row.input == nullptr) return weights_.token_embedding.unpack_row(index(row.id), residual_row(r));
      std::copy_n(row.input, config_.embedding, residual_row(r));
    });
  }

  /// Hands the residual rows out, and takes the logits.
  void finish(worker& self, const pass_input& pass) {
    self.for_each(pass.rows.size(), 1, [&](std::size_t r) {
      const pass_row& row = pass.rows[r];
      if (pass.last_layer > pass.first_layer) tap(row, pass.last_layer, residual_row(r));
      if (row.output != nullptr) std::copy_n(residual_row(r), config_.embedding, row.output);
      if (pass.logits == nullptr) return;
      normalise_row(r, weights_.output_norm);
      tap(row, config_.layers + 1, normed_.row(r));
    });
    if (pass.logits == nullptr) return;
    const packed_matrix& output = weights_.is_tied() ? weights_.token_embedding : weights_.output.weight;
    multiply(self, pass, normed_, {{&output, weights_.output.bias.data(), pass.logits, logits_stride_, false}});
  }

  /// Writes a row of the residual stream to the row's taps if they ask for this level.
  void tap(const pass_row& row, std::size_t level, const float* values) const noexcept {
    if (row.taps == nullptr) return;
    for (std::size_t k = 0; k < row.taps->levels.size(); ++k) {
      if (row.taps->levels[k] == level) std::copy_n(values, config_.embedding, row.taps->at(row.observed_as, k));
    }
  }

  void normalise_row(std::size_t r, const aligned_buffer<float>& weight) noexcept {
    kernels_->rms_norm(residual_row(r), weight.data(), config_.embedding, weight.size(), config_.epsilon,
                       normed_.row(r));
    quantise(normed_, r);
  }
  void quantise(activation_rows& rows, std::size_t r) const noexcept {
    if (activations_ == activation_kind::int8_blocks) rows.quantise(*kernels_, r);
  }
  void normalise(worker& self, const pass_input& pass, const aligned_buffer<float>& weight) {
    self.for_each(pass.rows.size(), 1, [&](std::size_t r) { normalise_row(r, weight); });
  }
  /// Before layer `layer`: level `layer` of the residual stream is there, and new unless a pass ended here before.
  void normalise(worker& self, const pass_input& pass, const aligned_buffer<float>& weight, std::size_t layer,
                 std::size_t first_layer) {
    const bool is_new = layer == 0 || layer > first_layer;
    self.for_each(pass.rows.size(), 1, [&](std::size_t r) {
      if (is_new) tap(pass.rows[r], layer, residual_row(r));
      normalise_row(r, weight);
    });
  }

  /// Attention with its residual; with `keys_only` stops once keys and values are stored and returns false.
  [[nodiscard]] bool attend(worker& self, const pass_input& pass, std::size_t layer, bool keys_only) {
    project(self, pass, layer, keys_only);
    charge(self, pass_part::query_key_value);
    if (keys_only) return false;
    attend_tiles(self, pass, layer);
    charge(self, pass_part::attention);
    self.for_each(pass.rows.size(), 1, [&](std::size_t r) { quantise(attended_, r); });
    charge(self, pass_part::requantise);
    multiply(self, pass, attended_, {residual_product(weights_.blocks[layer].attention_output)});
    charge(self, pass_part::attention_output);
    return true;
  }

  /// Queries, keys and values. Heads are rotated, scaled and stored by the thread that computed them, so that neither
  /// they nor the lines of the cache travel between processors. A unit of work is the fewest heads that fill whole
  /// groups of rows.
  void project(worker& self, const pass_input& pass, std::size_t layer, bool keys_only) {
    const std::size_t unit = cpu::group_rows / std::gcd(cpu::group_rows, config_.head_size);
    const std::size_t key_units = (config_.key_heads + unit - 1) / unit;
    const std::size_t query_units = keys_only ? 0 : (config_.heads + unit - 1) / unit;
    self.for_each(key_units + query_units, 1, [&](std::size_t i) {
      if (i < key_units) return project_keys(pass, layer, i * unit, std::min((i + 1) * unit, config_.key_heads));
      const std::size_t first = (i - key_units) * unit;
      project_queries(pass, layer, first, std::min(first + unit, config_.heads));
    });
  }

  void project_queries(const pass_input& pass, std::size_t layer, std::size_t first, std::size_t last) noexcept {
    const std::size_t size = config_.head_size;
    multiply_heads(weights_.blocks[layer].query, pass.rows.size(), first, last, query_.data(), query_stride_);
    for (std::size_t r = 0; r < pass.rows.size(); ++r) {
      float* query = query_.data() + r * query_stride_;
      for (std::size_t h = first; h < last; ++h) rope_.rotate(pass.rows[r].position, query + h * size);
      for (std::size_t d = first * size; d < last * size; ++d) query[d] *= config_.attention_scale;
      for (std::size_t h = first; h < last; ++h) hand_over(pass.rows[r], r * config_.heads + h, query + h * size);
    }
  }

  /// Makes a query ready for attention.
  void hand_over(const pass_row& row, std::size_t i, const float* values) noexcept {
    queries_[i].values = values;
    if (row.cache->shape().type != kv_type::i8) return;
    cpu::quantise(*attention_kernels_, config_.head_size, query_codes_.data() + i * code_stride_, queries_[i]);
  }

  void project_keys(const pass_input& pass, std::size_t layer, std::size_t first, std::size_t last) noexcept {
    const std::size_t size = config_.head_size;
    multiply_heads(weights_.blocks[layer].key, pass.rows.size(), first, last, key_.data(), key_stride_);
    multiply_heads(weights_.blocks[layer].value, pass.rows.size(), first, last, value_.data(), key_stride_);
    for (std::size_t r = 0; r < pass.rows.size(); ++r) {
      const pass_row& row = pass.rows[r];
      for (std::size_t h = first; h < last; ++h) {
        float* key = key_.data() + r * key_stride_ + h * size;
        rope_.rotate(row.position, key);
        const float* value = value_.data() + r * key_stride_ + h * size;
        row.cache->store(*kernels_, *attention_kernels_, layer, h, row.slot, key, value);
      }
    }
  }

  /// Heads [first, last) of the product with the normed rows. `first` heads fill whole groups of rows.
  void multiply_heads(const linear_layer& layer, std::size_t rows, std::size_t first, std::size_t last, float* out,
                      std::size_t out_stride) const noexcept {
    const std::size_t end = round_up(last * config_.head_size, cpu::group_rows);
    multiply_groups({&layer.weight, layer.bias.data(), out, out_stride, false}, normed_, rows,
                    first * config_.head_size / cpu::group_rows, end / cpu::group_rows);
  }

  void attend_tiles(worker& self, const pass_input& pass, std::size_t layer) {
    const std::size_t heads = config_.key_heads;
    const attention attention(*kernels_, *attention_kernels_, layer, config_.heads_per_key());
    if (most_chunks_ == 1) {
      self.for_each(tiles_.size() * heads, 1, [&](std::size_t item) {
        attention.attend(item % heads, tile_of(pass, tiles_[item / heads]), scratch_[self.index()]);
      });
      return;
    }
    self.for_each(tiles_.size() * most_chunks_ * heads, 1, [&](std::size_t item) {
      const row_tile at = tiles_[item / heads / most_chunks_];
      const attention_tile tile = tile_of(pass, at);
      const std::size_t chunk = item / heads % most_chunks_;
      if (chunk >= attention::chunks(tile.rows)) return;
      attention.attend_chunk(item % heads, tile, chunk, scratch_[self.index()], chunk_states_, at.first);
    });
    const attention_tile all = tile_of(pass, {0, pass.rows.size()});
    self.for_each(pass.rows.size() * heads, 1,
                  [&](std::size_t item) { attention.merge(item % heads, all, item / heads, chunk_states_, 0); });
  }

  [[nodiscard]] attention_tile tile_of(const pass_input& pass, row_tile at) noexcept {
    return {pass.rows.subspan(at.first, at.count), queries_.data() + at.first * config_.heads, config_.heads,
            attended_.row(at.first), attended_.stride()};
  }

  void feed_forward(worker& self, const pass_input& pass, const llama_block& block) {
    const product gate{&block.gate.weight, block.gate.bias.data(), gated_.row(0), gated_.stride(), false};
    const product up{&block.up.weight, block.up.bias.data(), up_.data(), gated_.stride(), false};
    multiply(self, pass, normed_, {gate, up});
    charge(self, pass_part::gate_up);
    constexpr std::size_t piece = 512;
    const std::size_t width = config_.feed_forward;
    const std::size_t pieces = (width + piece - 1) / piece;
    self.for_each(pass.rows.size() * pieces, 1, [&](std::size_t item) {
      const std::size_t r = item / pieces;
      const std::size_t first = item % pieces * piece;
      const std::size_t last = std::min(first + piece, width);
      kernels_->silu_multiply(gated_.row(r) + first, up_.data() + r * gated_.stride() + first,
                              round_up(last - first, 8));
      if (activations_ == activation_kind::int8_blocks) gated_.quantise(*kernels_, r, first, last);
    });
    charge(self, pass_part::activation);
    multiply(self, pass, gated_, {residual_product(block.down)});
    charge(self, pass_part::down);
  }

  [[nodiscard]] product residual_product(const linear_layer& layer) noexcept {
    return {&layer.weight, layer.bias.data(), residual_.data(), normed_.stride(), true};
  }

  /// Runs products with a common input, shared out over the threads by groups of rows.
  void multiply(worker& self, const pass_input& pass, const activation_rows& from,
                std::initializer_list<product> products) {
    std::size_t groups = 0;
    for (const product& p : products) groups += p.weight->groups();
    const std::size_t grain = std::max<std::size_t>(1, groups / (8 * scratch_.size()));
    self.for_ranges(groups, grain, [&](std::size_t first, std::size_t last) {
      for (const product& p : products) {
        const std::size_t size = p.weight->groups();
        if (first < size && last > 0) multiply_groups(p, from, pass.rows.size(), first, std::min(last, size));
        first -= std::min(first, size);
        last -= std::min(last, size);
      }
    });
  }

  void multiply_groups(const product& p, const activation_rows& from, std::size_t columns, std::size_t first,
                       std::size_t last) const noexcept {
    p.weight->multiply(*kernels_, from.view(), columns, p.out, p.out_stride, p.accumulate, first, last, activations_);
    if (p.bias == nullptr) return;
    for (std::size_t c = 0; c < columns; ++c) {
      float* out = p.out + c * p.out_stride;
      for (std::size_t row = first * cpu::group_rows; row < last * cpu::group_rows; ++row) out[row] += p.bias[row];
    }
  }

  [[nodiscard]] float* residual_row(std::size_t r) noexcept { return residual_.data() + r * normed_.stride(); }

  static constexpr std::size_t key_padding = 8;  // kernels read heads up to a multiple of 8 floats
  static constexpr std::size_t most_tile_queries = 48;
  static constexpr std::size_t most_split_rows = 16;

  llama_config config_;
  llama_weights weights_;
  const cpu::kernel_table* kernels_ = nullptr;
  const cpu::attention_table* attention_kernels_ = nullptr;
  activation_kind activations_ = activation_kind::int8_blocks;
  std::unique_ptr<thread_pool> pool_;
  pass_clock* clock_ = nullptr;
  rope_table rope_;
  activation_rows normed_;    // [row][embedding]
  activation_rows attended_;  // [row][heads * head_size]
  activation_rows gated_;     // [row][feed_forward]
  aligned_buffer<float> residual_;
  aligned_buffer<float> query_;
  aligned_buffer<float> key_;
  aligned_buffer<float> value_;
  aligned_buffer<float> up_;
  std::vector<cpu::attention_query> queries_;  // [row][head]
  aligned_buffer<std::int8_t> query_codes_;    // [row][head][code_stride_], for keys of 8 bits
  std::size_t query_stride_ = 0;
  std::size_t key_stride_ = 0;
  std::size_t code_stride_ = 0;
  std::size_t logits_stride_ = 0;
  std::size_t widest_tile_ = 1;
  std::size_t most_chunks_ = 1;             // of a row of the running pass, where chunks are shared out
  std::vector<attention_scratch> scratch_;  // of each thread
  chunk_states chunk_states_;
  std::vector<row_tile> tiles_;  // of the running pass
};

}  // namespace decant::inline DECANT_ABI

#endif
