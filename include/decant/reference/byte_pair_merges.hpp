// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Byte-pair encoding of one piece of text (Sennrich, Haddow, Birch, arXiv 1508.07909), over bytes.
#ifndef DECANT_REFERENCE_BYTE_PAIR_MERGES_HPP
#define DECANT_REFERENCE_BYTE_PAIR_MERGES_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/vocabulary.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The ordered list of merges of a vocabulary, as a map from pairs of tokens to the token that replaces them.
class byte_pair_merges {
 public:
  /// Buffers of `encode`, reused from piece to piece.
  struct workspace {
    struct symbol {
      token id;
      std::int32_t previous;
      std::int32_t next;
    };
    struct candidate {
      std::uint32_t rank;
      std::int32_t position;
      token left;
      token right;
    };
    std::vector<symbol> symbols;
    std::vector<candidate> queue;
  };

  /// `entries` are lines "A B" in order of priority; A may itself begin with a space. Each of A, B and AB must be a
  /// token, else `file_malformed`. Of equal entries the first counts.
  [[nodiscard]] static result<byte_pair_merges> create(const vocabulary& words,
                                                       std::span<const std::string_view> entries) {
    byte_pair_merges made;
    made.unknown_ = words.unknown();
    std::string text;
    for (std::size_t byte = 0; byte < made.byte_tokens_.size(); ++byte) {
      text.clear();
      append_utf8(text, byte_letter(static_cast<std::uint8_t>(byte)));
      made.byte_tokens_[byte] = words.find(text);
    }
    made.merges_.reserve(entries.size());
    for (std::size_t rank = 0; rank < entries.size(); ++rank) {
      if (!made.add(words, entries[rank], static_cast<std::uint32_t>(rank), text)) {
        return error(error_code::file_malformed,
                     fixed_text<118>("a merge does not join two tokens into a third: number ")
                         .append_number(static_cast<std::int64_t>(rank)));
      }
    }
    return made;
  }

  /// Appends the tokens of `piece`: starting from single bytes, the adjacent pair of lowest rank, of equal ones the
  /// leftmost, is merged until no pair can be. A byte that has no token becomes the unknown token, or is
  /// `invalid_argument` when the vocabulary has none. O(n log n) for n bytes. Precondition: n < 2^31.
  [[nodiscard]] result<void> encode(std::string_view piece, workspace& work, std::vector<token>& tokens) const {
    if (const auto started = start(piece, work); !started) return started;
    while (!work.queue.empty()) {
      std::pop_heap(work.queue.begin(), work.queue.end(), comes_later);
      const workspace::candidate best = work.queue.back();
      work.queue.pop_back();
      if (is_current(best, work)) merge(best, work);
    }
    for (std::int32_t at = work.symbols.empty() ? -1 : 0; at >= 0; at = work.symbols[index(at)].next) {
      tokens.push_back(work.symbols[index(at)].id);
    }
    return {};
  }

 private:
  struct merged {
    std::uint32_t rank;
    token id;
  };
  struct pair_hash {
    [[nodiscard]] std::size_t operator()(std::uint64_t pair) const noexcept {
      pair = (pair ^ (pair >> 31)) * 0x9E3779B97F4A7C15u;
      return static_cast<std::size_t>(pair ^ (pair >> 29));
    }
  };

  byte_pair_merges() = default;

  [[nodiscard]] static std::uint64_t pair_key(token left, token right) noexcept {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) | static_cast<std::uint32_t>(right);
  }

  bool add(const vocabulary& words, std::string_view entry, std::uint32_t rank, std::string& joined) {
    const std::size_t space = entry.find(' ', 1);
    if (space == std::string_view::npos) return false;
    const std::string_view left = entry.substr(0, space);
    const std::string_view right = entry.substr(space + 1);
    joined.assign(left).append(right);
    const token left_id = words.find(left);
    const token right_id = words.find(right);
    const token joined_id = words.find(joined);
    if (left_id == no_token || right_id == no_token || joined_id == no_token) return false;
    merges_.emplace(pair_key(left_id, right_id), merged{rank, joined_id});
    return true;
  }

  result<void> start(std::string_view piece, workspace& work) const {
    work.symbols.clear();
    work.queue.clear();
    work.symbols.reserve(piece.size());
    for (const char c : piece) {
      const auto byte = static_cast<std::uint8_t>(c);
      const token id = byte_tokens_[byte] != no_token ? byte_tokens_[byte] : unknown_;
      if (id == no_token) {
        return error(error_code::invalid_argument,
                     fixed_text<118>("the vocabulary has no token for byte ").append_number(byte));
      }
      const auto at = static_cast<std::int32_t>(work.symbols.size());
      work.symbols.push_back({id, at - 1, at + 1});
    }
    if (work.symbols.empty()) return {};
    work.symbols.back().next = -1;
    for (std::size_t at = 0; at + 1 < work.symbols.size(); ++at) propose(static_cast<std::int32_t>(at), work);
    return {};
  }

  [[nodiscard]] static bool comes_later(const workspace::candidate& a, const workspace::candidate& b) noexcept {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }

  /// Queues the pair that begins at a symbol, if there is a merge for it.
  void propose(std::int32_t position, workspace& work) const {
    const workspace::symbol& left = work.symbols[index(position)];
    if (left.next < 0) return;
    const token right = work.symbols[index(left.next)].id;
    const auto found = merges_.find(pair_key(left.id, right));
    if (found == merges_.end()) return;
    work.queue.push_back({found->second.rank, position, left.id, right});
    std::push_heap(work.queue.begin(), work.queue.end(), comes_later);
  }

  /// A queued pair is out of date when an earlier merge has taken or changed one of its sides.
  [[nodiscard]] static bool is_current(const workspace::candidate& pair, const workspace& work) noexcept {
    const workspace::symbol& left = work.symbols[index(pair.position)];
    return left.id == pair.left && left.next >= 0 && work.symbols[index(left.next)].id == pair.right;
  }

  void merge(const workspace::candidate& pair, workspace& work) const {
    workspace::symbol& left = work.symbols[index(pair.position)];
    workspace::symbol& right = work.symbols[index(left.next)];
    left.id = merges_.find(pair_key(pair.left, pair.right))->second.id;
    left.next = right.next;
    if (right.next >= 0) work.symbols[index(right.next)].previous = pair.position;
    right.id = no_token;
    propose(pair.position, work);
    if (left.previous >= 0) propose(left.previous, work);
  }

  std::unordered_map<std::uint64_t, merged, pair_hash> merges_;
  std::array<token, 256> byte_tokens_{};
  token unknown_ = no_token;
};

}  // namespace decant::inline DECANT_ABI

#endif
