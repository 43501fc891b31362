// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact selections from a row of logits without sorting: all that reach a threshold, the k best, the smallest prefix of
// a probability. Rows come with the maxima of their blocks of 64, so that selections read the blocks that matter.
//
// Thresholds are found by halving the ordered bit patterns between two scalars: a pass that counts or sums a few
// thousand floats is cheaper than one mispredicted branch per element. Ties at a threshold go to the first places.
#ifndef DECANT_KERNELS_VOCABULARY_SELECTION_HPP
#define DECANT_KERNELS_VOCABULARY_SELECTION_HPP

#include <decant/kernels/vocabulary_loops.hpp>

#include <array>
#include <bit>
#include <span>
#include <type_traits>
#include <vector>

namespace decant::inline DECANT_ABI::cpu {

/// The place of a scalar, not NaN, in the order of all: equal differences are equal numbers of scalars in between. -0
/// comes right before 0.
template <class Real>
[[nodiscard]] auto ordinal_of(Real x) noexcept {
  using bits = std::conditional_t<sizeof(Real) == 4, std::int32_t, std::int64_t>;
  const auto b = std::bit_cast<bits>(x);
  return b < 0 ? static_cast<bits>(b ^ std::numeric_limits<bits>::max()) : b;
}
template <class Real, class Ordinal>
[[nodiscard]] Real scalar_of(Ordinal place) noexcept {
  return std::bit_cast<Real>(place < 0 ? static_cast<Ordinal>(place ^ std::numeric_limits<Ordinal>::max()) : place);
}
template <class Ordinal>
[[nodiscard]] Ordinal halfway(Ordinal a, Ordinal b) noexcept {
  return static_cast<Ordinal>((a & b) + ((a ^ b) >> 1));
}

/// The greatest scalar in [low, high) for which `holds`, which is true of `low` and, once false, stays false above.
template <class Real, class Holds>
[[nodiscard]] Real last_for_which(Real low, Real high, const Holds& holds) {
  auto a = ordinal_of(low);
  auto b = ordinal_of(high);
  while (true) {
    const auto middle = halfway(a, b);
    if (middle == a || !(a < b)) return scalar_of<Real>(a);
    (holds(scalar_of<Real>(middle)) ? a : b) = middle;
  }
}

/// The exponents of weights: exp((logit - top) / divisor).
template <class Real>
struct soft_max_of {
  Real top;
  double divisor;
};

/// Selections, with the memory they need. What a member returns is valid until the next one is called.
template <class Real>
class row_selection {
 public:
  using loops = vocabulary_loops<Real>;
  static constexpr Real lowest = std::numeric_limits<Real>::lowest();
  static constexpr Real infinity = std::numeric_limits<Real>::infinity();

  /// Places in ascending order, with the value of each.
  struct chosen {
    std::int32_t* places;
    Real* values;
    std::size_t count;
  };

  /// Takes the memory for rows of a size; nothing else allocates.
  void reserve(std::size_t size) {
    const std::size_t blocks = (size + logit_block - 1) / logit_block;
    places_.resize(size + collect_slack);
    values_.resize(size + collect_slack);
    weights_.resize(size + collect_slack);
    row_weights_.resize(size);
    lane_maxima_.resize(blocks * 16);
    sample_keys_.resize(std::min(size, sample_blocks * 2 * logit_block) + collect_slack);
    sample_weights_.resize(sample_keys_.size());
  }

  /// All that reach a threshold. Reads the blocks whose maximum does.
  [[nodiscard]] chosen at_least(const blocked_row<Real>& row, Real threshold) {
    return {places_.data(), values_.data(), loops::collect_blocks(row, threshold, places_.data(), values_.data())};
  }

  /// Exchanges the memory of what was chosen last with vectors of the same size.
  void swap_chosen(std::vector<std::int32_t>& places, std::vector<Real>& values) noexcept {
    places_.swap(places);
    values_.swap(values);
  }

  /// Leaves those of `count` entries that reach a threshold, in their order; returns how many are left.
  static std::size_t keep_at_least(std::int32_t* places, Real* values, std::size_t count, Real threshold) {
    return drop_below(places, values, count, threshold, 0);
  }

