// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a model keeps between evaluate and commit: the nodes of one token tree that it has evaluated, each with its
// token, its position and the bit row of the nodes it sees (anc[i] = anc[parent] | bit i). Nodes are numbered by slot,
// in the order of their evaluation, as their KV entries would be.
#ifndef DECANT_MODEL_PENDING_NODES_HPP
#define DECANT_MODEL_PENDING_NODES_HPP

#include <decant/core/error.hpp>
#include <decant/core/token_tree.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A token and the position its KV entry was made for.
struct cached_token {
  token id;
  std::int64_t position;

  friend constexpr bool operator==(cached_token, cached_token) = default;
};

namespace detail {

/// `invalid_token` when one of these is outside [0, vocab_size).
[[nodiscard]] inline result<void> check_token(token t, std::size_t vocab_size) {
  if (t >= 0 && index(t) < vocab_size) return {};
  return error{error_code::invalid_token, fixed_text<118>("token ").append_number(t)};
}
[[nodiscard]] inline result<void> check_tokens(token_span tokens, std::size_t vocab_size) {
  for (const token t : tokens) {
    if (auto valid = check_token(t, vocab_size); !valid) return valid;
  }
  return {};
}
/// The same for the tokens of some nodes; `invalid_tree` for a node that does not exist.
[[nodiscard]] inline result<void> check_tree_tokens(const token_tree& tree, node_span nodes, std::size_t vocab_size) {
  for (const node_id n : nodes) {
    if (!tree.contains(n)) {
      return error{error_code::invalid_tree, fixed_text<118>("it has no node ").append_number(n)};
    }
    if (auto valid = check_token(tree.token_of(n), vocab_size); !valid) return valid;
  }
  return {};
}

/// Room for `count` elements, doubling as push_back does: growing token by token reallocates rarely.
template <class T>
void make_room(std::vector<T>& values, std::size_t count) {
  if (count > values.capacity()) values.reserve(std::max(count, 2 * values.capacity()));
}

}  // namespace detail

/// All operations keep what they had when they fail, by error or by exception. Memory is reused.
class pending_nodes {
 public:
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }

  /// The slot of a node, `none` when it is not pending.
  [[nodiscard]] std::size_t slot_of(node_id n) const noexcept {
    return n >= 0 && index(n) < slot_of_.size() ? slot_of_[index(n)] : none;
  }
  [[nodiscard]] cached_token entry(std::size_t slot) const noexcept { return slots_[slot].entry; }

  /// Appends nodes of `tree`, the root's position being `root_position`. `invalid_tree` when ids do not ascend, a node
  /// is pending already, or a node it hangs below or also sees is neither pending nor before it in the list.
  /// O(nodes * (depth + pending nodes / 64)).
  result<void> add(const token_tree& tree, node_span nodes, std::size_t root_position) {
    reserve(tree, nodes);
    const std::size_t before = size();
    for (const node_id n : nodes) {
      auto fits = check(tree, n, before);
      if (!fits) {
        shrink(before);
        return fits;
      }
      push(tree, n, root_position);
    }
    return {};
  }

  /// Whether `slot` sees `other`.
  [[nodiscard]] bool sees(std::size_t slot, std::size_t other) const noexcept {
    return other <= slot && ((bits_of(slot)[other / 64] >> (other % 64)) & 1) != 0;
  }
  /// The bit row of a slot: bit j of word j / 64 says whether it sees slot j; slots above its own are not stored.
  [[nodiscard]] std::span<const std::uint64_t> bits_of(std::size_t slot) const noexcept {
    return std::span<const std::uint64_t>(bits_).subspan(slots_[slot].first_word, words_for(slot));
  }

  /// Calls `visit(slot)` for every slot that `slot` sees, itself included, in ascending order.
  template <class Visit>
  void for_each_visible(std::size_t slot, Visit&& visit) const {
    const std::span<const std::uint64_t> row = bits_of(slot);
    for (std::size_t word = 0; word < row.size(); ++word) {
      for (std::uint64_t rest = row[word]; rest != 0; rest &= rest - 1) {
        visit(word * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
      }
    }
  }

  /// `invalid_tree` when a node of the path is not pending or does not come after the one before it. Whether they hang
  /// together is not checked: a cache would not know either.
  [[nodiscard]] result<void> check_path(node_span path) const {
    for (std::size_t i = 0; i < path.size(); ++i) {
      if (slot_of(path[i]) == none) return about(path[i], " of the path was not evaluated");
      if (i > 0 && slot_of(path[i]) <= slot_of(path[i - 1])) return about(path[i], " of the path leads upwards");
    }
    return {};
  }

  void clear() noexcept { shrink(0); }

 private:
  struct pending_node {
    node_id node;
    cached_token entry;
    std::size_t first_word;
  };

  [[nodiscard]] static constexpr std::size_t words_for(std::size_t slot) noexcept { return slot / 64 + 1; }

  [[nodiscard]] static error about(node_id n, const char* words) {
    return {error_code::invalid_tree, fixed_text<118>("node ").append_number(n).append(words)};
  }

  void reserve(const token_tree& tree, node_span nodes) {
    const std::size_t total = size() + nodes.size();
    detail::make_room(slots_, total);
    detail::make_room(bits_, bits_.size() + nodes.size() * words_for(total));
    if (slot_of_.size() < tree.size()) slot_of_.resize(tree.size(), none);
  }

  [[nodiscard]] result<void> check(const token_tree& tree, node_id n, std::size_t pass_begin) const {
    if (!tree.contains(n)) return about(n, " is not in the tree");
    if (slot_of(n) != none) return about(n, " was evaluated already");
    if (size() > pass_begin && slots_.back().node > n) return about(n, " comes after a node of higher id");
    if (n != 0 && slot_of(tree.parent(n)) == none) return about(n, " hangs below a node that was not evaluated");
    for (const node_id seen : tree.also_visible(n)) {
      if (slot_of(seen) == none) return about(n, " sees a node that was not evaluated");
    }
    return {};
  }

  void push(const token_tree& tree, node_id n, std::size_t root_position) noexcept {
    const std::size_t self = size();
    const std::size_t first_word = bits_.size();
    bits_.resize(first_word + words_for(self), 0);
    // Ancestors one by one: what a probe sees besides its ancestors is not inherited by what hangs below it.
    for (node_id above = tree.parent(n); above != no_node; above = tree.parent(above)) {
      set_bit(first_word, slot_of(above));
    }
    set_bit(first_word, self);
    for (const node_id seen : tree.also_visible(n)) set_bit(first_word, slot_of(seen));
    const auto position = static_cast<std::int64_t>(root_position) + tree.position_offset(n);
    slots_.push_back({n, {tree.token_of(n), position}, first_word});
    slot_of_[index(n)] = self;
  }

  void set_bit(std::size_t first_word, std::size_t slot) noexcept {
    bits_[first_word + slot / 64] |= std::uint64_t{1} << (slot % 64);
  }

  void shrink(std::size_t count) noexcept {
    for (; size() > count; slots_.pop_back()) {
      slot_of_[index(slots_.back().node)] = none;
      bits_.resize(slots_.back().first_word);
    }
  }

  std::vector<pending_node> slots_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::size_t> slot_of_;  // by node id
};

}  // namespace decant::inline DECANT_ABI

#endif
