// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What engines need to know about a token tree: visibility, positions, links, leaf paths, sequence ids, and an order of
// the nodes in which kernels skip more and KV compaction moves less.
// Everything is numbered by slot, the place of a node in the chosen order. Memory is reused; once warm, nothing is
// allocated.
#ifndef DECANT_TREE_LAYOUT_HPP
#define DECANT_TREE_LAYOUT_HPP

#include <decant/core/token_tree.hpp>

#include <algorithm>
#include <array>
#include <bit>

namespace decant::inline DECANT_ABI {

/// Order of the nodes in a pass. Parents come before their children in both.
enum class node_order : std::uint8_t {
  creation,   ///< slot i is node i
  heavy_path  ///< depth first, larger subtree first, ties in draw order: paths lie side by side (DySpec,
              ///< arXiv 2410.11744)
};

/// Sequence ids [first, first + count).
struct sequence_range {
  std::int32_t first = 0;
  std::int32_t count = 0;

  friend constexpr bool operator==(const sequence_range&, const sequence_range&) = default;
};

/// The arrays of one tree in one order. `no_node` stands for "none" in all of them.
class layout_arrays {
 public:
  /// O(nodes * nodes / 64) for the bit rows, O(leaves * depth) for their paths, O(nodes) for the rest.
  void build(const token_tree& tree, node_order order = node_order::creation) {
    measure(tree);
    if (order == node_order::creation) {
      std::copy(tree.all().begin(), tree.all().end(), slots_.begin());
    } else {
      place_heavy_paths(tree);
    }
    fill_arrays(tree);
    fill_bits(tree);
    fill_leaf_paths(tree);
  }

  /// Number of nodes.
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }

  /// The nodes in slot order.
  [[nodiscard]] node_span nodes() const noexcept { return nodes_; }
  [[nodiscard]] node_id node_at(std::size_t slot) const noexcept { return nodes_[slot]; }
  [[nodiscard]] std::size_t slot_of(node_id n) const noexcept { return index(slots_[index(n)]); }

  /// By slot: position relative to the root's.
  [[nodiscard]] std::span<const std::int32_t> positions() const noexcept { return positions_; }
  /// By slot: slot of the parent.
  [[nodiscard]] node_span parents() const noexcept { return parents_; }
  /// By slot: slot of the first child in draw order, and of the next sibling, as SGLang (retrieve_next_token,
  /// retrieve_next_sibling) and xgrammar take them. Probes are nobody's child.
  [[nodiscard]] node_span first_children() const noexcept { return first_children_; }
  [[nodiscard]] node_span next_siblings() const noexcept { return next_siblings_; }
  /// By slot: number of nodes in the subtree, its own root and probes included.
  [[nodiscard]] std::span<const std::int32_t> subtree_sizes() const noexcept { return sizes_; }

  /// 64-bit words per bit row.
  [[nodiscard]] std::size_t words_per_row() const noexcept { return words_; }
  /// The bit row of a slot: bit j % 64 of word j / 64 says whether it sees slot j. A node sees its ancestors and
  /// itself, a probe also what it was told. The committed text is visible to all and has no bit.
  [[nodiscard]] std::span<const std::uint64_t> visible_bits(std::size_t slot) const noexcept {
    return std::span<const std::uint64_t>(bits_).subspan(slot * words_, words_);
  }
  /// All bit rows, one after the other.
  [[nodiscard]] std::span<const std::uint64_t> visible_bits() const noexcept { return bits_; }
  [[nodiscard]] bool sees(std::size_t slot, std::size_t other) const noexcept {
    return ((bits_[slot * words_ + other / 64] >> (other % 64)) & 1) != 0;
  }
  /// Expands the bit rows to a dense mask, row-major [size()][size()]: `shown` or `hidden`, in the engine's type.
  template <class Value>
  void write_mask(std::span<Value> out, Value shown, Value hidden) const {
    DECANT_PRECONDITION(out.size() >= size() * size());
    for (std::size_t slot = 0; slot < size(); ++slot) {
      for (std::size_t other = 0; other < size(); ++other) {
        out[slot * size() + other] = sees(slot, other) ? shown : hidden;
      }
    }
  }

