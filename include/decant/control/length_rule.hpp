// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What decides how much is drafted. A draft is seen as a row of levels (level i: the nodes i + 1 edges below the root);
// a rule says how many of them are worth their cost. It sees what the drafter thinks of each level and how earlier
// drafts ended, never a token that is still to be drawn, so every guarantee of the verifier holds under any rule.
#ifndef DECANT_CONTROL_LENGTH_RULE_HPP
#define DECANT_CONTROL_LENGTH_RULE_HPP

#include <decant/control/confidence.hpp>

#include <concepts>
#include <span>

namespace decant::inline DECANT_ABI {

/// A level of a draft, or of one that might be made.
struct draft_level {
  confidence level_confidence{};  ///< what the drafter thinks of its first node
  std::int32_t nodes = 1;         ///< nodes of the level, to be verified
  double cost = 0;                ///< time of drafting it, in plain target passes
};

/// How a draft ended.
struct draft_outcome {
  std::size_t accepted = 0;  ///< levels with an accepted node
  double draft_cost = 0;     ///< time spent on drafting, in plain target passes
};

/// Requirements:
/// - `begin()`: a new sequence starts;
/// - `choose(levels, drafted)`: how many levels are wanted. Of those listed the first `drafted` exist, and their cost
/// is
///   spent; the others are what may come;
/// - `learn(levels, outcome)`: these levels were verified. Called for every step, with no levels after a plain one.
template <class R>
concept LengthRule = requires(R& rule, const R& seen, std::span<const draft_level> levels, std::size_t drafted,
                              const draft_outcome& outcome) {
  rule.begin();
  { seen.choose(levels, drafted) } -> std::same_as<std::size_t>;
  rule.learn(levels, outcome);
};

}  // namespace decant::inline DECANT_ABI

#endif
