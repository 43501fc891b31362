// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The N likeliest nodes of a tree that grows layer by layer, by path probability under the draft rows: what OPT-Tree
// and EAGLE-2 share. A layer's candidates join one ranking (likeliest first, among equals the earlier, so parents
// before their children) of which only the first N places stay. A place once lost is never won back, and a child is
// never likelier than its parent: what enters no place now cannot be an ancestor of a node of the final tree, so only
// nodes with a place are put into the tree, and only they need draft rows. The result is that of enumerating
// everything. O(width) per row and candidate list, O(candidates + N log N) per layer; nothing is allocated once warm.
#ifndef DECANT_TREE_LIKELIEST_NODES_HPP
#define DECANT_TREE_LIKELIEST_NODES_HPP

#include <decant/tree/children.hpp>
#include <decant/tree/prune.hpp>

namespace decant::inline DECANT_ABI::detail {

class likeliest_nodes {
 public:
  /// Starts with `places` places, all free.
  void start(std::size_t places) {
    places_ = places;
    ranking_.clear();
    newest_.clear();
    candidates_.clear();
    sum_ = 0;
  }

  /// Makes the `width` likeliest children of a node whose row is stored candidates of the next layer; those that cannot
  /// get a place any more are passed over.
  template <class Real>
  void propose(const token_draft<Real>& draft, node_id parent, std::int32_t width) {
    const distribution_view<Real> law = draft.rows.row(draft.row_after(parent));
    const float above = draft.tree.acceptance(parent);
    const std::size_t room = std::min(index(width), max_children);
    if (room == 0) return;
    heaviest_entries<Real> children(law.weights(), room, weight_without_place(draft.tree, law, above));
    children.enter_all(law.block_masses());
    for (const std::size_t entry : children.entries()) {
      const token id = law.id(entry);
      const float reach = above * static_cast<float>(law.probability(id));
      if (reach > 0) candidates_.push_back({reach, parent, id, static_cast<std::int32_t>(candidates_.size())});
    }
  }

  /// Ranks the candidates among the nodes so far and puts those that get a place into the tree, likeliest first.
  template <class Real>
  void admit(token_draft<Real>& draft) {
    const auto likelier = [](const candidate& a, const candidate& b) {
      return a.reach != b.reach ? a.reach > b.reach : a.order < b.order;
    };
    if (candidates_.size() > places_) {
      const auto cut = candidates_.begin() + static_cast<std::ptrdiff_t>(places_);
      std::nth_element(candidates_.begin(), cut, candidates_.end(), likelier);
      candidates_.erase(cut, candidates_.end());
    }
    std::sort(candidates_.begin(), candidates_.end(), likelier);
    merge(draft);
    candidates_.clear();
  }

  /// The nodes of the last layer that have a place, likeliest first, ids ascending.
  [[nodiscard]] node_span newest() const noexcept { return newest_; }

  /// Sum of the path probabilities of the ranked nodes: what a verifier is expected to accept if the draft is right.
  [[nodiscard]] double sum() const noexcept { return sum_; }

  /// Removes the nodes that have lost their place.
  template <class Real>
  void finish(token_draft<Real>& draft) {
    keep_first<tree_class::deterministic>(draft, ranking_, ranking_.size());
  }

 private:
  struct candidate {
    float reach;
    node_id parent;
    token id;
    std::int32_t order;  ///< of proposal
  };

  /// A weight below a node up to which a child is not likelier than the last node of a full ranking, with some room for
  /// rounding.
  template <class Real>
  [[nodiscard]] Real weight_without_place(const token_tree& tree, distribution_view<Real> law, float above) const {
    if constexpr (std::is_floating_point_v<Real>) {
      constexpr float smallest = 1e-30f;  // below it products of floats lose their digits
      constexpr double room = 1 - 1e-6;
      if (ranking_.size() == places_ && places_ > 0 && tree.acceptance(ranking_.back()) > smallest && above > 0) {
        const double share = static_cast<double>(tree.acceptance(ranking_.back())) / static_cast<double>(above);
        return static_cast<Real>(room * std::min(share, 1.0) * as_double(law.mass()));
      }
    }
    return Real(0);
  }

  /// Merges the two rankings, the older nodes first among equals, up to the last place.
  template <class Real>
  void merge(token_draft<Real>& draft) {
    merged_.clear();
    newest_.clear();
    sum_ = 0;
    std::size_t old = 0;
    std::size_t next = 0;
    while (merged_.size() < places_ && (old < ranking_.size() || next < candidates_.size())) {
      const bool is_old = next == candidates_.size() ||
                          (old < ranking_.size() && draft.tree.acceptance(ranking_[old]) >= candidates_[next].reach);
      merged_.push_back(is_old ? ranking_[old++] : append(draft, candidates_[next++]));
      sum_ += static_cast<double>(draft.tree.acceptance(merged_.back()));
    }
    ranking_.swap(merged_);
  }

  template <class Real>
  node_id append(token_draft<Real>& draft, const candidate& added) {
    const node_id self = draft.tree.append(added.parent, added.id, {}, {added.reach, 0});
    newest_.push_back(self);
    return self;
  }

  std::size_t places_ = 0;
  std::vector<node_id> ranking_;  // likeliest first
  std::vector<node_id> merged_;
  std::vector<node_id> newest_;
  std::vector<candidate> candidates_;
  double sum_ = 0;
};

}  // namespace decant::inline DECANT_ABI::detail

#endif
