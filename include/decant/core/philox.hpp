// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Philox4x32-10, the counter-based generator of "Parallel Random Numbers: As Easy as 1, 2, 3" (Salmon et al., SC 2011),
// and the production chance source on it. A draw is a pure function of (seed, sequence, position, purpose, index).
#ifndef DECANT_CORE_PHILOX_HPP
#define DECANT_CORE_PHILOX_HPP

#include <decant/core/chance.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

using philox_block = std::array<std::uint32_t, 4>;

/// Ten rounds of Philox4x32: 128 random bits for a 128-bit counter under a 64-bit key. Pure, no state.
[[nodiscard]] constexpr philox_block philox4x32(philox_block counter, std::uint64_t key) noexcept {
  auto key_low = static_cast<std::uint32_t>(key);
  auto key_high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key_low, static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key_high, static_cast<std::uint32_t>(a)};
    key_low += 0x9E3779B9u;
    key_high += 0xBB67AE85u;
  }
  return counter;
}

/// Thirty-two blocks at once, word by word: independent lanes hide the latency of the multiplications (3.4 ns instead
/// of 9.2 ns a draw with GCC 12 -O2 on Zen 3; 8 and 16 lanes are slower under some compiler and optimisation level).
inline constexpr std::size_t philox_lanes = 32;
using philox_batch = std::array<std::array<std::uint32_t, philox_lanes>, 4>;

constexpr void philox4x32(philox_batch& counters, std::uint64_t key) noexcept {
  auto key_low = static_cast<std::uint32_t>(key);
  auto key_high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t lane = 0; lane < philox_lanes; ++lane) {
      const std::uint64_t a = std::uint64_t{0xD2511F53u} * counters[0][lane];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counters[2][lane];
      counters[0][lane] = static_cast<std::uint32_t>(b >> 32) ^ counters[1][lane] ^ key_low;
      counters[1][lane] = static_cast<std::uint32_t>(b);
      counters[2][lane] = static_cast<std::uint32_t>(a >> 32) ^ counters[3][lane] ^ key_high;
      counters[3][lane] = static_cast<std::uint32_t>(a);
    }
    key_low += 0x9E3779B9u;
    key_high += 0xBB67AE85u;
  }
}

/// 53 random bits as a double in [0, 1), from two words of a block.
[[nodiscard]] constexpr double unit_interval(std::uint32_t high, std::uint32_t low) noexcept {
  return static_cast<double>(static_cast<std::int64_t>(((std::uint64_t{high} << 32) | low) >> 11)) * 0x1.0p-53;
}

/// 53 random bits as a double in (0, 1), symmetric around 1/2: safe under a logarithm.
[[nodiscard]] constexpr double open_unit_interval(std::uint32_t high, std::uint32_t low) noexcept {
  return (static_cast<double>(static_cast<std::int64_t>(((std::uint64_t{high} << 32) | low) >> 12)) + 0.5) * 0x1.0p-52;
}

namespace detail {

/// The first entry at which the running sum of weights exceeds `threshold`, from which the sum before it is taken; by
/// rounding the last one of positive weight.
template <class Weight>
[[nodiscard]] std::size_t entry_below(std::span<const Weight> weights, double& threshold) {
  std::size_t last = 0;
  double before = 0;
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > Weight(0))) continue;
    last = i;
    before = sum;
    sum += as_double(weights[i]);
    if (threshold < sum) break;
  }
  threshold -= before;
  return last;
}

}  // namespace detail

/// The token at which the running sum of a law's weights first exceeds `u` times its mass; the last token of positive
/// weight when rounding overshoots. Sums in `mass_t`.
template <class Real>
[[nodiscard]] token inverse_cdf(distribution_view<Real> law, double u) {
  DECANT_PRECONDITION(law.mass() > mass_t<Real>(0));
  double threshold = u * as_double(law.mass());
  if (law.block_masses().empty()) return law.id(detail::entry_below(law.weights(), threshold));
  const std::size_t first = law_block * detail::entry_below(law.block_masses(), threshold);
  const std::size_t count = std::min(law_block, law.size() - first);
  return law.id(first + detail::entry_below(law.weights().subspan(first, count), threshold));
}

/// Largest number of tokens drawn at once without replacement.
inline constexpr std::size_t max_race = 1024;

namespace detail {

/// The k smallest arrival times so far, in order, with their tokens.
class exponential_race {
 public:
  explicit exponential_race(std::span<token> winners) : winners_(winners) {}

