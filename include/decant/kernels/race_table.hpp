// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a set of race kernels offers: the loops of an exponential race over a row of weights, in which token v arrives
// at -log(u_v) / weight_v and the first ones win. The scalar set is the specification; every other set gives the same
// bits. Rows may have any length and alignment; nothing outside of them is read.
//
// Why arrival times and not Gumbel keys log(weight) - log(-log(u)), whose order is the same: a key takes three
// logarithms, a time one, and -log(u) >= 1 - u tells from a multiplication and a comparison that a token has lost. So
// all but a few tokens of a row cost their random bits and nothing else, and no kernel of keys is needed.
#ifndef DECANT_KERNELS_RACE_TABLE_HPP
#define DECANT_KERNELS_RACE_TABLE_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI::cpu {

/// Philox4x32 multiplies two words of a counter in each round, and its keys take a step from round to round.
inline constexpr int philox_rounds = 10;
inline constexpr std::uint32_t philox_multipliers[2] = {0xD2511F53U, 0xCD9E8D57U};
inline constexpr std::uint32_t philox_key_steps[2] = {0x9E3779B9U, 0xBB67AE85U};

/// The noise of a race: Philox4x32-10 blocks under a key whose counters differ in their second word alone. The number
/// 1 + k is added to it for the block that tokens 2k and 2k + 1 share: words 0 and 1, 2 and 3, the high one first.
struct race_noise {
  std::uint32_t counter[4];  ///< of block 0
  std::uint64_t key;
};

struct race_kernels {
  /// Writes the numbers `first`, `first` + 1, ... of the entries of a law whose tokens can arrive before a deadline,
  /// which may be infinite; returns how many. All that do are among them, hardly any others, and none without weight
  /// before an infinite one. Their u is the upper 52 bits of their words and a half, over 2^52. `ids` null: the numbers
  /// are the tokens, and `first` is even. `found` has room for `count` + `collect_slack`.
  std::size_t (*contenders)(const race_noise& noise, const std::int32_t* ids, std::int32_t first, const float* weights,
                            std::size_t count, double deadline, std::int32_t* found) noexcept;
  /// Replaces positive normal numbers by their natural logarithms (logarithm.hpp).
  void (*logarithms)(double* x, std::size_t count) noexcept;
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