  /// Number of block x block tiles of the mask, cut from slot 0 on, in which some slot is visible: what an attention
  /// kernel that skips empty tiles works through. A full lower triangle of k tiles a side would be k (k + 1) / 2.
  /// O(nodes * nodes / 64 + tiles). Precondition: block >= 1.
  [[nodiscard]] std::size_t block_count(std::size_t block) const {
    DECANT_PRECONDITION(block >= 1);
    std::size_t count = 0;
    for (std::size_t row = 0; row < size(); row += block) count += tiles_beside(row, block);
    return count;
  }

  /// Number of leaves: drafted nodes without children.
  [[nodiscard]] std::size_t leaf_count() const noexcept { return leaf_count_; }
  /// Length of a padded leaf path: the depth of the tree plus one.
  [[nodiscard]] std::size_t path_length() const noexcept { return path_length_; }
  /// Slots from the root to a leaf, padded with -1 (Medusa's retrieve_indices). Leaves are numbered depth first in draw
  /// order.
  [[nodiscard]] node_span leaf_path(std::size_t leaf) const noexcept {
    return node_span(paths_).subspan(leaf * path_length_, path_length_);
  }
  /// All leaf paths, row-major [leaf_count()][path_length()].
  [[nodiscard]] node_span leaf_paths() const noexcept { return paths_; }

  /// By slot: the sequence ids a node carries where visibility means "shares an id and stands earlier" (llama.cpp). One
  /// id per node with nothing below it, numbered depth first in draw order, so every node's ids are a range.
  [[nodiscard]] std::span<const sequence_range> sequences() const noexcept { return sequences_; }
  [[nodiscard]] std::size_t sequence_count() const noexcept { return index(sequences_[0].count); }
  /// Whether sequence ids and positions express the visibility of every node: no probe sees more than its ancestors or
  /// stands before its parent.
  [[nodiscard]] bool sequences_suffice() const noexcept { return sequences_suffice_; }

  /// Calls `visit(from, to)` for every KV entry that has to move, in a safe order, so that the kept path (nodes, root
  /// first) occupies slots 0, 1, 2, ...
  template <class Visit>
  void for_each_move(node_span kept, Visit&& visit) const {
    for (std::size_t to = 0; to < kept.size(); ++to) {
      const std::size_t from = slot_of(kept[to]);
      if (from != to) visit(from, to);
    }
  }

 private:
  /// Number of tiles in which some slot of [row, row + block) sees another.
  [[nodiscard]] std::size_t tiles_beside(std::size_t row, std::size_t block) const noexcept {
    const std::size_t end = std::min(row + block, size());
    const std::size_t words = has_probes_ ? words_ : (end - 1) / 64 + 1;  // drafted nodes see no slot after their own
    std::size_t count = 0;
    std::size_t next = 0;  // first slot that lies in no tile counted so far
    for (std::size_t word = 0; word < words; ++word) {
      std::uint64_t seen = 0;
      for (std::size_t i = row; i < end; ++i) seen |= bits_[i * words_ + word];
      for (const std::size_t first = word * 64; seen != 0; ++count) {
        if (next > first) seen &= next - first < 64 ? ~std::uint64_t{0} << (next - first) : 0;
        if (seen == 0) break;
        next = ((first + static_cast<std::size_t>(std::countr_zero(seen))) / block + 1) * block;
      }
    }
    return count;
  }

  // --- By node id, before slots are known ---

  /// Subtree sizes, and the numbers of sequence ids and leaves below each node.
  void measure(const token_tree& tree) {
    const std::size_t count = tree.size();
    slots_.resize(count);
    measured_.assign(count, measures{});
    has_probes_ = false;
    sequences_suffice_ = true;
    for (std::size_t i = count; i-- > 0;) {
      measures& self = measured_[i];
      const auto n = static_cast<node_id>(i);
      if (self.size++ == 0) self.sequences = 1;
      const bool is_probe = tree.kind(n) == node_kind::probe;
      if (!is_probe && tree.first_child(n) == no_node) self.leaves = 1;
      if (i == 0) continue;
      measures& above = measured_[index(tree.parent(n))];
      above.size += self.size;
      above.sequences += self.sequences;
      above.leaves += self.leaves;
      if (is_probe) look_at_probe(tree, n);
    }
    number_leaves(tree);
  }

