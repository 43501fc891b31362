// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one container for drafts: a token tree in flat arrays, parents before children, siblings in draw order. A chain
// is a tree of width one, a plain step is a tree of size one. The root (node 0) is the last committed token.
#ifndef DECANT_CORE_TOKEN_TREE_HPP
#define DECANT_CORE_TOKEN_TREE_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>

#include <vector>

namespace decant::inline DECANT_ABI {

/// The law a drafted token was drawn from, given everything drawn before it.
enum class edge_law : std::uint8_t {
  deterministic,       ///< chosen without a draw: top-k, lookup, forced by a grammar
  independent,         ///< drawn from a draft row, whatever its siblings are
  without_replacement  ///< drawn from a draft row without the tokens of earlier siblings drawn so from the same row
};

/// An edge: its law and, for the two sampled laws, the draft row it was drawn from (an index into the rows stored
/// beside the tree; normally the parent's row, but any row known at verification time is legal).
struct tree_edge {
  edge_law law = edge_law::deterministic;
  std::int32_t row = -1;

  friend constexpr bool operator==(const tree_edge&, const tree_edge&) = default;
};

/// What a node is for.
enum class node_kind : std::uint8_t {
  drafted,  ///< a candidate for the output; only these are children in the sense of first_child / next_sibling
  probe     ///< evaluated for its row or hidden state only (virtual tokens, reflection probes); never accepted
};

/// Optional facts about a new node.
struct node_facts {
  float acceptance = 0;     ///< estimated probability that the node is accepted, 0 when unknown
  std::uint8_t source = 0;  ///< which drafter proposed it, for statistics
};

/// A later draw that gave a token its parent already has: the child is tested once more, with this law.
struct repeated_draw {
  node_id child;
  tree_edge edge;
  std::int32_t at;  ///< number of nodes in the tree when it was drawn: orders it among the draws of its parent

  friend constexpr bool operator==(const repeated_draw&, const repeated_draw&) = default;
};

/// One draw below a node: the child it gave, its law, and a number no other draw of the tree has, to name its coin.
struct tree_draw {
  node_id child;
  tree_edge edge;
  node_id coin;
};

/// Token tree. All operations are O(1) amortised unless stated; `reset` keeps the memory.
class token_tree {
 public:
  token_tree() = default;
  explicit token_tree(token root) { reset(root); }

  /// Empties the tree and places the root, whose acceptance is certain.
  void reset(token root) {
    nodes_.clear();
    repeats_.clear();
    visible_.clear();
    push({root, no_node, no_node, no_node, no_node, 0, 0, {}, {1.0f, 0}, node_kind::drafted, {}});
  }

  /// Appends a candidate below `parent`, as its last child in draw order.
  node_id append(node_id parent, token id, tree_edge edge = {}, node_facts facts = {}) {
    DECANT_PRECONDITION(contains(parent) && nodes_[index(parent)].kind == node_kind::drafted);
    const node_id self = static_cast<node_id>(nodes_.size());
    const std::int32_t depth = nodes_[index(parent)].depth + 1;
    push({id, parent, no_node, no_node, no_node, depth, depth, edge, facts, node_kind::drafted, {}});
    link(self);
    return self;
  }

  /// Appends a probe below `parent` (a drafted node or another probe). Its token may lie at or above the vocabulary
  /// size: then it selects a row of an extra embedding table. It sees its ancestors, itself and the nodes of
  /// `also_visible`, and sits at `position_offset` from the root's position (by default its depth). Probes are in no
  /// child list.
  node_id append_probe(node_id parent, token id, node_span also_visible = {}, std::int32_t position_offset = -1) {
    DECANT_PRECONDITION(contains(parent));
    const node_id self = static_cast<node_id>(nodes_.size());
    const std::int32_t depth = nodes_[index(parent)].depth + 1;
    const auto first = static_cast<std::int32_t>(visible_.size());
    visible_.insert(visible_.end(), also_visible.begin(), also_visible.end());
    push({id,
          parent,
          no_node,
          no_node,
          no_node,
          depth,
          position_offset < 0 ? depth : position_offset,
          {},
          {},
          node_kind::probe,
          {first, static_cast<std::int32_t>(also_visible.size())}});
    return self;
  }