  /// The `count` best that are not -infinity, all if there are fewer. The row has no replaced blocks if `count` is
  /// above the number of blocks.
  [[nodiscard]] chosen best(const blocked_row<Real>& row, std::size_t count) {
    if (count > row.blocks() / 2 && count <= row.size / 16) {
      const Real low = likely_threshold(row, count);
      chosen all = at_least(row, low);
      if (all.count >= count) return cut(all, count, low);
    }
    const Real low = threshold_for(row, count);
    return cut(at_least(row, low), count, low);
  }

  /// Leaves the `wanted` best of `count` entries, in their order; returns how many are left. No value is below `low`.
  static std::size_t cut_to_best(std::int32_t* places, Real* values, std::size_t count, std::size_t wanted,
                                 Real low = -infinity) {
    if (count <= wanted) return count;
    const found_threshold last = narrow(values, count, {ordinal_of(low), count}, beyond(values, count), wanted, wanted);
    return drop_below(places, values, count, scalar_of<Real>(last.place), last.reach - wanted);
  }

  /// The smallest prefix whose weights sum to a share `p` < 1 of all: by descending key, among equal keys by place.
  /// Entries of key -infinity are left out. `keys` is contiguous and may be `logits`. `total` is the mass of the row
  /// where it is known.
  [[nodiscard]] chosen prefix(const blocked_row<Real>& keys, const Real* logits, soft_max_of<Real> law, double p,
                              double total = 0) {
    pool candidates = likeliest(keys, logits, law, few_best);
    const auto falls_short_of = [&](double mass) { return candidates.mass < mass && candidates.count < keys.size; };
    bool is_weighed = false;
    if (candidates.count == keys.size) total = candidates.mass;
    if (!(total > 0)) {
      // A mass that is known more or less says what is worth while: where the prefix is longer, the weights will be
      // needed, too; where it is very short, the exact mass may not be.
      const double guessed = p * (candidates.mass + guess_mass(keys.size, logits, law));
      is_weighed = falls_short_of(guessed);
      if (!is_weighed && keys.base == logits && among_first(candidates, guessed).last_place >= 0) {
        const border end = certain_border(keys, law, candidates, p);
        if (end.last_place >= 0) return up_to(keys, end);
      }
      total = is_weighed ? loops::weigh(logits, keys.size, law.top, law.divisor, row_weights_.data())
                         : loops::mass(logits, keys.size, law.top, law.divisor);
    }
    const double wanted = p * total;
    if (falls_short_of(wanted)) candidates = likeliest(keys, logits, law, many_best);
    if (falls_short_of(wanted)) {
      if (!is_weighed) loops::weigh(logits, keys.size, law.top, law.divisor, row_weights_.data());
      candidates = near_border(keys, candidates, wanted, total);
    }
    return up_to(keys, find_border(candidates, wanted));
  }

 private:
  using ordinal = decltype(ordinal_of(Real()));
  static constexpr std::size_t few_best = 48;
  static constexpr std::size_t many_best = 256;
  static constexpr std::size_t few = 24;
  static constexpr std::size_t sample_blocks = 64;
  static constexpr double sample_error = 0.04;

  /// Entries among which a prefix ends, in the first places of the buffers, and the mass of those before all of them.
  struct pool {
    std::size_t count;
    double mass_above;
    double mass;
    Real low;   ///< no key is below
    Real high;  ///< all keys are below
  };
  struct border {
    Real key;
    std::int32_t last_place;
  };

  /// The entries of a prefix that ends at a border.
  [[nodiscard]] chosen up_to(const blocked_row<Real>& keys, const border& end) {
    chosen all = at_least(keys, end.key);
    all.count = drop_after(all, end);
    return all;
  }

  /// The border of a prefix of logits among few candidates, if it does not depend on the exact mass of the others, of
  /// which a rough one tells enough; no place otherwise.
  [[nodiscard]] border certain_border(const blocked_row<Real>& logits, soft_max_of<Real> law, const pool& candidates,
                                      double p) const {
    const double rough = loops::rough_mass(logits.base, logits.size, law.top, law.divisor);
    const double others = rough - loops::rough_mass(values_.data(), candidates.count, law.top, law.divisor);
    const double rounding = 1e-5 * rough;
    const border first = among_first(candidates, p * (candidates.mass + 0.95 * others - rounding));
    const border last = among_first(candidates, p * (candidates.mass + 1.05 * others + rounding));
    return first.last_place == last.last_place ? first : border{candidates.low, -1};
  }

