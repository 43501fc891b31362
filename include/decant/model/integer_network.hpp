// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tiny attention network whose arithmetic is exact: weights and states are integers in [-8, 8] modulo 17, sums never
// overflow, so a row does not depend on the order of summation and two correct implementations agree in every bit. It
// has what real engines have and get wrong: a KV cache with the position baked into the keys, an explicit tree mask,
// compaction on commit, rollback. Attention weights are integers from 1 to 16, never 0 modulo 17, so that every visible
// (token, position) pair reaches every row: a wrong mask bit, position or moved entry changes the text.
// Of a layer: q, k, v = W x; o = sum over visible j of (1 + (q.k_j mod 16)) v_j per head; x += W_o o; x += W_2 relu(W_1
// x). The input is embedding + position vector, a logit is (unembedding row . x) / 64.
// Complexity: O(layers * (visible + width) * width) per token, O(V * width) per row asked for.
#ifndef DECANT_MODEL_INTEGER_NETWORK_HPP
#define DECANT_MODEL_INTEGER_NETWORK_HPP

#include <decant/core/philox.hpp>
#include <decant/model/lazy_rows.hpp>
#include <decant/model/model.hpp>
#include <decant/model/pending_nodes.hpp>

#include <array>
#include <initializer_list>

namespace decant::inline DECANT_ABI {

/// The pseudo-random weights and the arithmetic of the network; everything but the cache.
class integer_weights {
 public:
  static constexpr std::size_t width = 16;
  static constexpr std::size_t heads = 4;
  static constexpr std::size_t head_width = width / heads;
  using state = std::array<std::int32_t, width>;

  /// The matrices of a layer, each width x width.
  enum class matrix : std::uint8_t { query, key, value, output, up, down, count_ };

  integer_weights(std::size_t vocab_size, std::size_t layers, std::uint64_t seed)
      : vocab_size_(vocab_size), layers_(layers), seed_(seed) {
    matrices_.resize(layers * static_cast<std::size_t>(matrix::count_) * width * width);
    fill(matrices_, 0);
    embeddings_.resize(vocab_size * width);
    fill(embeddings_, 1);
    unembeddings_.resize(vocab_size * width);
    fill(unembeddings_, 2);
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t layers() const noexcept { return layers_; }

  /// The representative of a number modulo 17 in [-8, 8].
  [[nodiscard]] static constexpr std::int32_t reduced(std::int64_t x) noexcept {
    const auto rest = static_cast<std::int32_t>(x % 17);
    return rest > 8 ? rest - 17 : rest < -8 ? rest + 17 : rest;
  }
  /// The attention weight of a score, from 1 to 16.
  [[nodiscard]] static constexpr std::int32_t attention(std::int32_t score) noexcept { return 1 + (score & 15); }

  [[nodiscard]] std::int32_t weight(std::size_t layer, matrix m, std::size_t row, std::size_t column) const noexcept {
    return matrix_of(layer, m)[row * width + column];
  }
  [[nodiscard]] std::int32_t unembedding(token t, std::size_t channel) const noexcept {
    return unembeddings_[index(t) * width + channel];
  }
  /// The input of the first layer: embedding plus position vector.
  [[nodiscard]] state input(token t, std::int64_t position) const noexcept {
    state x{};
    for (std::size_t i = 0; i < width; ++i) {
      const std::int32_t at_position = entry(3, static_cast<std::uint64_t>(position) * width + i);
      x[i] = reduced(embeddings_[index(t) * width + i] + at_position);
    }
    return x;
  }
  [[nodiscard]] state times(std::size_t layer, matrix m, const state& x) const noexcept {
    const std::int8_t* rows = matrix_of(layer, m);
    state y{};
    for (std::size_t i = 0; i < width; ++i) {
      std::int32_t sum = 0;
      for (std::size_t j = 0; j < width; ++j) sum += rows[i * width + j] * x[j];
      y[i] = reduced(sum);
    }
    return y;
  }
  /// The state after attention: x + W_o o, then + W_2 relu(W_1 x).
  [[nodiscard]] state finish_layer(std::size_t layer, const state& x, const state& attended) const noexcept {
    const state after = sum(x, times(layer, matrix::output, attended));
    state inner = times(layer, matrix::up, after);
    for (std::int32_t& value : inner) value = std::max(value, 0);
    return sum(after, times(layer, matrix::down, inner));
  }
  /// unembedding row . x, before the division by 64.
  [[nodiscard]] std::int32_t logit(token t, const state& x) const noexcept {
    std::int32_t dot = 0;
    for (std::size_t i = 0; i < width; ++i) dot += unembedding(t, i) * x[i];
    return dot;
  }

 private:
  [[nodiscard]] static state sum(const state& a, const state& b) noexcept {
    state y{};
    for (std::size_t i = 0; i < width; ++i) y[i] = reduced(a[i] + b[i]);
    return y;
  }
  [[nodiscard]] std::int8_t entry(std::uint32_t table, std::uint64_t place) const noexcept {
    const philox_block bits =
        philox4x32({static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(place >> 32), table, 0}, seed_);
    return static_cast<std::int8_t>(static_cast<std::int32_t>(bits[0] % 17) - 8);
  }
  void fill(std::vector<std::int8_t>& values, std::uint32_t table) const noexcept {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = entry(table, i);
  }
  [[nodiscard]] const std::int8_t* matrix_of(std::size_t layer, matrix m) const noexcept {
    const std::size_t number = layer * static_cast<std::size_t>(matrix::count_) + static_cast<std::size_t>(m);
    return matrices_.data() + number * width * width;
  }

  std::size_t vocab_size_;
  std::size_t layers_;
  std::uint64_t seed_;
  std::vector<std::int8_t> matrices_;
  std::vector<std::int8_t> embeddings_;
  std::vector<std::int8_t> unembeddings_;
};

/// Errors, states after an error and validity of rows are those of `law_model`. Memory: 32 bytes per layer and 64
/// bytes per cache entry, allocated at construction.
template <class Real = float>
class integer_network {
 public:
  static constexpr bool evaluates_trees = true;
  static constexpr bool batch_invariant = true;
  static constexpr bool general_mask = true;
  static constexpr rollback_kind rollback = rollback_kind::full;
  using rows_type = pass_rows<integer_network, Real>;