  /// Records that `child` was drawn again, with another or the same law. Coupling verifiers test it once more there.
  void repeat(node_id child, tree_edge edge) {
    DECANT_PRECONDITION(contains(child) && child != 0);
    repeats_.push_back({child, edge, static_cast<std::int32_t>(nodes_.size())});
  }

  /// Keeps the first `count` nodes. Legal for sampled trees too as long as `count` does not depend on the tokens cut.
  void truncate(std::size_t count) {
    DECANT_PRECONDITION(count >= 1);
    while (nodes_.size() > count) pop();
    while (!repeats_.empty() && (index(repeats_.back().child) >= count || index(repeats_.back().at) > count)) {
      repeats_.pop_back();
    }
  }

  /// Removes nodes, each with everything below it, and closes the gaps; the order of the others stays. On entry
  /// `new_id[n]` is `no_node` for the nodes to remove, on return it is the new id of node n, or `no_node`. Probes no
  /// longer see what was removed. This breaks the laws of drawn siblings: `prune` (tree/prune.hpp) guards it by type.
  /// Precondition: one entry per node, the root is kept. O(nodes).
  void retain(std::span<node_id> new_id) {
    DECANT_PRECONDITION(new_id.size() == nodes_.size() && new_id[0] != no_node);
    const std::size_t kept = renumber(new_id);
    std::size_t visible_count = 0;
    for (std::size_t i = 0; i < new_id.size(); ++i) {
      if (new_id[i] == no_node) continue;
      node moved = nodes_[i];
      moved.first_child = moved.last_child = moved.next_sibling = no_node;
      moved.visible = keep_visible(moved.visible, new_id, visible_count);
      if (i > 0) moved.parent = new_id[index(moved.parent)];
      nodes_[index(new_id[i])] = moved;
      if (i > 0 && moved.kind == node_kind::drafted) link(new_id[i]);
    }
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(kept), nodes_.end());
    visible_.resize(visible_count);
  }