  /// Drops the entries that tie with the last of a prefix but come after it; all of them reach its key.
  [[nodiscard]] static std::size_t drop_after(const chosen& all, const border& end) {
    std::size_t i = 0;
    const auto find_tie = [&] { i += loops::find(all.values + i, all.count - i, end.key); };
    for (find_tie(); i < all.count && all.places[i] <= end.last_place; find_tie()) ++i;
    std::size_t kept = i;
    for (; i < all.count; ++i) {
      if (all.values[i] == end.key) continue;
      all.places[kept] = all.places[i];
      all.values[kept++] = all.values[i];
    }
    return kept;
  }

  [[nodiscard]] static chosen cut(chosen all, std::size_t count, Real low) {
    all.count = cut_to_best(all.places, all.values, all.count, count, low);
    return all;
  }

  /// A value that at least `count` entries of a row reach, and not many more; `lowest` if fewer are finite.
  [[nodiscard]] Real threshold_for(const blocked_row<Real>& row, std::size_t count) {
    // Any partition does: as many parts as entries have a maximum >= the threshold.
    if (count > row.size / 8) return lowest;
    if (count > row.blocks()) return threshold_of_parts(row.base, row.size, count);
    if (count > row.blocks() / 16) return threshold_of(row.block_maxima, row.blocks(), count, slightly_more(count));
    return threshold_of_parts(row.block_maxima, row.blocks(), count);
  }
  /// As above for entries by themselves; parts of four have a maximum each.
  [[nodiscard]] Real threshold_of_parts(const Real* values, std::size_t size, std::size_t count) {
    loops::lane_maxima(values, size, lane_maxima_.data());
    const std::size_t parts = (size + logit_block - 1) / logit_block * 16;
    return threshold_of(lane_maxima_.data(), parts, count, slightly_more(count));
  }
  [[nodiscard]] static std::size_t slightly_more(std::size_t count) noexcept { return count + count / 8 + 2; }

  /// A value that more than `count` entries reach if these are spread over the blocks as by chance.
  [[nodiscard]] static Real likely_threshold(const blocked_row<Real>& row, std::size_t count) {
    constexpr double margin = 1.15;  // three standard deviations
    const double share = margin * static_cast<double>(count) / static_cast<double>(row.size);
    const double blocks_without = std::exp(static_cast<double>(logit_block) * std::log1p(-share));
    const auto blocks = static_cast<std::size_t>(std::ceil(static_cast<double>(row.blocks()) * (1 - blocks_without)));
    return threshold_of(row.block_maxima, row.blocks(), blocks, blocks + blocks / 64 + 1);
  }

  /// A value that `count` to `most` of some values reach; the greatest that `count` reach where there is none;
  /// `lowest` if fewer are finite.
  [[nodiscard]] static Real threshold_of(const Real* values, std::size_t size, std::size_t count, std::size_t most) {
    found_threshold below{ordinal_of(lowest), size};
    for (const std::size_t place : {std::size_t{0}, size / 2}) {  // first guesses that enough may reach
      if (!(values[place] > scalar_of<Real>(below.place))) continue;
      const std::size_t reach = loops::count_at_least(values, size, values[place]);
      if (reach >= count) below = {ordinal_of(values[place]), reach};
    }
    return scalar_of<Real>(narrow(values, size, below, beyond(values, size), count, most).place);
  }

  /// A threshold, and how many reach it.
  struct found_threshold {
    ordinal place;
    std::size_t reach;
  };
  /// That which none of some values reaches.
  [[nodiscard]] static found_threshold beyond(const Real* values, std::size_t count) {
    return {static_cast<ordinal>(ordinal_of(loops::largest(values, count)) + 1), 0};
  }

  /// The greatest threshold that `wanted` values reach, or one that at most `most` reach, between one that so many do
  /// and one that fewer do. Halves the range and, in turn, guesses as if values were evenly spread.
  [[nodiscard]] static found_threshold narrow(const Real* values, std::size_t size, found_threshold low,
                                              found_threshold high, std::size_t wanted, std::size_t most) {
    for (bool guesses = true; low.reach > most && halfway(low.place, high.place) != low.place; guesses = !guesses) {
      ordinal middle = halfway(low.place, high.place);
      if (guesses && middle - low.place < ordinal{1} << 30) {
        const auto range = static_cast<double>(high.place - low.place);
        const double surplus = static_cast<double>(low.reach) - 0.5 * static_cast<double>(wanted + most);
        const double share = surplus / static_cast<double>(low.reach - high.reach);
        middle = low.place + static_cast<ordinal>(std::clamp(range * share, 1.0, range - 1));
      }
      const std::size_t reach = loops::count_at_least(values, size, scalar_of<Real>(middle));
      (reach >= wanted ? low : high) = {middle, reach};
    }
    return low;
  }

