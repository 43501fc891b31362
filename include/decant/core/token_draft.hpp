// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A draft: the token tree and, beside it, the draft rows its sampled edges were drawn from, kept until verification.
#ifndef DECANT_CORE_TOKEN_DRAFT_HPP
#define DECANT_CORE_TOKEN_DRAFT_HPP

#include <decant/core/distribution.hpp>
#include <decant/core/token_tree.hpp>

namespace decant::inline DECANT_ABI {

/// Draft rows, each sparse or dense, in reused memory.
template <class Real>
class row_store {
 public:
  void clear() noexcept { count_ = 0; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  /// A new row to be filled in; its id is size() - 1. References to other rows may move.
  [[nodiscard]] distribution<Real>& add() {
    if (count_ == rows_.size()) rows_.emplace_back();
    return rows_[count_++];
  }
  [[nodiscard]] distribution_view<Real> row(std::int32_t id) const noexcept {
    DECANT_PRECONDITION(id >= 0 && index(id) < count_);
    return rows_[index(id)].view();
  }

 private:
  std::vector<distribution<Real>> rows_;
  std::size_t count_ = 0;
};

/// The tree, its rows, and which row holds the draft law after a node.
template <class Real>
class token_draft {
 public:
  using value_type = Real;

  token_tree tree;
  row_store<Real> rows;

  /// Starts a new draft whose root is the last committed token.
  void reset(token root) {
    tree.reset(root);
    rows.clear();
    row_after_.clear();
    drafted_as_.clear();
  }

  /// Stores the draft law after node `n`; returns it for writing. Once per node.
  [[nodiscard]] distribution<Real>& add_row_after(node_id n) {
    distribution<Real>& added = rows.add();
    set_row_after(n, static_cast<std::int32_t>(rows.size()) - 1);
    return added;
  }
  /// Says that the law after node `n` is the stored row `row`.
  void set_row_after(node_id n, std::int32_t row) {
    DECANT_PRECONDITION(n >= 0 && row >= 0 && index(row) < rows.size());
    if (row_after_.size() <= index(n)) row_after_.resize(index(n) + 1, -1);
    row_after_[index(n)] = row;
  }
  /// Id of the draft row after node `n`, -1 when there is none.
  [[nodiscard]] std::int32_t row_after(node_id n) const noexcept {
    return index(n) < row_after_.size() ? row_after_[index(n)] : -1;
  }
  /// The law of a sampled edge's row.
  [[nodiscard]] distribution_view<Real> row_of(tree_edge edge) const noexcept { return rows.row(edge.row); }

  /// Removes every node `n` for which `keep(n)` is false, with everything below it; asks in order and before anything
  /// is removed. Rows stay. Breaks the laws of drawn siblings: `prune` (tree/prune.hpp) guards it by type. O(nodes).
  template <class Keep>
  void retain(Keep&& keep) {
    new_id_.assign(tree.size(), no_node);
    new_id_[0] = 0;
    for (const node_id n : tree.all().subspan(1)) {
      if (new_id_[index(tree.parent(n))] != no_node && keep(n)) new_id_[index(n)] = n;
    }
    if (drafted_as_.empty()) drafted_as_.assign(tree.all().begin(), tree.all().end());
    drafted_as_.resize(tree.size(), no_node);
    row_after_.resize(tree.size(), -1);
    tree.retain(new_id_);
    for (std::size_t i = 0; i < new_id_.size(); ++i) {
      if (new_id_[i] == no_node) continue;
      drafted_as_[index(new_id_[i])] = drafted_as_[i];
      row_after_[index(new_id_[i])] = row_after_[i];
    }
    drafted_as_.resize(tree.size());
    row_after_.resize(tree.size());
  }

  /// The id that node `n` had while the draft grew, under which a draft model knows it: `n` itself unless nodes were
  /// removed, `no_node` when `n` was added after that.
  [[nodiscard]] node_id drafted_as(node_id n) const noexcept {
    if (drafted_as_.empty()) return n;
    return index(n) < drafted_as_.size() ? drafted_as_[index(n)] : no_node;
  }

 private:
  std::vector<std::int32_t> row_after_;
  std::vector<node_id> drafted_as_;
  std::vector<node_id> new_id_;
};

}  // namespace decant::inline DECANT_ABI

#endif
