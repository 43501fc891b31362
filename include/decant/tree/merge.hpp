// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The union of two drafts over one root (SpecInfer's merge-based trees, arXiv 2305.09781): nodes with equal token paths
// become one node that keeps all the laws its token was drawn from, each a test of its own for a coupling verifier
// (dropping the second law would bias it). The draws of the first draft come before those of the second.
// Exact under coupling verifiers when both drafts are predictable and their draws are independent: give each drafter a
// chance source of its own lane (`chance_lane`), since equal keys would draw from the same noise.
#ifndef DECANT_TREE_MERGE_HPP
#define DECANT_TREE_MERGE_HPP

#include <decant/core/chance.hpp>
#include <decant/core/guarantee.hpp>
#include <decant/core/token_draft.hpp>

namespace decant::inline DECANT_ABI {

/// The class of a merged tree. Point masses beside sampled edges are true laws, so the mixture counts as sampled; a
/// node limit counts what was not drawn twice, so the number of draws below a node may depend on them.
[[nodiscard]] constexpr tree_class class_after_merging(tree_class a, tree_class b) noexcept {
  if (a == tree_class::arbitrary || b == tree_class::arbitrary) return tree_class::arbitrary;
  return a == tree_class::deterministic && b == a ? a : tree_class::sampled;
}

/// A chance source whose draws are independent of those of every other lane of the same source, for drafters that work
/// on the same step. Lane 0 is the source itself. Lanes are below 256, indices below 2^24.
template <class Chance>
struct chance_lane {
  Chance& source;
  std::uint32_t lane = 0;

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) {
    return source.accept(in_lane(key), a, b);
  }
  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) {
    return source.pick(in_lane(key), law);
  }
  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) {
    return source.ordered_sample(in_lane(key), law, out);
  }

 private:
  [[nodiscard]] chance_key in_lane(chance_key key) const noexcept {
    DECANT_PRECONDITION(lane < 256 && key.index < (1u << 24));
    key.index |= lane << 24;
    return key;
  }
};

/// Merges drafts; its memory is reused.
class draft_merger {
 public:
  static constexpr std::int32_t unlimited = std::numeric_limits<std::int32_t>::max();

  /// Adds the nodes, laws and rows of `added` to `into`, whose own nodes keep their ids. Stops at the first draw of
  /// `added` for which `into` already holds `max_nodes` drafted nodes, whatever that draw was: a cut that looked at the
  /// token would break its law. A node that both drafts have keeps the row, estimate and source tag of `into`.
  /// Precondition: both have the same root. O(nodes * children) and the copying of rows.
  template <class Real>
  void merge(token_draft<Real>& into, const token_draft<Real>& added, std::int32_t max_nodes = unlimited) {
    DECANT_PRECONDITION(&into != &added && into.tree.token_of(0) == added.tree.token_of(0) && max_nodes >= 0);
    first_row_ = static_cast<std::int32_t>(into.rows.size());
    for (std::size_t row = 0; row < added.rows.size(); ++row) {
      into.rows.add().assign(added.rows.row(static_cast<std::int32_t>(row)));
    }
    merged_as_.assign(added.tree.size(), no_node);
    merged_as_[0] = 0;
    add_row_after(into, added, 0);
    const auto full = [&] { return into.tree.size() > index(max_nodes); };
    const std::span<const repeated_draw> repeats = added.tree.repeats();
    std::size_t next = 0;
    for (std::size_t i = 1; i <= added.tree.size(); ++i) {
      for (; next < repeats.size() && index(repeats[next].at) <= i; ++next) {
        if (full()) return;
        into.tree.repeat(merged_as_[index(repeats[next].child)], moved(repeats[next].edge));
      }
      if (i == added.tree.size() || full()) return;
      add_node(into.tree, added.tree, static_cast<node_id>(i));
      add_row_after(into, added, static_cast<node_id>(i));
    }
  }

  /// The node that node `n` of the last `added` has become, `no_node` when it was cut. So a step's outcome can be told
  /// to the drafter of either part.
  [[nodiscard]] node_id merged_as(node_id n) const noexcept { return merged_as_[index(n)]; }
  /// The node of the last `added` that became node `n` of the merged tree, `no_node` when there is none. O(nodes).
  [[nodiscard]] node_id came_from(node_id n) const noexcept {
    const auto found = std::find(merged_as_.begin(), merged_as_.end(), n);
    return found == merged_as_.end() ? no_node : static_cast<node_id>(found - merged_as_.begin());
  }

 private:
  /// An edge of `added`, its row renumbered.
  [[nodiscard]] tree_edge moved(tree_edge edge) const noexcept {
    if (edge.law != edge_law::deterministic) edge.row += first_row_;
    return edge;
  }

  void add_node(token_tree& into, const token_tree& added, node_id n) {
    const node_id parent = merged_as_[index(added.parent(n))];
    node_id& self = merged_as_[index(n)];
    if (added.kind(n) == node_kind::probe) {
      visible_.clear();
      for (const node_id seen : added.also_visible(n)) visible_.push_back(merged_as_[index(seen)]);
      self = into.append_probe(parent, added.token_of(n), visible_, added.position_offset(n));
      return;
    }
    const tree_edge edge = moved(added.edge(n));
    self = into.child_with(parent, added.token_of(n));
    if (self == no_node) {
      self = into.append(parent, added.token_of(n), edge, {added.acceptance(n), added.source(n)});
    } else if (edge != tree_edge{} || into.edge(self) != tree_edge{}) {  // a second point mass would say nothing new
      into.repeat(self, edge);
    }
  }

  template <class Real>
  void add_row_after(token_draft<Real>& into, const token_draft<Real>& added, node_id n) const {
    const node_id self = merged_as_[index(n)];
    if (added.row_after(n) >= 0 && into.row_after(self) < 0) into.set_row_after(self, first_row_ + added.row_after(n));
  }

  std::int32_t first_row_ = 0;  // id in `into` of the first row of `added`
  std::vector<node_id> merged_as_;
  std::vector<node_id> visible_;
};

}  // namespace decant::inline DECANT_ABI

#endif