  /// Drops the entries below `last` and the last `surplus` of those equal to it.
  static std::size_t drop_below(std::int32_t* places, Real* values, std::size_t count, Real last, std::size_t surplus) {
    if (surplus == 0) return loops::retain(last, count, places, values);
    std::size_t equal = static_cast<std::size_t>(std::count(values, values + count, last)) - surplus;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {  // without branches: which stay is a matter of chance
      const bool ties = values[i] == last && equal > 0;
      const bool stays = values[i] > last || ties;
      equal -= ties ? 1 : 0;
      places[kept] = places[i];
      values[kept] = values[i];
      kept += stays ? 1 : 0;
    }
    return kept;
  }

  /// About so many of the best by key, all of a row that has no more: usual prefixes end among them.
  [[nodiscard]] pool likeliest(const blocked_row<Real>& keys, const Real* logits, soft_max_of<Real> law,
                               std::size_t count) {
    const Real low = keys.size <= many_best ? lowest : threshold_for(keys, std::min(count, keys.blocks()));
    const chosen best = at_least(keys, low);
    for (std::size_t i = 0; i < best.count; ++i) weights_[i] = logits[static_cast<std::size_t>(best.places[i])];
    const double mass = loops::weigh(weights_.data(), best.count, law.top, law.divisor, weights_.data());
    const Real high = std::nextafter(loops::largest(keys.block_maxima, keys.blocks()), infinity);
    return {best.count, 0, mass, low, high};
  }

  /// The mass of a row, more or less: of a few pieces.
  [[nodiscard]] static double guess_mass(std::size_t size, const Real* logits, soft_max_of<Real> law) {
    constexpr std::size_t pieces = 4;
    const std::size_t length = std::clamp(size / pieces, std::size_t{1}, mass_block);
    double mass = 0;
    for (std::size_t i = 0; i < pieces; ++i) {
      mass += loops::mass(logits + i * (size / pieces), length, law.top, law.divisor);
    }
    return mass * static_cast<double>(size) / static_cast<double>(pieces * length);
  }

  /// The entries around the border of a long prefix of a row whose weights are known. Where it is, is estimated from a
  /// sample of blocks; what lies above is then summed exactly, so that an estimate that was wrong costs time only.
  [[nodiscard]] pool near_border(const blocked_row<Real>& keys, const pool& best, double wanted, double total) {
    Real low = lowest;
    Real high = infinity;
    if (keys.blocks() >= 2 * sample_blocks) estimate(keys, best, wanted, total, low, high);
    pool found = between(keys, low, high);
    if (found.mass_above >= wanted) {
      found = between(keys, high, infinity);
    } else if (found.mass_above + found.mass < wanted && low > lowest) {
      found = between(keys, lowest, low);
    }
    return found;
  }

  [[nodiscard]] pool between(const blocked_row<Real>& keys, Real low, Real high) {
    const band found = loops::between(nullptr, keys.base, row_weights_.data(), keys.size, low, high, places_.data(),
                                      values_.data(), weights_.data());
    const double mass = loops::mass_at_least(values_.data(), weights_.data(), found.kept, low).mass;
    return {found.kept, found.mass_above, mass, low, high};
  }

  /// Two keys between which the border of a prefix probably lies.
  void estimate(const blocked_row<Real>& keys, const pool& best, double wanted, double total, Real& low, Real& high) {
    // The few best, known exactly, are left out of it: they vary too much.
    const Real bar = best.low;
    const std::size_t stride = keys.blocks() / sample_blocks;
    std::size_t size = 0;
    for (std::size_t b = 0; (b + 1) * logit_block <= keys.size && size + logit_block <= sample_keys_.size();
         b += stride) {
      std::copy_n(keys.base + b * logit_block, logit_block, sample_keys_.data() + size);
      std::copy_n(row_weights_.data() + b * logit_block, logit_block, sample_weights_.data() + size);
      size += logit_block;
    }
    const auto mass_from = [&](Real key) {
      return loops::mass_at_least(sample_keys_.data(), sample_weights_.data(), size, key).mass;
    };
    const double sampled_above = mass_from(bar);
    const double sampled = mass_from(lowest) - sampled_above;
    const double share = (wanted - best.mass) / (total - best.mass);
    high = reached(bar, sampled_above + (share - sample_error) * sampled, mass_from);
    low = reached(high, sampled_above + (share + sample_error) * sampled, mass_from);
  }

