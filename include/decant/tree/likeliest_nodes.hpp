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

  /// Makes the `width` likeliest children of a node whose row is stored candidates of the next layer.
  template <class Real, class Chance>
  void propose(const token_draft<Real>& draft, node_id parent, std::int32_t width, Chance& chance) {
    const distribution_view<Real> law = draft.rows.row(draft.row_after(parent));
    std::array<token, max_children> chosen;  // NOLINT: only what `choose` writes is read
    const std::span<token> room(chosen.data(), std::min(index(width), max_children));
    const std::size_t found = ranked{}.choose(law, chance_key{}, chance, room);
    for (const token id : room.first(found)) {
      const float reach = draft.tree.acceptance(parent) * static_cast<float>(law.probability(id));
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