  explicit integer_network(std::size_t vocab_size, std::size_t context_size = 512, std::uint64_t seed = 0,
                           std::size_t layers = 2)
      : weights_(vocab_size, layers, seed),
        context_size_(context_size),
        keys_(layers * context_size * width),
        values_(layers * context_size * width),
        outputs_(context_size) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return weights_.vocab_size(); }
  [[nodiscard]] std::size_t context_size() const noexcept { return context_size_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }

  result<void> prefill(token_span tokens) {
    if (auto valid = detail::check_tokens(tokens, vocab_size()); !valid) return valid;
    if (tokens.size() > context_size_ - length_) return error_code::context_full;
    drop_pending();
    for (const token t : tokens) {
      const auto position = static_cast<std::int64_t>(length_);
      run(length_, t, position, {length_ + 1, pending_nodes::none});
      ++length_;
    }
    return {};
  }

  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (auto valid = detail::check_tree_tokens(tree, nodes, vocab_size()); !valid) return valid.error();
    if (nodes.size() > context_size_ - length_ - pending_.size()) return error_code::context_full;
    const std::size_t first_slot = pending_.size();
    if (auto added = pending_.add(tree, nodes, length_); !added) return added.error();
    for (std::size_t slot = first_slot; slot < pending_.size(); ++slot) {
      const cached_token entry = pending_.entry(slot);
      run(length_ + slot, entry.id, entry.position, {length_, slot});
    }
    rows_.begin_pass(first_slot);
    return rows_type(*this, rows_.pass());
  }

  /// Compacts the cache in place: slots ascend along a path, so no entry is overwritten before it has moved.
  result<void> commit(node_span path) {
    if (auto valid = pending_.check_path(path); !valid) return valid;
    for (std::size_t i = 0; i < path.size(); ++i) move_entry(length_ + pending_.slot_of(path[i]), length_ + i);
    length_ += path.size();
    drop_pending();
    return {};
  }

  result<void> truncate(std::size_t length) {
    length_ = std::min(length_, length);
    drop_pending();
    return {};
  }

  /// A network with the same weights and committed cache, without the pending nodes.
  [[nodiscard]] result<integer_network> fork() const {
    integer_network copy = *this;
    copy.drop_pending();
    return copy;
  }

  [[nodiscard]] const integer_weights& weights() const noexcept { return weights_; }

