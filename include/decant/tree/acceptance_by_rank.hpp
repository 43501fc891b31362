// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts, while decoding, which child of a node is the accepted one: what the offline constructions of static trees are
// calibrated with (Medusa arXiv 2401.10774 by depth and rank, Sequoia arXiv 2402.12374 by rank alone). Child j of a
// node says something only where its parent was accepted, and whatever comes after it in draw order has no part in
// that, so trees of any widths may be counted together: entry j is accepted / visited nodes with more than j children.
// With ranked children drafted by `static_widths`, child j is the token of rank j.
#ifndef DECANT_TREE_ACCEPTANCE_BY_RANK_HPP
#define DECANT_TREE_ACCEPTANCE_BY_RANK_HPP

#include <decant/tree/calibrated_paths.hpp>

namespace decant::inline DECANT_ABI {

class acceptance_by_rank {
 public:
  /// A step ended: the accepted path, root first (`verdict::path`, `decode_step::kept`, what `observe` is told).
  /// Grows its tables when it sees a deeper or wider tree than before. O(children on the path).
  void record(const token_tree& tree, node_span path) {
    for (std::size_t depth = 0; depth < path.size(); ++depth) {
      const node_id next = depth + 1 < path.size() ? path[depth + 1] : no_node;
      std::size_t rank = 0;
      for (node_id child = tree.first_child(path[depth]); child != no_node; child = tree.next_sibling(child)) {
        counts& seen = at(depth, rank++);
        ++seen.visited;
        if (child == next) ++seen.accepted;
      }
    }
  }

  /// Probability that child `rank` of a node at depth `depth` is the accepted one; 0 without evidence.
  [[nodiscard]] double acceptance(std::size_t depth, std::size_t rank) const noexcept {
    return depth < seen_.size() && rank < seen_[depth].size() ? seen_[depth][rank].share() : 0;
  }

  /// The table for `calibrated_paths`.
  [[nodiscard]] rank_acceptance by_depth() const {
    rank_acceptance table;
    for (const std::vector<counts>& level : seen_) {
      table.emplace_back();
      for (const counts& seen : level) table.back().push_back(seen.share());
    }
    return table;
  }

  /// The vector for `sequoia_trees`: all depths together.
  [[nodiscard]] std::vector<double> by_rank() const {
    std::vector<counts> all;
    for (const std::vector<counts>& level : seen_) {
      if (level.size() > all.size()) all.resize(level.size());
      for (std::size_t rank = 0; rank < level.size(); ++rank) all[rank].add(level[rank]);
    }
    std::vector<double> shares;
    for (const counts& seen : all) shares.push_back(seen.share());
    return shares;
  }

  void clear() noexcept { seen_.clear(); }

  friend bool operator==(const acceptance_by_rank&, const acceptance_by_rank&) = default;

 private:
  struct counts {
    std::uint64_t visited = 0;
    std::uint64_t accepted = 0;

    [[nodiscard]] double share() const noexcept {
      return visited == 0 ? 0 : static_cast<double>(accepted) / static_cast<double>(visited);
    }
    void add(const counts& other) noexcept {
      visited += other.visited;
      accepted += other.accepted;
    }
    friend bool operator==(const counts&, const counts&) = default;
  };

  [[nodiscard]] counts& at(std::size_t depth, std::size_t rank) {
    if (depth >= seen_.size()) seen_.resize(depth + 1);
    if (rank >= seen_[depth].size()) seen_[depth].resize(rank + 1);
    return seen_[depth][rank];
  }

  std::vector<std::vector<counts>> seen_;
};

}  // namespace decant::inline DECANT_ABI

#endif