  void look_at_probe(const token_tree& tree, node_id n) {
    has_probes_ = true;
    if (!tree.also_visible(n).empty() || tree.position_offset(n) <= tree.position_offset(tree.parent(n))) {
      sequences_suffice_ = false;
    }
  }

  /// Depth-first numbers without a walk: a node starts where its parent's number has got to, and moves that on by what
  /// is below itself. Siblings have ascending ids in draw order.
  void number_leaves(const token_tree& tree) {
    for (std::size_t i = 1; i < tree.size(); ++i) {
      measures& self = measured_[i];
      measures& above = measured_[index(tree.parent(static_cast<node_id>(i)))];
      self.first_sequence = self.next_sequence = above.next_sequence;
      self.first_leaf = self.next_leaf = above.next_leaf;
      above.next_sequence += self.sequences;
      above.next_leaf += self.leaves;
    }
  }

  /// As `number_leaves`, siblings by falling subtree size. Sorted by size, every parent comes before its children, so
  /// one counting sort of all nodes orders all siblings at once.
  void place_heavy_paths(const token_tree& tree) {
    const std::size_t count = tree.size();
    starts_.assign(count + 1, 0);  // by size: where the nodes of that size begin in falling order
    for (const measures& self : measured_) ++starts_[index(self.size) - 1];
    for (std::size_t i = count; i-- > 0;) starts_[i] += starts_[i + 1];
    nodes_.resize(count);
    for (std::size_t i = 0; i < count; ++i)
      nodes_[index(starts_[index(measured_[i].size)]++)] = static_cast<node_id>(i);
    slots_[0] = 0;
    measured_[0].next_slot = 1;
    for (const node_id n : node_span(nodes_).subspan(1)) {
      measures& self = measured_[index(n)];
      measures& above = measured_[index(tree.parent(n))];
      slots_[index(n)] = above.next_slot;
      self.next_slot = above.next_slot + 1;
      above.next_slot += self.size;
    }
  }

  // --- By slot ---

  void fill_arrays(const token_tree& tree) {
    const std::size_t count = tree.size();
    nodes_.resize(count);
    for (std::vector<std::int32_t>* array : {&positions_, &parents_, &first_children_, &next_siblings_, &sizes_}) {
      array->resize(count);
    }
    sequences_.resize(count);
    for (const node_id n : tree.all()) {
      const std::size_t slot = slot_of(n);
      const measures& self = measured_[index(n)];
      nodes_[slot] = n;
      positions_[slot] = tree.position_offset(n);
      parents_[slot] = slot_or_none(tree.parent(n));
      first_children_[slot] = slot_or_none(tree.first_child(n));
      next_siblings_[slot] = slot_or_none(tree.next_sibling(n));
      sizes_[slot] = self.size;
      sequences_[slot] = {self.first_sequence, self.sequences};
    }
  }

  [[nodiscard]] std::int32_t slot_or_none(node_id n) const noexcept { return n == no_node ? n : slots_[index(n)]; }

  void fill_bits(const token_tree& tree) {
    words_ = (size() + 63) / 64;
    bits_.assign(size() * words_, 0);
    for (std::size_t slot = 0; slot < size(); ++slot) {
      std::uint64_t* row = bits_.data() + slot * words_;
      std::int32_t above = parents_[slot];
      if (has_probes_) above = show_probes(tree, slot, row);
      if (above >= 0) {
        // Drafted nodes see slots before their own only, so the words after their own are empty.
        const std::uint64_t* inherited = bits_.data() + index(above) * words_;
        const std::size_t count = index(above) / 64 + 1;
        if (has_probes_) {
          for (std::size_t word = 0; word < count; ++word) row[word] |= inherited[word];
        } else {
          std::copy(inherited, inherited + count, row);
        }
      }
      set_bit(row, slot);
    }
  }

  /// Shows a slot what its node was told to see, and the probes above it; returns the slot of the first drafted node
  /// above. A probe sees more than its ancestors, which the probes below it do not inherit.
  [[nodiscard]] std::int32_t show_probes(const token_tree& tree, std::size_t slot, std::uint64_t* row) const {
    for (const node_id seen : tree.also_visible(nodes_[slot])) set_bit(row, slot_of(seen));
    std::int32_t above = parents_[slot];
    for (; above >= 0 && tree.kind(nodes_[index(above)]) == node_kind::probe; above = parents_[index(above)]) {
      set_bit(row, index(above));
    }
    return above;
  }

