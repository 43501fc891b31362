// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Byte-pair encoding of one piece of text over bytes, by a list of merges.
#ifndef DECANT_REFERENCE_BYTE_PAIR_MERGES_HPP
#define DECANT_REFERENCE_BYTE_PAIR_MERGES_HPP

#include <decant/core/error.hpp>
#include <decant/core/types.hpp>
#include <decant/reference/symbol_chain.hpp>
#include <decant/reference/vocabulary.hpp>

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
  using workspace = symbol_chain;

  /// `entries` are lines "A B" in order of priority; A may itself begin with a space. Each of A, B and AB must be a
  /// token, else `file_malformed`. Of equal entries the first counts. An entry that would make a control token of plain
  /// text is passed over.
  [[nodiscard]] static result<byte_pair_merges> create(const vocabulary& words,
                                                       std::span<const std::string_view> entries) {
    byte_pair_merges made;
    for (std::size_t byte = 0; byte < made.byte_tokens_.size(); ++byte) {
      const token id = words.byte_token(static_cast<std::uint8_t>(byte));
      made.byte_tokens_[byte] = id != no_token ? id : words.unknown();
    }
    std::string text;
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
    work.merge([this](const symbol_chain::symbol& left, const symbol_chain::symbol& right) {
      const auto found = merges_.find(pair_key(left.id, right.id));
      return found != merges_.end() ? found->second : symbol_chain::merged{};
    });
    work.for_each([&tokens](const symbol_chain::symbol& s) { tokens.push_back(s.id); });
    return {};
  }

 private:
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
    if (words.is_plain(joined_id)) merges_.emplace(pair_key(left_id, right_id), symbol_chain::merged{rank, joined_id});
    return true;
  }

  result<void> start(std::string_view piece, workspace& work) const {
    work.clear();
    work.reserve(piece.size());
    for (const char c : piece) {
      const auto byte = static_cast<std::uint8_t>(c);
      if (byte_tokens_[byte] == no_token) {
        return error(error_code::invalid_argument,
                     fixed_text<118>("the vocabulary has no token for byte ").append_number(byte));
      }
      work.append(byte_tokens_[byte], 1);
    }
    return {};
  }

  std::unordered_map<std::uint64_t, symbol_chain::merged, pair_hash> merges_;
  std::array<token, 256> byte_tokens_{};  // the unknown token for bytes that have none
};

}  // namespace decant::inline DECANT_ABI

#endif
