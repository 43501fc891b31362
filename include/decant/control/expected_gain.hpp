// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a chain of drafts is worth when each of its tokens is accepted with the same probability (Leviathan et al.,
// arXiv 2211.17192): the closed forms behind the rules in this folder, and the best fixed length to compare them with.
#ifndef DECANT_CONTROL_EXPECTED_GAIN_HPP
#define DECANT_CONTROL_EXPECTED_GAIN_HPP

#include <decant/control/cost_curve.hpp>

namespace decant::inline DECANT_ABI {

/// Expected tokens of a step with `length` drafts, E = 1 + a + ... + a^length. O(length).
[[nodiscard]] inline double expected_tokens(double acceptance, std::size_t length) {
  double reach = 1;
  double sum = 1;
  for (std::size_t i = 0; i < length; ++i) sum += reach *= acceptance;
  return sum;
}

/// Expected speed over plain decoding, S = E / (length * draft_cost + t(length + 1)); `draft_cost` is the time of one
/// draft token in units of a plain target pass. Golden: a = 0.8, length 4, cost 0.05, t = 1: 2.8013.
[[nodiscard]] inline double expected_speed_up(double acceptance, std::size_t length, double draft_cost,
                                              const cost_curve& curve) {
  return expected_tokens(acceptance, length) / (static_cast<double>(length) * draft_cost + curve.time(length + 1));
}

/// The length in [0, most] with the largest expected speed-up, the shortest among equals. O(most^2).
[[nodiscard]] inline std::size_t best_fixed_length(double acceptance, std::size_t most, double draft_cost,
                                                   const cost_curve& curve) {
  std::size_t best = 0;
  for (std::size_t length = 1; length <= most; ++length) {
    const double gain = expected_speed_up(acceptance, length, draft_cost, curve);
    if (gain > expected_speed_up(acceptance, best, draft_cost, curve)) best = length;
  }
  return best;
}

}  // namespace decant::inline DECANT_ABI

#endif
