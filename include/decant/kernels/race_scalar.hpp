// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The race kernels in plain C++: the specification of every other set.
#ifndef DECANT_KERNELS_RACE_SCALAR_HPP
#define DECANT_KERNELS_RACE_SCALAR_HPP

#include <decant/kernels/logarithm.hpp>
#include <decant/kernels/race_table.hpp>
#include <decant/kernels/vocabulary_scalar.hpp>

namespace decant::inline DECANT_ABI::cpu::scalar {

/// Vectors that are under way at once: each round of Philox waits for the one before it.
inline constexpr std::size_t race_width = 1;
/// 64-bit lanes, each two of the 32-bit lanes of `words`.
inline constexpr std::size_t pair_count = lane_count / 2;
struct pairs {
  std::uint64_t v[pair_count];
};

template <class Operation>
[[nodiscard]] inline pairs each_pair(const Operation& operation) noexcept {
  pairs result;
  DECANT_UNROLL
  for (std::size_t i = 0; i < pair_count; ++i) result.v[i] = operation(i);
  return result;
}

[[nodiscard]] inline pairs splat_pairs(std::uint32_t a) noexcept {
  return each_pair([a](std::size_t) { return std::uint64_t{a}; });
}
/// The numbers `first`, `first` + 1, ...
[[nodiscard]] inline pairs pairs_from(std::uint32_t first) noexcept {
  return each_pair([first](std::size_t i) { return std::uint64_t{first} + i; });
}
/// Tokens by twos, the first in the lower word.
[[nodiscard]] inline pairs load_pairs(const std::int32_t* ids) noexcept {
  return each_pair([ids](std::size_t i) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(ids[2 * i + 1])) << 32 |
           static_cast<std::uint32_t>(ids[2 * i]);
  });
}
/// a + b / 2 of the lower words.
[[nodiscard]] inline pairs add_halves(const pairs& a, const pairs& b) noexcept {
  return each_pair([&](std::size_t i) { return a.v[i] + (static_cast<std::uint32_t>(b.v[i]) >> 1); });
}
/// Of b where a is even, of c where it is odd.
[[nodiscard]] inline pairs choose_by_parity(const pairs& a, const pairs& b, const pairs& c) noexcept {
  return each_pair([&](std::size_t i) { return (a.v[i] & 1U) == 0 ? b.v[i] : c.v[i]; });
}
/// The products of the lower words.
[[nodiscard]] inline pairs wide_products(const pairs& a, const pairs& b) noexcept {
  return each_pair([&](std::size_t i) { return (a.v[i] & 0xFFFFFFFFU) * (b.v[i] & 0xFFFFFFFFU); });
}
/// The upper words, moved down.
[[nodiscard]] inline pairs upper_words(const pairs& a) noexcept {
  return each_pair([&](std::size_t i) { return a.v[i] >> 32; });
}
[[nodiscard]] inline pairs exclusive_or(const pairs& a, const pairs& b) noexcept {
  return each_pair([&](std::size_t i) { return a.v[i] ^ b.v[i]; });
}
[[nodiscard]] inline pairs exclusive_or(const pairs& a, const pairs& b, const pairs& c) noexcept {
  return each_pair([&](std::size_t i) { return a.v[i] ^ b.v[i] ^ c.v[i]; });
}
/// The lower words of two, in turn.
[[nodiscard]] inline words lower_words(const pairs& even, const pairs& odd) noexcept {
  return each_word([&](std::size_t i) { return static_cast<std::uint32_t>((i % 2 == 0 ? even : odd).v[i / 2]); });
}

#include <decant/kernels/race_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::scalar

#endif
