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

/// A dense row, of which some blocks of 64 may have been replaced by those at the same place of another.
template <class Real>
struct blocked_row {
  const Real* base = nullptr;
  std::size_t size = 0;
  const Real* block_maxima = nullptr;
  const Real* replacement = nullptr;
  const unsigned char* is_replaced = nullptr;  ///< by block; null when none is

  [[nodiscard]] std::size_t blocks() const noexcept { return (size + logit_block - 1) / logit_block; }
  [[nodiscard]] const Real* block(std::size_t b) const noexcept {
    return (is_replaced != nullptr && is_replaced[b] != 0 ? replacement : base) + b * logit_block;
  }
};

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
    good_blocks_.resize(blocks + collect_slack);
    good_maxima_.resize(blocks + collect_slack);
    lane_maxima_.resize(blocks * 16);
    sample_keys_.resize(std::min(size, sample_blocks * 2 * logit_block) + collect_slack);
    sample_weights_.resize(sample_keys_.size());
  }

  /// All that reach a threshold. Reads the blocks whose maximum does.
  [[nodiscard]] chosen at_least(const blocked_row<Real>& row, Real threshold) {
    const std::size_t good =
        loops::collect(row.block_maxima, row.blocks(), threshold, 0, good_blocks_.data(), good_maxima_.data());
    std::size_t count = 0;
    for (std::size_t i = 0; i < good; ++i) {
      const auto first = static_cast<std::size_t>(good_blocks_[i]);
      std::size_t last = first;
      const auto goes_on = [&] {
        return i + 1 < good && static_cast<std::size_t>(good_blocks_[i + 1]) == last + 1 &&
               row.block(last + 1) == row.block(last) + logit_block;
      };
      for (; goes_on(); ++i) ++last;
      const std::size_t begin = first * logit_block;
      const std::size_t end = std::min((last + 1) * logit_block, row.size);
      count += loops::collect(row.block(first), end - begin, threshold, static_cast<std::int32_t>(begin),
                              places_.data() + count, values_.data() + count);
    }
    return {places_.data(), values_.data(), count};
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
    const Real low = threshold_for(row, count);
    chosen all = at_least(row, low);
    all.count = cut_to_best(all.places, all.values, all.count, count, low);
    return all;
  }

  /// Leaves the `wanted` best of `count` entries, in their order; returns how many are left. No value is below `low`.
  static std::size_t cut_to_best(std::int32_t* places, Real* values, std::size_t count, std::size_t wanted,
                                 Real low = -infinity) {
    if (count <= wanted) return count;
    std::size_t reach = count;  // of those that reach `a`
    auto a = ordinal_of(low);
    auto b = ordinal_of(infinity);
    while (reach > wanted && halfway(a, b) != a) {
      const auto middle = halfway(a, b);
      const std::size_t above = loops::count_at_least(values, count, scalar_of<Real>(middle));
      (above >= wanted ? a : b) = middle;
      if (above >= wanted) reach = above;
    }
    return drop_below(places, values, count, scalar_of<Real>(a), reach - wanted);
  }

  /// The smallest prefix whose weights sum to a share `p` < 1 of all: by descending key, among equal keys by place.
  /// Entries of key -infinity are left out. `keys` is contiguous and may be `logits`. `total` is the mass of the row
  /// where it is known.
  [[nodiscard]] chosen prefix(const blocked_row<Real>& keys, const Real* logits, soft_max_of<Real> law, double p,
                              double total = 0) {
    pool candidates = likeliest(keys, logits, law);
    const bool are_all = candidates.count == keys.size;
    if (are_all) total = candidates.mass;
    if (!(total > 0)) total = loops::mass(logits, keys.size, law.top, law.divisor);
    const double wanted = p * total;
    if (candidates.mass < wanted && !are_all) candidates = near_border(keys, logits, law, candidates, wanted, total);
    const border end = find_border(candidates, wanted);
    chosen all = at_least(keys, end.key);
    all.count = drop_after(all, end);
    return all;
  }

 private:
  static constexpr std::size_t short_prefix = 256;
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

  /// A value that at least `count` entries of a row reach, and not many more; `lowest` if fewer are finite.
  [[nodiscard]] Real threshold_for(const blocked_row<Real>& row, std::size_t count) {
    // Any partition does: as many parts as entries have a maximum >= the threshold.
    if (count > row.size / 8) return lowest;
    if (count > row.blocks()) return threshold_of_parts(row.base, row.size, count);
    if (count > row.blocks() / 16) return threshold_of(row.block_maxima, row.blocks(), count);
    return threshold_of_parts(row.block_maxima, row.blocks(), count);
  }
  /// As above for entries by themselves; parts of four have a maximum each.
  [[nodiscard]] Real threshold_of_parts(const Real* values, std::size_t size, std::size_t count) {
    loops::lane_maxima(values, size, lane_maxima_.data());
    return threshold_of(lane_maxima_.data(), (size + logit_block - 1) / logit_block * 16, count);
  }

  [[nodiscard]] static Real threshold_of(const Real* values, std::size_t size, std::size_t count) {
    const std::size_t most = count + count / 8 + 2;
    auto a = ordinal_of(lowest);
    auto b = static_cast<decltype(a)>(ordinal_of(loops::largest(values, size)) + 1);
    // First guesses below: values that enough others may reach.
    for (const std::size_t place : {std::size_t{0}, size / 2}) {
      if (values[place] > scalar_of<Real>(a) && loops::count_at_least(values, size, values[place]) >= count) {
        a = ordinal_of(values[place]);
      }
    }
    while (halfway(a, b) != a) {
      const auto middle = halfway(a, b);
      const std::size_t reach = loops::count_at_least(values, size, scalar_of<Real>(middle));
      (reach >= count ? a : b) = middle;
      if (reach >= count && reach <= most) break;
    }
    return scalar_of<Real>(a);
  }

  /// Drops the entries below `last` and the last `surplus` of those equal to it.
  static std::size_t drop_below(std::int32_t* places, Real* values, std::size_t count, Real last, std::size_t surplus) {
    std::size_t equal =
        surplus == 0 ? count : static_cast<std::size_t>(std::count(values, values + count, last)) - surplus;
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

  /// The few best by key: usual prefixes end among them.
  [[nodiscard]] pool likeliest(const blocked_row<Real>& keys, const Real* logits, soft_max_of<Real> law) {
    const Real low = keys.size <= short_prefix ? lowest : threshold_for(keys, std::min(short_prefix, keys.blocks()));
    const chosen best = at_least(keys, low);
    for (std::size_t i = 0; i < best.count; ++i) weights_[i] = logits[static_cast<std::size_t>(best.places[i])];
    const double mass = loops::weigh(weights_.data(), best.count, law.top, law.divisor, weights_.data());
    const Real high = std::nextafter(loops::largest(keys.block_maxima, keys.blocks()), infinity);
    return {best.count, 0, mass, low, high};
  }

  /// The entries around the border of a long prefix. Where it is, is estimated from a sample of blocks; what lies
  /// above is then summed exactly, so that an estimate that was wrong costs time only.
  [[nodiscard]] pool near_border(const blocked_row<Real>& keys, const Real* logits, soft_max_of<Real> law,
                                 const pool& best, double wanted, double total) {
    loops::weigh(logits, keys.size, law.top, law.divisor, row_weights_.data());
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
    low = reached(bar, sampled_above + (share + sample_error) * sampled, mass_from);
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
    for (int i = 0; i < 8; ++i) {
      const Real middle = low + (high - low) / 2;
      (mass_from(middle) < mass ? high : low) = middle;
    }
    return low;
  }

  /// Where the prefix of a mass ends among the entries of the pool, the last of them when rounding leaves it short.
  [[nodiscard]] border find_border(pool& in, double wanted) {
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
  std::vector<std::int32_t> good_blocks_;
  std::vector<Real> good_maxima_;
  std::vector<Real> sample_keys_;
  std::vector<Real> sample_weights_;
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