  /// A token that arrives at -log(u) / weight. Since -log(u) >= 1 - u, the logarithm is taken only for tokens that can
  /// still win.
  void enter(token id, double weight, double u) noexcept {
    const bool full = count_ == winners_.size();
    if (!(weight > 0) || (full && 1 - u >= times_[count_ - 1] * weight)) return;
    const double time = -std::log(u) / weight;
    if (full && time >= times_[count_ - 1]) return;
    std::size_t place = full ? count_ - 1 : count_++;
    for (; place > 0 && time < times_[place - 1]; --place) {
      times_[place] = times_[place - 1];
      winners_[place] = winners_[place - 1];
    }
    times_[place] = time;
    winners_[place] = id;
  }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  std::span<token> winners_;
  std::array<double, max_race> times_;  // NOLINT: only the first count_ entries are read
  std::size_t count_ = 0;
};

}  // namespace detail

/// The production chance source. Value type without mutable state: copies draw the same, threads may share it.
struct philox_chance {
  std::uint64_t seed = 0;
  std::uint32_t sequence = 0;  ///< one number per sequence decoded under the same seed

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) const {
    if (!(a > Mass(0))) return false;
    if (!(a < b)) return true;
    const philox_block bits = block(key, 0);
    return unit_interval(bits[0], bits[1]) * as_double(b) < as_double(a);
  }

  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) const {
    const philox_block bits = block(key, 0);
    return inverse_cdf(law, unit_interval(bits[0], bits[1]));
  }

  /// Exponential race: the smallest of -log(u_v) / weight_v win, in order. One pass; the noise of a token depends on
  /// its id alone, so dense and sparse forms of a law draw the same. O(entries + k log k) expected for few winners.
  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) const {
    DECANT_PRECONDITION(out.size() <= max_race);
    if (out.empty()) return 0;
    detail::exponential_race race(out);
    if (law.sparse()) {
      for (std::size_t i = 0; i < law.size(); ++i) {
        const token id = law.id(i);
        const philox_block bits = block(key, block_of(id));
        const std::size_t half = 2 * (static_cast<std::size_t>(id) % 2);
        race.enter(id, as_double(law.weight(i)), open_unit_interval(bits[half], bits[half + 1]));
      }
      return race.size();
    }
    constexpr std::size_t stride = 2 * philox_lanes;
    for (std::size_t first = 0; first < law.size(); first += stride) {
      const philox_batch bits = batch(key, block_of(static_cast<token>(first)));
      const std::size_t count = std::min(stride, law.size() - first);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t half = 2 * (i % 2);
        race.enter(static_cast<token>(first + i), as_double(law.weight(first + i)),
                   open_unit_interval(bits[half][i / 2], bits[half + 1][i / 2]));
      }
    }
    return race.size();
  }

  /// Fills `out` with independent uniforms in [0, 1) of one key.
  void uniforms(chance_key key, std::span<double> out) const noexcept {
    constexpr std::size_t stride = 2 * philox_lanes;
    for (std::size_t first = 0; first < out.size(); first += stride) {
      const philox_batch bits = batch(key, 1 + static_cast<std::uint32_t>(first / 2));
      const std::size_t count = std::min(stride, out.size() - first);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t half = 2 * (i % 2);
        out[first + i] = unit_interval(bits[half][i / 2], bits[half + 1][i / 2]);
      }
    }
  }

  friend bool operator==(const philox_chance&, const philox_chance&) = default;

 private:
  /// Block 0 belongs to accept and pick; two tokens share one of the others.
  [[nodiscard]] static constexpr std::uint32_t block_of(token id) noexcept {
    return 1 + static_cast<std::uint32_t>(id) / 2;
  }

  [[nodiscard]] constexpr philox_batch batch(chance_key key, std::uint32_t first_number) const noexcept {
    philox_batch counters{};
    for (std::size_t lane = 0; lane < philox_lanes; ++lane) {
      const philox_block counter = counter_of(key, first_number + static_cast<std::uint32_t>(lane));
      for (std::size_t word = 0; word < 4; ++word) counters[word][lane] = counter[word];
    }
    philox4x32(counters, seed);
    return counters;
  }

  [[nodiscard]] constexpr philox_block block(chance_key key, std::uint32_t number) const noexcept {
    return philox4x32(counter_of(key, number), seed);
  }

  /// Positions and block numbers stay below 2^32 and 2^24 (a context of four billion tokens, a vocabulary of 33
  /// million), so the counter is an injective function of everything that names the draw.
  [[nodiscard]] constexpr philox_block counter_of(chance_key key, std::uint32_t number) const noexcept {
    return {key.index, (static_cast<std::uint32_t>(key.purpose) << 24) | (number & 0xFFFFFFu),
            static_cast<std::uint32_t>(key.position), sequence};
  }
};

static_assert(ChanceSource<philox_chance>);

}  // namespace decant::inline DECANT_ABI

#endif