  /// A key at or below `from` whose mass is about `mass`: `lowest` when there is none.
  template <class MassFrom>
  [[nodiscard]] static Real reached(Real from, double mass, const MassFrom& mass_from) {
    if (!(mass_from(from) < mass)) return from;
    Real step = Real(1);
    Real low = from - step;
    for (int i = 0; mass_from(low) < mass; ++i) {
      if (i == 12) return lowest;
      step *= 2;
      low = from - step;
    }
    Real high = low + step;
    for (int i = 0; i < 8 && high - low > Real(1) / 32; ++i) {
      const Real middle = low + (high - low) / 2;
      (mass_from(middle) < mass ? high : low) = middle;
    }
    return low;
  }

  /// Where the prefix of a mass ends among the entries of the pool, the last of them when rounding leaves it short.
  [[nodiscard]] border find_border(pool& in, double wanted) {
    const border end = among_first(in, wanted);
    if (end.last_place >= 0) return end;
    auto a = ordinal_of(in.low);
    auto b = ordinal_of(in.high);
    for (int step = 1; in.count > few && halfway(a, b) != a; ++step) {
      const auto middle = halfway(a, b);
      const mass_and_count above =
          loops::mass_at_least(values_.data(), weights_.data(), in.count, scalar_of<Real>(middle));
      (in.mass_above + above.mass >= wanted ? a : b) = middle;
      if (in.count <= 512 && step % 3 != 0) continue;
      const band left = loops::between(places_.data(), values_.data(), weights_.data(), in.count, scalar_of<Real>(a),
                                       scalar_of<Real>(b), places_.data(), values_.data(), weights_.data());
      in.mass_above += left.mass_above;
      in.count = left.kept;
    }
    if (in.count > few) return last_of_equals(in, scalar_of<Real>(a), wanted);
    return walk(in, wanted);
  }

  /// One after the other from the greatest key on, of few entries; no place if there are more, or if it takes long.
  [[nodiscard]] border among_first(const pool& in, double wanted) const {
    constexpr std::size_t ranks = 8;
    std::array<Real, 2 * few_best> left;  // NOLINT: only the first entries are read
    if (in.count > left.size()) return {in.low, -1};
    std::copy_n(values_.begin(), in.count, left.begin());
    double mass = in.mass_above;
    for (std::size_t rank = 0; rank < std::min(ranks, in.count); ++rank) {
      const Real key = loops::largest(left.data(), in.count);
      const std::size_t i = loops::find(left.data(), in.count, key);
      mass += static_cast<double>(weights_[i]);
      if (mass >= wanted) return {key, places_[i]};
      left[i] = -infinity;
    }
    return {in.low, -1};
  }

  /// Among entries of one key, by place.
  [[nodiscard]] border last_of_equals(const pool& in, Real key, double wanted) const {
    double mass = in.mass_above;
    std::int32_t last = -1;
    for (std::size_t i = 0; i < in.count; ++i) {
      if (values_[i] > key) mass += static_cast<double>(weights_[i]);
    }
    for (std::size_t i = 0; i < in.count && (mass < wanted || last < 0); ++i) {
      if (values_[i] != key) continue;
      last = places_[i];
      mass += static_cast<double>(weights_[i]);
    }
    return {key, last};
  }

  /// One after the other from the greatest key on; for a few entries.
  [[nodiscard]] border walk(const pool& in, double wanted) const {
    double mass = in.mass_above;
    border end{in.low, -1};
    for (std::size_t rank = 0; rank < in.count && (rank == 0 || mass < wanted); ++rank) {
      std::size_t next = in.count;
      for (std::size_t i = 0; i < in.count; ++i) {
        const bool is_behind =
            rank == 0 || values_[i] < end.key || (values_[i] == end.key && places_[i] > end.last_place);
        if (is_behind && (next == in.count || values_[i] > values_[next])) next = i;
      }
      end = {values_[next], places_[next]};
      mass += static_cast<double>(weights_[next]);
    }
    return end;
  }

  std::vector<std::int32_t> places_;
  std::vector<Real> values_;
  std::vector<Real> weights_;
  std::vector<Real> row_weights_;
  std::vector<Real> lane_maxima_;
  std::vector<Real> sample_keys_;
  std::vector<Real> sample_weights_;
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
