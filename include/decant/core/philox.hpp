// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Philox4x32-10, the counter-based generator of "Parallel Random Numbers: As Easy as 1, 2, 3" (Salmon et al., SC 2011),
// and the production chance source on it. A draw is a pure function of (seed, sequence, position, purpose, index).
#ifndef DECANT_CORE_PHILOX_HPP
#define DECANT_CORE_PHILOX_HPP

#include <decant/core/chance.hpp>
#include <decant/kernels/race.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

using philox_block = std::array<std::uint32_t, 4>;

/// Ten rounds of Philox4x32: 128 random bits for a 128-bit counter under a 64-bit key. Pure, no state.
[[nodiscard]] constexpr philox_block philox4x32(philox_block counter, std::uint64_t key) noexcept {
  auto key_low = static_cast<std::uint32_t>(key);
  auto key_high = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < cpu::philox_rounds; ++round) {
    const std::uint64_t a = std::uint64_t{cpu::philox_multipliers[0]} * counter[0];
    const std::uint64_t b = std::uint64_t{cpu::philox_multipliers[1]} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key_low, static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key_high, static_cast<std::uint32_t>(a)};
    key_low += cpu::philox_key_steps[0];
    key_high += cpu::philox_key_steps[1];
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
  for (int round = 0; round < cpu::philox_rounds; ++round) {
    for (std::size_t lane = 0; lane < philox_lanes; ++lane) {
      const std::uint64_t a = std::uint64_t{cpu::philox_multipliers[0]} * counters[0][lane];
      const std::uint64_t b = std::uint64_t{cpu::philox_multipliers[1]} * counters[2][lane];
      counters[0][lane] = static_cast<std::uint32_t>(b >> 32) ^ counters[1][lane] ^ key_low;
      counters[1][lane] = static_cast<std::uint32_t>(b);
      counters[2][lane] = static_cast<std::uint32_t>(a >> 32) ^ counters[3][lane] ^ key_high;
      counters[3][lane] = static_cast<std::uint32_t>(a);
    }
    key_low += cpu::philox_key_steps[0];
    key_high += cpu::philox_key_steps[1];
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

/// The first arrivals of a race: token v arrives at -log(u_v) / weight_v, and of equal times the lower id is first. So
/// who wins does not depend on the order in which tokens enter.
class exponential_race {
 public:
  /// Tokens that enter between two calls of `settle`, at most. Whole blocks of a law, and whole steps of the kernels.
  static constexpr std::size_t max_stretch = 768;

  explicit exponential_race(std::size_t places) noexcept : places_(places) {}  // NOLINT: arrays are written first

  /// How many tokens enter next when `entered` have: the more have arrived, the less a deadline that is out of date
  /// lets in.
  [[nodiscard]] static constexpr std::size_t stretch_after(std::size_t entered) noexcept {
    return std::clamp<std::size_t>(entered, 24, max_stretch);
  }
  /// When the last of the winners so far arrives; infinite while there are places left.
  [[nodiscard]] double deadline() const noexcept {
    return arrived_ < places_ ? std::numeric_limits<double>::infinity() : arrivals_[0].time;
  }
  /// Whether no token of at most this weight can win any more: -log(u) is never below 2^-53.
  [[nodiscard]] bool is_lost_for(double weight) const noexcept { return weight * deadline() < 0x1p-54; }
  /// Enters a token, unless it has no weight or has lost: -log(u) >= 1 - u, and rounding takes less than 2^-50 of it.
  void enter(token id, double weight, double u) noexcept {
    if (!(weight > 0) || (1 - u) * (1 - 0x1p-50) > deadline() * weight) return;
    entered_[entered_count_] = {id, weight};
    noise_[entered_count_++] = u;
  }
  /// Lets those that have entered arrive.
  void settle() noexcept {
    cpu::best_race_kernels().logarithms(noise_.data(), entered_count_);
    for (std::size_t i = 0; i < entered_count_; ++i) arrive({-noise_[i] / entered_[i].weight, entered_[i].id});
    entered_count_ = 0;
  }
  /// Writes the winners in order; returns how many.
  [[nodiscard]] std::size_t finish(std::span<token> winners) noexcept {
    std::sort_heap(arrivals_.begin(), arrivals_.begin() + static_cast<std::ptrdiff_t>(arrived_));
    for (std::size_t i = 0; i < arrived_; ++i) winners[i] = arrivals_[i].id;
    return arrived_;
  }

 private:
  struct arrival {
    double time;
    token id;

    friend bool operator<(const arrival& a, const arrival& b) noexcept {
      return a.time < b.time || (!(b.time < a.time) && a.id < b.id);
    }
  };

  /// The last winner so far is at the top of a heap.
  void arrive(const arrival& next) noexcept {
    if (arrived_ == places_) {
      if (!(next < arrivals_[0])) return;
      std::pop_heap(arrivals_.begin(), arrivals_.begin() + static_cast<std::ptrdiff_t>(arrived_--));
    }
    arrivals_[arrived_++] = next;
    std::push_heap(arrivals_.begin(), arrivals_.begin() + static_cast<std::ptrdiff_t>(arrived_));
  }

  std::size_t places_;
  std::size_t arrived_ = 0;
  std::size_t entered_count_ = 0;
  std::array<arrival, max_race> arrivals_;
  std::array<weighted_token<double>, max_stretch> entered_;
  std::array<double, max_stretch> noise_;  // u of those that entered, then its logarithm
};

/// The mass of entries where a law keeps it; infinite where it does not.
template <class Real>
[[nodiscard]] double mass_of_blocks(distribution_view<Real> law, std::size_t first, std::size_t count) {
  if (law.block_masses().empty() || first % law_block != 0) return std::numeric_limits<double>::infinity();
  double mass = 0;
  for (std::size_t i = first; i < first + count; i += law_block) mass += as_double(law.block_masses()[i / law_block]);
  return mass;
}

}  // namespace detail

