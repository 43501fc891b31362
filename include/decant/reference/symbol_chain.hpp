// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Merging adjacent symbols of a text, best pair first: the one mechanism of byte-pair encoding (Sennrich, Haddow,
// Birch, arXiv 1508.07909), whatever says which pairs merge.
#ifndef DECANT_REFERENCE_SYMBOL_CHAIN_HPP
#define DECANT_REFERENCE_SYMBOL_CHAIN_HPP

#include <decant/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The symbols of one text, in order, as a linked list over one array. Reused from text to text: clear, append, merge,
/// visit. Precondition: fewer than 2^31 symbols, and fewer than 2^32 bytes.
class symbol_chain {
 public:
  /// A run of bytes and its token; `no_token` where it has none.
  struct symbol {
    token id = no_token;
    std::uint32_t begin = 0;
    std::uint32_t size = 0;  ///< 0 once the symbol is part of the one before it
    std::int32_t previous = -1;
    std::int32_t next = -1;

    [[nodiscard]] std::string_view in(std::string_view text) const noexcept { return text.substr(begin, size); }
  };
  /// What two symbols make together. Lower ranks merge first; `no_token`: nothing.
  struct merged {
    std::uint32_t rank = 0;
    token id = no_token;
  };

  void clear() noexcept {
    symbols_.clear();
    queue_.clear();
  }
  void reserve(std::size_t symbols) { symbols_.reserve(symbols); }

  /// Adds a symbol at the end. Precondition: size > 0.
  void append(token id, std::size_t size) {
    const auto at = static_cast<std::int32_t>(symbols_.size());
    symbol added{id, 0, static_cast<std::uint32_t>(size), at - 1, -1};
    if (at > 0) {
      symbols_.back().next = at;
      added.begin = symbols_.back().begin + symbols_.back().size;
    }
    symbols_.push_back(added);
  }

  /// Merges until no pair can be: of all adjacent pairs the one of lowest rank, of equal ones the leftmost.
  /// `join(left, right)` says what a pair makes. O(n log n) and O(n) calls of `join` for n symbols.
  template <class Join>
  void merge(Join&& join) {
    for (std::size_t at = 0; at + 1 < symbols_.size(); ++at) propose(static_cast<std::int32_t>(at), join);
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), comes_later);
      const candidate best = queue_.back();
      queue_.pop_back();
      if (!is_current(best)) continue;
      absorb_next(best);
      propose(best.position, join);
      propose(symbols_[index(best.position)].previous, join);
    }
  }

  /// Calls `visit(symbol)` for every symbol that is left, from first to last.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::int32_t at = symbols_.empty() ? -1 : 0; at >= 0; at = symbols_[index(at)].next) {
      visit(symbols_[index(at)]);
    }
  }

 private:
  struct candidate {
    std::uint32_t rank;
    std::int32_t position;
    std::uint32_t size;  // of both sides together
    token id;
  };

  [[nodiscard]] static bool comes_later(const candidate& a, const candidate& b) noexcept {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }

  /// Queues the pair that begins at a symbol, if there is one and it makes something.
  template <class Join>
  void propose(std::int32_t position, Join& join) {
    if (position < 0) return;
    const symbol& left = symbols_[index(position)];
    if (left.next < 0) return;
    const symbol& right = symbols_[index(left.next)];
    const merged product = join(left, right);
    if (product.id == no_token) return;
    queue_.push_back({product.rank, position, left.size + right.size, product.id});
    std::push_heap(queue_.begin(), queue_.end(), comes_later);
  }

  /// A queued pair is out of date when an earlier merge has taken or lengthened one of its sides. Sides never shrink,
  /// so the size of both together tells.
  [[nodiscard]] bool is_current(const candidate& pair) const noexcept {
    const symbol& left = symbols_[index(pair.position)];
    return left.size > 0 && left.next >= 0 && left.size + symbols_[index(left.next)].size == pair.size;
  }

  void absorb_next(const candidate& pair) noexcept {
    symbol& left = symbols_[index(pair.position)];
    symbol& right = symbols_[index(left.next)];
    left.id = pair.id;
    left.size = pair.size;
    left.next = right.next;
    if (right.next >= 0) symbols_[index(right.next)].previous = pair.position;
    right.size = 0;
  }

  std::vector<symbol> symbols_;
  std::vector<candidate> queue_;
};

}  // namespace decant::inline DECANT_ABI

#endif