 private:
  friend rows_type;
  using state = integer_weights::state;
  static constexpr std::size_t width = integer_weights::width;

  /// What an entry sees: the first `prefix` entries of the cache and, when it is pending, what its bit row says.
  struct visibility {
    std::size_t prefix;
    std::size_t slot;
  };

  void drop_pending() noexcept {
    pending_.clear();
    rows_.end_pass();
  }

  [[nodiscard]] std::span<const Real> row_after(node_id n, std::size_t pass) {
    const std::size_t slot = pending_.slot_of(n);
    if (slot == pending_nodes::none) return {};
    return rows_.row(slot, pass, vocab_size(), [&](std::span<Real> out) {
      const state& x = outputs_[length_ + slot];
      for (std::size_t v = 0; v < out.size(); ++v) {
        out[v] = static_cast<Real>(weights_.logit(static_cast<token>(v), x)) / Real(64);
      }
    });
  }

  /// Runs all layers for one cache entry and stores its keys, values and final state.
  void run(std::size_t entry, token t, std::int64_t position, visibility seen) noexcept {
    using matrix = integer_weights::matrix;
    state x = weights_.input(t, position);
    for (std::size_t layer = 0; layer < weights_.layers(); ++layer) {
      store(keys_, layer, entry, weights_.times(layer, matrix::key, x));
      store(values_, layer, entry, weights_.times(layer, matrix::value, x));
      x = weights_.finish_layer(layer, x, attend(layer, weights_.times(layer, matrix::query, x), seen));
    }
    outputs_[entry] = x;
  }

  [[nodiscard]] state attend(std::size_t layer, const state& query, visibility seen) const noexcept {
    std::array<std::int64_t, width> sums{};
    for (std::size_t entry = 0; entry < seen.prefix; ++entry) add_attended(layer, entry, query, sums);
    if (seen.slot != pending_nodes::none) {
      pending_.for_each_visible(seen.slot, [&](std::size_t slot) { add_attended(layer, length_ + slot, query, sums); });
    }
    state attended{};
    for (std::size_t i = 0; i < width; ++i) attended[i] = integer_weights::reduced(sums[i]);
    return attended;
  }

  void add_attended(std::size_t layer, std::size_t entry, const state& query,
                    std::array<std::int64_t, width>& sums) const noexcept {
    constexpr std::size_t head_width = integer_weights::head_width;
    const std::int8_t* key = keys_.data() + place(layer, entry);
    const std::int8_t* value = values_.data() + place(layer, entry);
    for (std::size_t first = 0; first < width; first += head_width) {
      std::int32_t score = 0;
      for (std::size_t i = first; i < first + head_width; ++i) score += query[i] * key[i];
      const std::int32_t weight = integer_weights::attention(score);
      for (std::size_t i = first; i < first + head_width; ++i) sums[i] += weight * value[i];
    }
  }

  [[nodiscard]] std::size_t place(std::size_t layer, std::size_t entry) const noexcept {
    return (layer * context_size_ + entry) * width;
  }
  void store(std::vector<std::int8_t>& cache, std::size_t layer, std::size_t entry, const state& x) noexcept {
    for (std::size_t i = 0; i < width; ++i) cache[place(layer, entry) + i] = static_cast<std::int8_t>(x[i]);
  }
  /// `to` is at or before `from`.
  void move_entry(std::size_t from, std::size_t to) noexcept {
    for (std::size_t layer = 0; layer < weights_.layers(); ++layer) {
      for (std::vector<std::int8_t>* cache : {&keys_, &values_}) {
        std::copy_n(cache->begin() + static_cast<std::ptrdiff_t>(place(layer, from)), width,
                    cache->begin() + static_cast<std::ptrdiff_t>(place(layer, to)));
      }
    }
  }

  integer_weights weights_;
  std::size_t context_size_;
  std::size_t length_ = 0;
  std::vector<std::int8_t> keys_;    // [layer][entry][channel]; committed entries first, pending slots behind them
  std::vector<std::int8_t> values_;  // likewise
  std::vector<state> outputs_;       // final state of each entry
  pending_nodes pending_;
  lazy_rows<Real> rows_;
};

static_assert(TreeModel<integer_network<>> && BatchInvariantModel<integer_network<>> &&
              RollbackModel<integer_network<>> && ForkableModel<integer_network<>>);

}  // namespace decant::inline DECANT_ABI

#endif
