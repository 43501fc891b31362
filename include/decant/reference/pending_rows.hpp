// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rows that a model has evaluated, or is about to, since the last commit: slot `length + i` belongs to row i.
#ifndef DECANT_REFERENCE_PENDING_ROWS_HPP
#define DECANT_REFERENCE_PENDING_ROWS_HPP

#include <decant/core/token_tree.hpp>
#include <decant/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

struct pending_row {
  node_id node = no_node;
  token id = 0;
  std::size_t position = 0;
  std::size_t first_visible = 0;
  std::size_t visible_count = 0;
  std::size_t layers = 0;  ///< it has run through
  bool is_kept = false;    ///< its residual row after these layers is kept
};

/// Rows by index, findable by node id; what each sees of the others as ascending indices, itself last.
class pending_rows {
 public:
  void reserve(std::size_t rows) { rows_.reserve(rows); }

  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] pending_row& operator[](std::size_t i) noexcept { return rows_[i]; }
  [[nodiscard]] const pending_row& operator[](std::size_t i) const noexcept { return rows_[i]; }

  /// Index of a node, or -1.
  [[nodiscard]] std::int32_t find(node_id n) const noexcept {
    return n >= 0 && index(n) < row_of_node_.size() ? row_of_node_[index(n)] : -1;
  }
  [[nodiscard]] bool contains(node_id n) const noexcept { return find(n) >= 0; }

  [[nodiscard]] std::span<const std::uint32_t> visible(std::size_t i) const noexcept {
    return std::span<const std::uint32_t>(visible_).subspan(rows_[i].first_visible, rows_[i].visible_count);
  }

  /// Appends a node of a tree that sits at `root_position`; what it sees is there already.
  void add(const token_tree& tree, node_id n, std::size_t root_position) {
    begin(n, tree.token_of(n), root_position + index(tree.position_offset(n)));
    for (node_id seen = n; seen != no_node; seen = tree.parent(seen)) see(index(find(seen)));
    for (const node_id seen : tree.also_visible(n)) see(index(find(seen)));
    end();
  }
  /// Appends a row that sees itself and the rows whose bit is set.
  void add(token id, std::size_t position, std::span<const std::uint64_t> mask) {
    const std::size_t self = size();
    begin(static_cast<node_id>(self), id, position);
    for (std::size_t i = 0; i < self; ++i) {
      if ((mask[i / 64] >> (i % 64) & 1) != 0) see(i);
    }
    see(self);
    end();
  }

  /// Whether these nodes are what would have come of evaluating their tokens one after the other: each sees the ones
  /// before it, itself and nothing else, and stands at the next position.
  [[nodiscard]] bool is_sequence(node_span path, std::size_t first_position) const noexcept {
    for (std::size_t i = 0; i < path.size(); ++i) {
      const std::int32_t row = find(path[i]);
      if (row < 0 || rows_[index(row)].position != first_position + i) return false;
      const std::span<const std::uint32_t> seen = visible(index(row));
      const bool equal =
          std::equal(seen.begin(), seen.end(), path.begin(), path.begin() + static_cast<std::ptrdiff_t>(i + 1),
                     [this](std::uint32_t other, node_id n) { return other == static_cast<std::uint32_t>(find(n)); });
      if (!equal) return false;
    }
    return true;
  }

  /// Keeps the first `count` rows.
  void truncate(std::size_t count) noexcept {
    for (std::size_t i = count; i < rows_.size(); ++i) row_of_node_[index(rows_[i].node)] = -1;
    if (count < rows_.size()) visible_.resize(rows_[count].first_visible);
    rows_.erase(rows_.begin() + static_cast<std::ptrdiff_t>(count), rows_.end());
  }
  void clear() noexcept { truncate(0); }

 private:
  void begin(node_id n, token id, std::size_t position) {
    if (row_of_node_.size() <= index(n)) row_of_node_.resize(index(n) + 1, -1);
    row_of_node_[index(n)] = static_cast<std::int32_t>(rows_.size());
    rows_.push_back({n, id, position, visible_.size(), 0, 0, false});
  }
  void see(std::size_t row) { visible_.push_back(static_cast<std::uint32_t>(row)); }
  void end() {
    const auto first = visible_.begin() + static_cast<std::ptrdiff_t>(rows_.back().first_visible);
    std::sort(first, visible_.end());
    visible_.erase(std::unique(first, visible_.end()), visible_.end());
    rows_.back().visible_count = visible_.size() - rows_.back().first_visible;
  }

  std::vector<pending_row> rows_;
  std::vector<std::uint32_t> visible_;
  std::vector<std::int32_t> row_of_node_;
};

}  // namespace decant::inline DECANT_ABI

#endif
