// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Randomness is an argument: policies draw through a chance source with three primitives and never see a raw generator.
// Every draw names a key, so that a draw depends on what it is for and not on batch, thread, or what ran before, and so
// that no two draws of a sequence can share a coin by accident.
#ifndef DECANT_CORE_CHANCE_HPP
#define DECANT_CORE_CHANCE_HPP

#include <decant/core/distribution.hpp>

#include <concepts>

namespace decant::inline DECANT_ABI {

/// What a draw is for; one independent stream each.
enum class chance_purpose : std::uint8_t {
  sample,  ///< the token emitted at a position: target sample, correction or bonus
  accept,  ///< acceptance coin of a drafted node
  draft,   ///< draft tokens drawn below a node
  other    ///< free for policies of users
};

/// Names one draw of a sequence.
struct chance_key {
  std::uint64_t position = 0;  ///< absolute position, see the functions below
  chance_purpose purpose = chance_purpose::other;
  std::uint32_t index = 0;  ///< distinguishes draws of one purpose at one position

  friend constexpr bool operator==(const chance_key&, const chance_key&) = default;
};

/// Key of the token emitted at an absolute position. Each position is emitted once, so plain decoding and every
/// verifier that samples the target use the same draw for it.
[[nodiscard]] constexpr chance_key sample_key(std::uint64_t position) noexcept {
  return {position, chance_purpose::sample, 0};
}
/// Key of the acceptance coin of a node. A step is named by its root's position, which no other step has.
[[nodiscard]] constexpr chance_key accept_key(std::uint64_t root_position, node_id node) noexcept {
  return {root_position, chance_purpose::accept, static_cast<std::uint32_t>(node)};
}
/// Key of drafted tokens: `draw` is the node below which an ordered sample is drawn, or the number of a single draw
/// (nodes and repeated draws the tree holds before it); a builder uses one of the two throughout.
[[nodiscard]] constexpr chance_key draft_key(std::uint64_t root_position, node_id draw) noexcept {
  return {root_position, chance_purpose::draft, static_cast<std::uint32_t>(draw)};
}

/// A source of randomness.
/// - accept(key, a, b): true with probability min(1, a/b), without dividing. a <= 0 never, a >= b > 0 always; b <= 0 <
/// a
///   counts as always.
/// - pick(key, law): a token with probability weight / mass. The law has positive mass.
/// - ordered_sample(key, law, out): fills `out` with distinct tokens drawn one after the other without replacement
///   (Plackett-Luce), in draw order; returns how many, at most the number of tokens with positive weight.
template <class Source>
concept ChanceSource = requires(Source& source, chance_key key, double x, distribution_view<double> law,
                                std::span<token> out) {
  { source.accept(key, x, x) } -> std::same_as<bool>;
  { source.pick(key, law) } -> std::same_as<token>;
  { source.ordered_sample(key, law, out) } -> std::same_as<std::size_t>;
};

/// A source of which a coin that accepts with some probability accepts under the same key with every greater one, too,
/// and that may be asked twice: it says so by `static constexpr bool monotone_coins = true`. The production source is
/// one; sources that enumerate or record are not.
template <class Source>
concept MonotoneChanceSource = ChanceSource<Source> && requires {
  requires Source::monotone_coins;
};

/// `accept(key, weight(), 1)`, for a weight that is costly to know but at most `bound`: where the source's coins are
/// monotone, one that refuses the bound already spares the weight.
template <class Source, class Mass, class Weight>
[[nodiscard]] bool accept_within(Source& source, chance_key key, const Mass& bound, Weight&& weight) {
  if constexpr (MonotoneChanceSource<Source>) {
    const Mass with_rounding = bound + bound / Mass(1 << 16);  // of the weight, which is computed in another way
    if (!source.accept(key, with_rounding, Mass(1))) return false;
  }
  return source.accept(key, weight(), Mass(1));
}

}  // namespace decant::inline DECANT_ABI

#endif