/// The production chance source. Value type without mutable state: copies draw the same, threads may share it.
struct philox_chance {
  static constexpr bool monotone_coins = true;

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
  /// its id alone, so dense and sparse forms of a law draw the same, on every instruction set. O(entries + k log k)
  /// expected for few winners.
  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) const {
    DECANT_PRECONDITION(out.size() <= max_race);
    if (out.empty()) return 0;
    detail::exponential_race race(out.size());
    std::size_t count = 0;
    for (std::size_t first = 0; first < law.size(); first += count) {
      count = std::min(race.stretch_after(first), law.size() - first);
      if (race.is_lost_for(detail::mass_of_blocks(law, first, count))) continue;
      enter_entries(key, law, first, count, race);
      race.settle();
    }
    return race.finish(out);
  }

  /// Fills `out` with independent uniforms in [0, 1) of one key.
  void uniforms(chance_key key, std::span<double> out) const noexcept {
    for_each_noise(key, 0, out.size(),
                   [out](std::size_t i, std::uint32_t high, std::uint32_t low) { out[i] = unit_interval(high, low); });
  }

  friend bool operator==(const philox_chance&, const philox_chance&) = default;

 private:
  /// Enters those of `count` entries in a race that can still win.
  template <class Real>
  void enter_entries(chance_key key, distribution_view<Real> law, std::size_t first, std::size_t count,
                     detail::exponential_race& race) const {
    const auto enter = [&](std::size_t entry, double u) { race.enter(law.id(entry), as_double(law.weight(entry)), u); };
    const auto enter_alone = [&](std::size_t entry) { enter(entry, noise_of(key, law.id(entry))); };
    const bool is_short = law.size() <= cpu::logit_block;  // not worth the lanes
    if constexpr (std::is_same_v<Real, float>) {
      if (!is_short) return for_each_contender(key, law, first, count, race.deadline(), enter_alone);
    }
    if (is_short || law.sparse()) {
      for (std::size_t i = first; i < first + count; ++i) enter_alone(i);
    } else {
      for_each_noise(key, first, count, [&](std::size_t entry, std::uint32_t high, std::uint32_t low) {
        enter(entry, open_unit_interval(high, low));
      });
    }
  }

  /// Calls `visit(entry)` for those of `count` entries that the kernels do not know to arrive after a deadline.
  template <class Visit>
  void for_each_contender(chance_key key, distribution_view<float> law, std::size_t first, std::size_t count,
                          double deadline, const Visit& visit) const {
    const philox_block counter = counter_of(key, 0);
    const cpu::race_noise noise{{counter[0], counter[1], counter[2], counter[3]}, seed};
    std::array<std::int32_t, detail::exponential_race::max_stretch + cpu::collect_slack> entries;  // NOLINT: written
    const std::size_t found = cpu::best_race_kernels().contenders(
        noise, law.sparse() ? law.ids().data() + first : nullptr, static_cast<std::int32_t>(first),
        law.weights().data() + first, count, deadline, entries.data());
    for (std::size_t i = 0; i < found; ++i) visit(index(entries[i]));
  }

  /// Calls `visit(i, high, low)` for `count` numbers from `first` on with the two words that token i has.
  template <class Visit>
  void for_each_noise(chance_key key, std::size_t first, std::size_t count, const Visit& visit) const {
    constexpr std::size_t stride = 2 * philox_lanes;
    for (std::size_t place = 0; place < count; place += stride) {
      const philox_batch bits = batch(key, block_of(static_cast<token>(first + place)));
      const std::size_t in_batch = std::min(stride, count - place);
      for (std::size_t i = 0; i < in_batch; ++i) {
        const std::size_t half = 2 * (i % 2);
        visit(first + place + i, bits[half][i / 2], bits[half + 1][i / 2]);
      }
    }
  }

  /// What a token's arrival is drawn with.
  [[nodiscard]] constexpr double noise_of(chance_key key, token id) const noexcept {
    const philox_block bits = block(key, block_of(id));
    const std::size_t half = 2 * (static_cast<std::size_t>(id) % 2);
    return open_unit_interval(bits[half], bits[half + 1]);
  }

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
