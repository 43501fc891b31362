// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a sequence keeps of its last evaluation besides keys, values and logits: the row of each node, chosen levels of
// the residual stream, the attention of chosen heads.
#ifndef DECANT_REFERENCE_EVALUATION_RECORD_HPP
#define DECANT_REFERENCE_EVALUATION_RECORD_HPP

#include <decant/core/token_tree.hpp>
#include <decant/reference/attention.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Layers [first, last) of a network.
struct layer_range {
  std::size_t first = 0;
  std::size_t last = 0;
};

/// Which row of an evaluation each node has.
class node_rows {
 public:
  /// Row i is that of `nodes[i]`.
  void list(node_span nodes) {
    const node_id highest = nodes.empty() ? no_node : *std::max_element(nodes.begin(), nodes.end());
    row_of_node_.assign(static_cast<std::size_t>(highest + 1), -1);
    for (std::size_t i = 0; i < nodes.size(); ++i) row_of_node_[index(nodes[i])] = static_cast<std::int32_t>(i);
  }
  /// By node id, -1 for nodes without a row.
  [[nodiscard]] std::span<const std::int32_t> all() const noexcept { return row_of_node_; }
  [[nodiscard]] std::int32_t row_of(node_id n) const noexcept {
    return n >= 0 && index(n) < row_of_node_.size() ? row_of_node_[index(n)] : -1;
  }

 private:
  std::vector<std::int32_t> row_of_node_;
};

/// Choices last; what was recorded is replaced by every evaluation, in reused memory.
class evaluation_record {
 public:
  void choose_levels(std::span<const std::size_t> levels) {
    levels_.assign(levels.begin(), levels.end());
    hidden_.clear();
  }
  void choose_heads(std::span<const attention_head> heads, attention_values kind) {
    heads_.assign(heads.begin(), heads.end());
    kind_ = kind;
    attention_.clear();
  }
  void choose_as(const evaluation_record& other) {
    choose_levels(other.levels_);
    choose_heads(other.heads_, other.kind_);
  }

  /// Makes room for what is chosen of nodes that run through `layers` of `layer_count`; `width` is that of the residual
  /// stream, `seen` the most tokens a row attends to.
  void begin(node_span nodes, layer_range layers, std::size_t layer_count, std::size_t width, std::size_t seen) {
    rows_.list(nodes);
    layers_ = layers;
    layer_count_ = layer_count;
    hidden_.resize(nodes.size() * levels_.size() * width);
    taps_ = {levels_, hidden_.data(), width};
    attention_.resize(nodes.size() * heads_.size() * seen);
    probe_ = {heads_, kind_, attention_.data(), seen};
  }
  [[nodiscard]] std::int32_t row_of(node_id n) const noexcept { return rows_.row_of(n); }
  /// Where the rows of the pass write to, null when nothing is chosen. Valid until the next change of any kind.
  [[nodiscard]] const hidden_taps* taps() const noexcept { return levels_.empty() ? nullptr : &taps_; }
  [[nodiscard]] const attention_probe* probe() const noexcept { return heads_.empty() ? nullptr : &probe_; }

  /// The recorded residual row of a node; empty when there is none.
  [[nodiscard]] std::span<const float> hidden(std::size_t level, node_id n) const noexcept {
    const std::int32_t row = row_of(n);
    const auto chosen = std::find(levels_.begin(), levels_.end(), level);
    if (row < 0 || chosen == levels_.end() || hidden_.empty() || !was_reached(level)) return {};
    return {taps_.at(index(row), static_cast<std::size_t>(chosen - levels_.begin())), taps_.width};
  }
  /// The recorded attention of a node that sees `seen` tokens; empty when there is none.
  [[nodiscard]] std::span<const float> attention(attention_head head, node_id n, std::size_t seen) const noexcept {
    const std::int32_t row = row_of(n);
    const auto chosen = std::find(heads_.begin(), heads_.end(), head);
    if (row < 0 || chosen == heads_.end() || attention_.empty()) return {};
    if (head.layer < layers_.first || head.layer >= layers_.last) return {};
    return {probe_.at(index(row), static_cast<std::size_t>(chosen - heads_.begin())), seen};
  }

 private:
  [[nodiscard]] bool was_reached(std::size_t level) const noexcept {
    if (level == 0) return layers_.first == 0;
    if (level == layer_count_ + 1) return layers_.first == 0 && layers_.last == layer_count_;
    return level > layers_.first && level <= layers_.last;
  }

  node_rows rows_;
  layer_range layers_;
  std::size_t layer_count_ = 0;
  std::vector<std::size_t> levels_;
  std::vector<float> hidden_;
  hidden_taps taps_;
  std::vector<attention_head> heads_;
  attention_values kind_ = attention_values::probabilities;
  std::vector<float> attention_;
  attention_probe probe_;
};

}  // namespace decant::inline DECANT_ABI

#endif
