// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// XTC, exclude top choices. Rule: with the given probability, of the candidates whose probability in the current set is
// at least `threshold` all but the least likely are removed; otherwise nothing is.
// Parameters: probability in [0, 1], 0 is off; threshold in [0, 1], above 1/2 is off (two candidates never reach it),
// usually 0.1. min_keep >= 1: nothing is removed when fewer than this many would be left. seed and sequence as those of
// the chance source (philox.hpp): they fix the coins.
// Edge cases: fewer than two candidates at the threshold: nothing. Among equals the one of the highest id is the least
// likely. Belongs after the truncations and before temperature.
// The coin is a pure function of (seed, sequence, position), with position the number of tokens the state was advanced
// over: all nodes of one depth of a token tree share it, speculation and plain decoding toss the same, and a position
// decoded again does too. It is no draw of the chance source, and other draws stay what they are whether or not it
// fires.
// Engine differences: llama.cpp tosses with its own generator, once for every call whether or not it fires, counts
// banned tokens among those that would be left, and moved its data pointer instead of compacting, so that callers saw
// removed tokens. The web interfaces where it began also keep line breaks and the end of the sequence.
// Source: p-e-w 2024, llama.cpp pull request 9742; no paper.
#ifndef DECANT_SAMPLE_XTC_HPP
#define DECANT_SAMPLE_XTC_HPP

#include <decant/core/philox.hpp>
#include <decant/sample/sampler.hpp>
#include <decant/sample/text_position.hpp>

namespace decant::inline DECANT_ABI {

/// Removes the likeliest candidates now and then. At most two passes, one with an exponential per candidate; none at
/// positions where the coin says no.
struct xtc {
  float probability = 0.0f;
  float threshold = 0.1f;
  std::size_t min_keep = 1;
  std::uint64_t seed = 0;
  std::uint32_t sequence = 0;

  static constexpr step_traits traits{};
  using state_type = text_position;

  [[nodiscard]] result<void> check() const {
    if (!(probability >= 0.0f && probability <= 1.0f)) {
      return error{error_code::invalid_argument, "the probability of XTC must lie in [0, 1]"};
    }
    if (!(threshold >= 0.0f && threshold <= 1.0f)) {
      return error{error_code::invalid_argument, "the threshold of XTC must lie in [0, 1]"};
    }
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of XTC must be at least 1"};
  }

  [[nodiscard]] text_position initial_state() const { return {}; }
  void advance(text_position& state, token) const { ++state.value; }

  /// Whether the likeliest candidates are removed at this position.
  [[nodiscard]] bool fires(text_position at) const {
    constexpr std::uint32_t coin = 0x585443;  // apart from other users of the purpose
    const chance_key key{at.value, chance_purpose::other, coin};
    return philox_chance{seed, sequence}.accept(key, static_cast<double>(probability), 1.0);
  }

  template <class Real>
  void apply(candidates<Real>& set, const text_position& state) const {
    if (!(threshold <= 0.5f) || !fires(state)) return;
    const auto bar = static_cast<Real>(set.soft_max().logit_of(static_cast<double>(threshold)));
    std::size_t above = 0;
    std::size_t count = 0;
    candidate<Real> least{no_token, 0};
    set.visit([&](token id, Real logit) {
      if (!(logit >= std::numeric_limits<Real>::lowest())) return;
      ++count;
      if (!(logit >= bar)) return;
      if (above++ == 0 || logit <= least.logit) least = {id, logit};
    });
    if (above < 2 || count - (above - 1) < min_keep) return;
    set.filter([&](token id, Real logit) { return id == least.id || !(logit >= bar); });
  }

  friend constexpr bool operator==(const xtc&, const xtc&) = default;
};

static_assert(SamplerStep<xtc, float> && SamplerStep<xtc, double>);

}  // namespace decant::inline DECANT_ABI

#endif