  static void set_bit(std::uint64_t* row, std::size_t bit) noexcept { row[bit / 64] |= std::uint64_t{1} << (bit % 64); }

  void fill_leaf_paths(const token_tree& tree) {
    std::int32_t deepest = 0;
    for (const node_id n : tree.all()) {
      if (tree.kind(n) == node_kind::drafted) deepest = std::max(deepest, tree.depth(n));
    }
    path_length_ = index(deepest) + 1;
    leaf_count_ = index(measured_[0].leaves);
    leaves_.resize(leaf_count_);
    for (const node_id n : tree.all()) {
      if (tree.kind(n) == node_kind::drafted && tree.first_child(n) == no_node) {
        leaves_[index(measured_[index(n)].first_leaf)] = n;
      }
    }
    paths_.resize(leaf_count_ * path_length_);
    for (std::size_t leaf = 0; leaf < leaf_count_; ++leaf) write_leaf_path(tree, leaf);
  }

  /// Depth first a path parts from the one before it once and for all, so every node is walked over once; the part that
  /// both share is copied.
  void write_leaf_path(const token_tree& tree, std::size_t leaf) {
    node_id* path = paths_.data() + leaf * path_length_;
    const node_id* before = leaf == 0 ? nullptr : path - path_length_;
    std::fill(path + tree.depth(leaves_[leaf]) + 1, path + path_length_, no_node);
    for (node_id n = leaves_[leaf]; n != no_node; n = tree.parent(n)) {
      const std::int32_t depth = tree.depth(n);
      const std::int32_t slot = slots_[index(n)];
      if (before != nullptr && before[depth] == slot) {
        std::copy(before, before + depth + 1, path);
        break;
      }
      path[depth] = slot;
    }
  }

  struct measures {
    std::int32_t size = 0;
    std::int32_t sequences = 0;
    std::int32_t leaves = 0;
    std::int32_t first_sequence = 0;
    std::int32_t next_sequence = 0;
    std::int32_t first_leaf = 0;
    std::int32_t next_leaf = 0;
    std::int32_t next_slot = 0;
  };

  std::vector<measures> measured_;  // by node
  std::vector<std::int32_t> starts_;
  std::vector<std::int32_t> slots_;  // by node
  std::vector<node_id> nodes_;       // this and the following by slot
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> parents_;
  std::vector<std::int32_t> first_children_;
  std::vector<std::int32_t> next_siblings_;
  std::vector<std::int32_t> sizes_;
  std::vector<sequence_range> sequences_;
  std::vector<std::uint64_t> bits_;
  std::vector<node_id> leaves_;  // by number
  std::vector<node_id> paths_;
  std::size_t words_ = 0;
  std::size_t leaf_count_ = 0;
  std::size_t path_length_ = 0;
  bool has_probes_ = false;
  bool sequences_suffice_ = true;
};

/// The layouts of a tree, each made when it is first asked for: a host that needs none pays nothing. Not safe for
/// concurrent first use.
class tree_layout {
 public:
  tree_layout() = default;
  explicit tree_layout(const token_tree& tree) { bind(tree); }

  /// Speaks of `tree` from now on, which must outlive the use and stay as it is meanwhile. O(1).
  void bind(const token_tree& tree) noexcept {
    tree_ = &tree;
    built_ = {};
  }

  /// Precondition: bound.
  [[nodiscard]] const layout_arrays& in_order(node_order order) const {
    DECANT_PRECONDITION(tree_ != nullptr);
    const auto which = static_cast<std::size_t>(order);
    if (!built_[which]) arrays_[which].build(*tree_, order);
    built_[which] = true;
    return arrays_[which];
  }
  /// Slot i is node i.
  [[nodiscard]] const layout_arrays& in_creation_order() const { return in_order(node_order::creation); }
  [[nodiscard]] const layout_arrays& in_heavy_path_order() const { return in_order(node_order::heavy_path); }

 private:
  const token_tree* tree_ = nullptr;
  mutable std::array<layout_arrays, 2> arrays_;
  mutable std::array<bool, 2> built_{};
};

}  // namespace decant::inline DECANT_ABI

#endif