  /// Number of nodes, root included.
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] bool contains(node_id n) const noexcept { return n >= 0 && index(n) < nodes_.size(); }

  [[nodiscard]] token token_of(node_id n) const noexcept { return at(n).id; }
  /// Parent; `no_node` for the root.
  [[nodiscard]] node_id parent(node_id n) const noexcept { return at(n).parent; }
  /// First child in draw order, `no_node` for a leaf.
  [[nodiscard]] node_id first_child(node_id n) const noexcept { return at(n).first_child; }
  [[nodiscard]] node_id next_sibling(node_id n) const noexcept { return at(n).next_sibling; }
  /// Edges between the root and the node.
  [[nodiscard]] std::int32_t depth(node_id n) const noexcept { return at(n).depth; }
  /// Position relative to the root's; equals the depth except for probes that say otherwise.
  [[nodiscard]] std::int32_t position_offset(node_id n) const noexcept { return at(n).position_offset; }
  [[nodiscard]] tree_edge edge(node_id n) const noexcept { return at(n).edge; }
  [[nodiscard]] float acceptance(node_id n) const noexcept { return at(n).facts.acceptance; }
  [[nodiscard]] std::uint8_t source(node_id n) const noexcept { return at(n).facts.source; }
  [[nodiscard]] node_kind kind(node_id n) const noexcept { return at(n).kind; }
  /// Nodes a probe sees beside its ancestors and itself.
  [[nodiscard]] node_span also_visible(node_id n) const noexcept {
    const range seen = at(n).visible;
    return node_span(visible_).subspan(index(seen.first), index(seen.count));
  }
  [[nodiscard]] std::span<const repeated_draw> repeats() const noexcept { return repeats_; }

  /// All node ids in order: 0, 1, ..., size()-1.
  [[nodiscard]] node_span all() const noexcept { return node_span(ids_).first(nodes_.size()); }

  /// The child of `n` that carries `id` (the first in draw order), or `no_node`. O(children).
  [[nodiscard]] node_id child_with(node_id n, token id) const noexcept {
    node_id child = first_child(n);
    while (child != no_node && token_of(child) != id) child = next_sibling(child);
    return child;
  }

  /// Writes the tokens below the root on the way to `n`, in order. O(depth).
  void path_tokens(node_id n, std::vector<token>& out) const {
    out.resize(index(depth(n)));
    for (std::size_t i = out.size(); i > 0; n = parent(n)) out[--i] = token_of(n);
  }

  /// Whether every node has at most one child and no probes hang anywhere.
  [[nodiscard]] bool is_chain() const noexcept {
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      if (nodes_[i].parent != static_cast<node_id>(i) - 1 || nodes_[i].kind != node_kind::drafted) return false;
    }
    return true;
  }

  /// Calls `visit(tree_draw)` for every draw below `n` in draw order, repeated draws included; stops when it returns
  /// true and returns whether it did. O(children) without repeats.
  template <class Visit>
  bool for_each_draw(node_id n, Visit&& visit) const {
    std::size_t next = 0;
    for (node_id child = first_child(n); child != no_node; child = next_sibling(child)) {
      if (visit_repeats(n, child, next, visit) || visit(tree_draw{child, edge(child), child})) return true;
    }
    return visit_repeats(n, static_cast<node_id>(nodes_.size()), next, visit);
  }

  /// Explains the first broken invariant: drafted tokens inside [0, vocab_size), sampled edges with a row below
  /// `row_count`, and, where `distinct_siblings` is asked for (match verifiers), no token twice below one node.
  [[nodiscard]] result<void> validate(std::size_t vocab_size, std::size_t row_count = 0,
                                      bool distinct_siblings = false) const {
    if (nodes_.empty()) return error{error_code::invalid_tree, "it has no root"};
    for (const node_id n : all()) {
      const node& self = at(n);
      if (self.id < 0 || (self.kind == node_kind::drafted && index(self.id) >= vocab_size)) {
        return about(error_code::invalid_token, n, " carries token ", self.id);
      }
      if (lacks_row(self.edge, row_count)) {
        return about(error_code::invalid_tree, n, " was sampled from a row that is not stored: ", self.edge.row);
      }
      if (!distinct_siblings) continue;
      for (node_id other = self.next_sibling; other != no_node; other = next_sibling(other)) {
        if (token_of(other) == self.id)
          return about(error_code::invalid_tree, n, " has a sibling with its token ", self.id);
      }
    }
    for (const repeated_draw& again : repeats_) {
      if (lacks_row(again.edge, row_count)) {
        return about(error_code::invalid_tree, again.child,
                     " was drawn again from a row that is not stored: ", again.edge.row);
      }
    }
    return {};
  }

  /// Same tokens, shape, laws and draw order; estimates and source tags may differ.
  friend bool operator==(const token_tree& a, const token_tree& b) {
    if (a.size() != b.size() || a.repeats_ != b.repeats_ || a.visible_ != b.visible_) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const node& x = a.nodes_[i];
      const node& y = b.nodes_[i];
      if (x.id != y.id || x.parent != y.parent || x.edge != y.edge || x.kind != y.kind ||
          x.position_offset != y.position_offset || x.visible.count != y.visible.count) {
        return false;
      }
    }
    return true;
  }

 private:
  struct range {
    std::int32_t first = 0;
    std::int32_t count = 0;
  };
  struct node {
    token id;
    node_id parent;
    node_id first_child;
    node_id last_child;
    node_id next_sibling;
    std::int32_t depth;
    std::int32_t position_offset;
    tree_edge edge;
    node_facts facts;
    node_kind kind;
    range visible;
  };

  [[nodiscard]] const node& at(node_id n) const noexcept {
    DECANT_PRECONDITION(contains(n));
    return nodes_[index(n)];
  }

  void push(const node& added) {
    nodes_.push_back(added);
    while (ids_.size() < nodes_.size()) ids_.push_back(static_cast<node_id>(ids_.size()));
  }

  /// Makes a node the last child of its parent.
  void link(node_id self) {
    node& above = nodes_[index(nodes_[index(self)].parent)];
    if (above.last_child == no_node) {
      above.first_child = self;
    } else {
      nodes_[index(above.last_child)].next_sibling = self;
    }
    above.last_child = self;
  }

  /// First pass of `retain`: numbers the kept nodes, retargets the repeated draws; returns how many nodes are kept.
  std::size_t renumber(std::span<node_id> new_id) {
    std::size_t kept = 0;
    std::size_t repeats_kept = 0;
    std::size_t next = 0;
    for (std::size_t i = 0; i <= new_id.size(); ++i) {
      for (; next < repeats_.size() && index(repeats_[next].at) == i; ++next) {
        const node_id child = new_id[index(repeats_[next].child)];
        if (child == no_node) continue;
        repeats_[repeats_kept++] = {child, repeats_[next].edge, static_cast<std::int32_t>(kept)};
      }
      if (i == new_id.size()) break;
      if (i > 0 && new_id[index(nodes_[i].parent)] == no_node) new_id[i] = no_node;
      if (new_id[i] != no_node) new_id[i] = static_cast<node_id>(kept++);
    }
    repeats_.erase(repeats_.begin() + static_cast<std::ptrdiff_t>(repeats_kept), repeats_.end());
    return kept;
  }

  /// Moves a probe's visible nodes to the front part of `visible_` that is already compacted.
  [[nodiscard]] range keep_visible(range seen, std::span<const node_id> new_id, std::size_t& count) {
    const std::size_t first = count;
    for (std::size_t i = 0; i < index(seen.count); ++i) {
      const node_id target = new_id[index(visible_[index(seen.first) + i])];
      if (target != no_node) visible_[count++] = target;
    }
    return {static_cast<std::int32_t>(first), static_cast<std::int32_t>(count - first)};
  }

  void pop() {
    const node_id self = static_cast<node_id>(nodes_.size()) - 1;
    const node removed = nodes_.back();
    nodes_.pop_back();
    if (removed.kind == node_kind::probe) {
      visible_.resize(index(removed.visible.first));
      return;
    }
    node& above = nodes_[index(removed.parent)];
    if (above.first_child == self) {
      above.first_child = above.last_child = no_node;
      return;
    }
    node_id left = above.first_child;
    while (nodes_[index(left)].next_sibling != self) left = nodes_[index(left)].next_sibling;
    nodes_[index(left)].next_sibling = no_node;
    above.last_child = left;
  }

  template <class Visit>
  bool visit_repeats(node_id n, node_id before, std::size_t& next, Visit& visit) const {
    for (; next < repeats_.size() && repeats_[next].at <= before; ++next) {
      const repeated_draw& again = repeats_[next];
      const auto coin = static_cast<node_id>(nodes_.size() + next);
      if (parent(again.child) == n && visit(tree_draw{again.child, again.edge, coin})) return true;
    }
    return false;
  }

  [[nodiscard]] static bool lacks_row(tree_edge edge, std::size_t row_count) noexcept {
    return edge.law != edge_law::deterministic && (edge.row < 0 || index(edge.row) >= row_count);
  }

  [[nodiscard]] static error about(error_code code, node_id n, const char* words, std::int64_t number) {
    return {code, fixed_text<118>("node ").append_number(n).append(words).append_number(number)};
  }

  std::vector<node> nodes_;
  std::vector<repeated_draw> repeats_;
  std::vector<node_id> visible_;
  std::vector<node_id> ids_;
};

}  // namespace decant::inline DECANT_ABI

#endif
