// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of vocabulary_table.hpp, written on lanes and included once per instruction set, inside that set's
// namespace and target region. All work in blocks of 64; the end of a row is copied into a padded block, so every set
// does the same operations in the same order. Products that feed a sum are explicit fma and nothing else multiplies
// before it adds, so compilers have nothing to contract.

inline constexpr float no_logit = -__builtin_huge_valf();
inline constexpr float lowest_logit = -3.402823466e+38F;
inline constexpr std::size_t block_vectors = logit_block / lane_count;

/// The end of a row, filled up to a whole block.
struct padded_block {
  float v[logit_block];

  padded_block(const float* from, std::size_t count, float fill) noexcept {
    for (std::size_t i = 0; i < logit_block; ++i) v[i] = i < count ? from[i] : fill;
  }
  void copy_to(float* to, std::size_t count) const noexcept {
    for (std::size_t i = 0; i < count; ++i) to[i] = v[i];
  }
};

/// A product that is added to something next, rounded on its own: compilers would fuse a plain one with the sum.
[[nodiscard]] inline lanes product(lanes a, lanes b) noexcept { return fma(a, b, splat(0.0F)); }

/// Calls `visit(block, place)` for the whole blocks of a row and for its padded end.
template <class Visit>
inline void for_each_block(const float* row, std::size_t count, float fill, const Visit& visit) noexcept {
  const std::size_t whole = count / logit_block * logit_block;
  for (std::size_t i = 0; i < whole; i += logit_block) visit(row + i, i);
  if (whole == count) return;
  const padded_block last(row + whole, count - whole, fill);
  visit(last.v, whole);
}
/// As above over two rows.
template <class Visit>
inline void for_each_block(const float* a, const float* b, std::size_t count, float fill_a, float fill_b,
                           const Visit& visit) noexcept {
  const std::size_t whole = count / logit_block * logit_block;
  for (std::size_t i = 0; i < whole; i += logit_block) visit(a + i, b + i, i);
  if (whole == count) return;
  const padded_block last_a(a + whole, count - whole, fill_a);
  const padded_block last_b(b + whole, count - whole, fill_b);
  visit(last_a.v, last_b.v, whole);
}

/// The next 64 of a row, of which `left` are left; `fill` stands for those beyond its end.
inline void load_block(const float* from, std::size_t left, float fill, lanes (&a)[block_vectors]) noexcept {
  const auto load_all = [&a](const float* block) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) a[v] = load(block + v * lane_count);
  };
  left >= logit_block ? load_all(from) : load_all(padded_block(from, left, fill).v);
}
/// Asks for blocks that will be read soon: hardware alone does not look far enough ahead for loops with much to do
/// besides.
template <std::size_t Blocks>
inline void fetch_ahead(const float* row, std::size_t place, std::size_t count) noexcept {
  constexpr std::size_t distance = 12 * logit_block;
  if (count - place < distance + Blocks * logit_block) return;
  DECANT_UNROLL
  for (std::size_t i = 0; i < Blocks * logit_block; i += 16) __builtin_prefetch(row + place + distance + i);
}
/// Those of 64 that a row has room for.
inline void store_block(const lanes (&a)[block_vectors], float* to, std::size_t room) noexcept {
  const auto store_all = [&a](float* block) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) store(block + v * lane_count, a[v]);
  };
  if (room >= logit_block) return store_all(to);
  float block[logit_block];
  store_all(block);
  for (std::size_t i = 0; i < room; ++i) to[i] = block[i];
}

[[nodiscard]] inline lanes maximum_of_block(const float* block) noexcept {
  lanes best = splat(no_logit);
  DECANT_UNROLL
  for (std::size_t v = 0; v < block_vectors; ++v) best = maximum(load(block + v * lane_count), best);
  return best;
}

[[nodiscard]] inline float largest(const float* row, std::size_t count) noexcept {
  lanes even = splat(no_logit);
  lanes odd = splat(no_logit);
  std::size_t i = 0;
  for (; i + logit_block <= count; i += logit_block) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < logit_block; v += 2 * lane_count) {
      even = maximum(load(row + i + v), even);
      odd = maximum(load(row + i + v + lane_count), odd);
    }
  }
  for (; i + lane_count <= count; i += lane_count) even = maximum(load(row + i), even);
  if (i == count) return greatest(maximum(even, odd));
  if (count < lane_count) return greatest(maximum(load(padded_block(row, count, no_logit).v), even));
  return greatest(maximum(maximum(load(row + count - lane_count), even), odd));  // some for the second time
}

/// Copies a block, or the part of a row that it stands for.
inline void copy_block(const float* block, float* to, std::size_t size) noexcept {
  if (size < logit_block) {
    for (std::size_t i = 0; i < size; ++i) to[i] = block[i];
    return;
  }
  DECANT_UNROLL
  for (std::size_t v = 0; v < block_vectors; ++v) store(to + v * lane_count, load(block + v * lane_count));
}

[[nodiscard]] inline row_facts scan(const float* row, std::size_t count, float* block_maxima, float* copy) noexcept {
  constexpr std::size_t four_blocks = 4 * logit_block;
  lanes best = splat(no_logit);
  nan_watch nan;
  const auto block_maximum = [&](const float* block, std::size_t watch) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; v += 2) {
      nan.include(watch, load(block + v * lane_count), load(block + (v + 1) * lane_count));
    }
    return maximum_of_block(block);
  };
  std::size_t place = 0;
  for (; place + four_blocks <= count; place += four_blocks) {
    // The maxima of four blocks are taken across lanes together.
    lanes maxima[4];
    fetch_ahead<4>(row, place, count);
    DECANT_UNROLL
    for (std::size_t b = 0; b < 4; ++b) maxima[b] = block_maximum(row + place + b * logit_block, b);
    best = maximum(maximum(maximum(maxima[0], maxima[1]), maximum(maxima[2], maxima[3])), best);
    greatest_of_each(maxima, block_maxima + place / logit_block);
    if (copy == nullptr) continue;
    for (std::size_t b = 0; b < four_blocks; b += logit_block)
      copy_block(row + place + b, copy + place + b, logit_block);
  }
  for_each_block(row + place, count - place, no_logit, [&](const float* block, std::size_t offset) {
    const lanes in_block = block_maximum(block, 0);
    best = maximum(in_block, best);
    block_maxima[(place + offset) / logit_block] = greatest(in_block);
    if (copy != nullptr) copy_block(block, copy + place + offset, count - place - offset);
  });
  return {greatest(best), nan.found()};
}

[[nodiscard]] inline std::size_t find(const float* row, std::size_t count, float value) noexcept {
  std::size_t i = 0;
  const lanes wanted = splat(value);
  for (; i + lane_count <= count; i += lane_count) {
    const lanes x = load(row + i);
    const unsigned equal = bits_at_least(x, wanted) & bits_at_least(wanted, x);
    if (equal != 0) return i + static_cast<std::size_t>(__builtin_ctz(equal));
  }
  while (i < count && row[i] != value) ++i;
  return i;
}

[[nodiscard]] inline std::size_t count_at_least(const float* row, std::size_t count, float threshold) noexcept {
  std::size_t found = 0;
  std::size_t i = 0;
  const lanes bar = splat(threshold);
  for (; i + lane_count <= count; i += lane_count) found += count_bits(bits_at_least(load(row + i), bar));
  if (count >= lane_count && i < count) {  // the last ones, in the upper lanes
    return found + count_bits(bits_at_least(load(row + count - lane_count), bar) >> (lane_count - (count - i)));
  }
  for (; i < count; ++i) found += row[i] >= threshold ? 1 : 0;
  return found;
}

/// A bit for every one of 64 that reaches a threshold. A set that does this better has a function of its own.
template <class Lanes>
[[nodiscard]] inline std::uint64_t block_bits(const float* block, const Lanes& bar) noexcept {
  std::uint64_t bits = 0;
  DECANT_UNROLL
  for (std::size_t i = 0; i < logit_block; i += lane_count) {
    bits |= std::uint64_t{bits_at_least(load(block + i), bar)} << i;
  }
  return bits;
}

/// Entries that reach a threshold, written one after the other.
class selected_entries {
 public:
  selected_entries(float threshold, std::int32_t* ids, float* values) noexcept
      : threshold_(threshold), bar_(splat(threshold)), ids_(ids), values_(values) {}

  /// Those of a row, which are named from `first` on.
  [[gnu::always_inline]] void include(const float* row, std::size_t count, std::int32_t first) noexcept {
    std::size_t i = 0;
    for (; i + lane_count <= count; i += lane_count) include_lanes(row + i, first + static_cast<std::int32_t>(i));
    for (; i < count; ++i) {
      if (!(row[i] >= threshold_)) continue;
      ids_[found_] = first + static_cast<std::int32_t>(i);
      values_[found_++] = row[i];
    }
  }
  /// As above for a whole block. Two are written whether they are there or not: usually there are no more.
  [[gnu::always_inline]] void include_block(const float* block, std::int32_t first) noexcept {
    std::uint64_t bits = block_bits(block, bar_);
    const auto selected = static_cast<std::size_t>(__builtin_popcountll(bits));
    if (selected > 8) {
      for (std::size_t i = 0; i < logit_block; i += lane_count) {
        include_lanes(block + i, first + static_cast<std::int32_t>(i));
      }
      return;
    }
    std::int32_t* ids = ids_ + found_;
    float* values = values_ + found_;
    found_ += selected;
    for (std::size_t written = 0; written < selected; written += 2) {
      DECANT_UNROLL
      for (std::size_t i = 0; i < 2; ++i) {
        const int place = __builtin_ctzll(bits | (std::uint64_t{1} << 63));
        *ids++ = first + place;
        *values++ = block[place];
        bits &= bits - 1;
      }
    }
  }
  [[nodiscard]] std::size_t count() const noexcept { return found_; }

 private:
  [[gnu::always_inline]] void include_lanes(const float* row, std::int32_t first) noexcept {
    const unsigned bits = bits_at_least(load(row), bar_);  // a branch on none would be mispredicted
    put_selected(bits, row, values_ + found_);
    put_selected_ids(bits, first, ids_ + found_);
    found_ += count_bits(bits);
  }

  float threshold_;
  lanes bar_;
  std::int32_t* ids_;
  float* values_;
  std::size_t found_ = 0;
};

[[nodiscard]] inline std::size_t collect_blocks(const blocked_row<float>& row, float threshold, std::int32_t* ids,
                                                float* values) noexcept {
  constexpr std::size_t at_once = 256;  // a long loop over the blocks that matter is predicted, a short one is not
  selected_entries selected(threshold, ids, values);
  const float* const sources[2] = {row.base, row.replacement};
  const lanes bar = splat(threshold);
  const std::size_t whole = row.size / logit_block;
  for (std::size_t first = 0; first < row.blocks(); first += at_once) {
    const std::size_t end = row.blocks() - first < at_once ? row.blocks() : first + at_once;
    std::int32_t good[at_once + collect_slack];
    std::size_t good_count = 0;
    std::size_t b = first;
    for (; b + lane_count <= end; b += lane_count) {
      const unsigned bits = bits_at_least(load(row.block_maxima + b), bar);
      put_selected_ids(bits, static_cast<std::int32_t>(b), good + good_count);
      good_count += count_bits(bits);
    }
    for (; b < end; ++b) {
      good[good_count] = static_cast<std::int32_t>(b);
      good_count += row.block_maxima[b] >= threshold ? 1 : 0;
    }
    for (std::size_t i = 0; i < good_count; ++i) {
      const auto place = static_cast<std::size_t>(good[i]) * logit_block;
      const float* source = sources[row.is_replaced == nullptr ? 0 : row.is_replaced[good[i]]];
      if (place < whole * logit_block) {
        selected.include_block(source + place, static_cast<std::int32_t>(place));
      } else {
        selected.include(source + place, row.size - place, static_cast<std::int32_t>(place));
      }
    }
  }
  return selected.count();
}

[[nodiscard]] inline std::size_t retain(float threshold, std::size_t count, std::int32_t* ids, float* values) noexcept {
  const lanes bar = splat(threshold);
  std::size_t kept = 0;
  std::size_t i = 0;
  for (; i + lane_count <= count; i += lane_count) {  // what is written lies before what is still to be read
    const unsigned bits = bits_at_least(load(values + i), bar);
    put_selected(bits, values + i, values + kept);
    put_selected(bits, ids + i, ids + kept);
    kept += count_bits(bits);
  }
  for (; i < count; ++i) {
    values[kept] = values[i];
    ids[kept] = ids[i];
    kept += values[kept] >= threshold ? 1 : 0;
  }
  return kept;
}

inline void lane_maxima(const float* row, std::size_t count, float* maxima) noexcept {
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t place) {
    float* to = maxima + place / 4;
    DECANT_UNROLL
    for (std::size_t v = 0; v < 16; v += lane_count) {
      const lanes a = maximum(load(block + v), load(block + v + 16));
      const lanes b = maximum(load(block + v + 32), load(block + v + 48));
      store(to + v, maximum(a, b));
    }
  });
}

/// A weight_rule in lanes.
struct weight_lanes {
  /// 1.5 * 2^19: adding it rounds to sixteenths, whose number the last bits then hold.
  static constexpr float magic = 786432.0F;
  /// Vectors that go through the operations together, so that few wait for a result.
  static constexpr std::size_t in_step = lane_count / 4;

  lanes top, floor, hi, lo, magic_less_power, shift;

  explicit weight_lanes(const weight_rule& rule) noexcept
      : top(splat(rule.top)),
        floor(splat(rule.floor)),
        hi(splat(rule.hi)),
        lo(splat(rule.lo)),
        magic_less_power(splat(magic - rule.power)),
        shift(splat(rule.shift)) {}

  /// The weights of a block. The exponent splits into sixteenths, for which there is a table of powers, and a rest f of
  /// at most 1/16, half from rounding and half from the shift: a minimax fit of four terms is within 0.01 units.
  [[gnu::always_inline]] void of(const lanes (&logits)[block_vectors], lanes (&w)[block_vectors]) const noexcept {
    DECANT_UNROLL
    for (std::size_t first = 0; first < block_vectors; first += in_step) of_some(logits + first, w + first);
  }

 private:
  [[gnu::always_inline]] void of_some(const lanes* logits, lanes* w) const noexcept {
    lanes l[in_step], rounded[in_step], f[in_step], p[in_step], t[in_step];
    const auto each = [](const auto& operation) {
      DECANT_UNROLL
      for (std::size_t v = 0; v < in_step; ++v) operation(v);
    };
    each([&](std::size_t v) { l[v] = maximum(floor, logits[v]); });
    each([&](std::size_t v) { rounded[v] = fma(l[v], hi, magic_less_power); });
    each([&](std::size_t v) { p[v] = fma_minus(l[v], lo, shift); });
    each([&](std::size_t v) { f[v] = add(fma_minus(l[v], hi, subtract(rounded[v], magic_less_power)), p[v]); });
    each([&](std::size_t v) { t[v] = look_up(powers_of_sixteenths, rounded[v]); });
    each([&](std::size_t v) { p[v] = fma(splat(9.61922202e-3F), f[v], splat(5.55112548e-2F)); });
    each([&](std::size_t v) { p[v] = fma(p[v], f[v], splat(2.40226507e-1F)); });
    each([&](std::size_t v) { p[v] = fma(p[v], f[v], splat(6.93147182e-1F)); });
    each([&](std::size_t v) { p[v] = fma(multiply(f[v], t[v]), p[v], t[v]); });
    each([&](std::size_t v) { w[v] = times_power_of_2(p[v], subtract(rounded[v], splat(magic))); });
  }
};

[[nodiscard]] inline double mass(const float* row, std::size_t count, const weight_rule& rule) noexcept {
  const weight_lanes weights(rule);
  wide_sum sum;
  for (std::size_t place = 0; place < count; place += logit_block) {
    lanes w[block_vectors];
    fetch_ahead<1>(row, place, count);
    load_block(row + place, count - place, no_logit, w);
    weights.of(w, w);
    sum.include(w);
  }
  return sum.total();
}

/// Weights whose exponents are rounded to sixteenths, the shift included: by 1/16 and a little at most.
[[nodiscard]] inline double rough_mass(const float* row, std::size_t count, const weight_rule& rule) noexcept {
  const weight_lanes weights(rule);
  wide_sum sum;
  for (std::size_t place = 0; place < count; place += logit_block) {
    lanes w[block_vectors];
    load_block(row + place, count - place, no_logit, w);
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes rounded = fma(maximum(weights.floor, w[v]), weights.hi, weights.magic_less_power);
      w[v] = times_power_of_2(look_up(powers_of_sixteenths, rounded), subtract(rounded, splat(weight_lanes::magic)));
    }
    sum.include(w);
  }
  return sum.total();
}

[[nodiscard]] inline weight_sums mass_and_distance(const float* row, std::size_t count,
                                                   const weight_rule& rule) noexcept {
  const weight_lanes weights(rule);
  wide_sum sum;
  wide_sum distances;
  for (std::size_t place = 0; place < count; place += logit_block) {
    lanes logits[block_vectors];
    lanes w[block_vectors];
    load_block(row + place, count - place, no_logit, logits);
    weights.of(logits, w);
    sum.include(w);
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      w[v] = product(w[v], subtract(weights.top, maximum(weights.floor, logits[v])));
    }
    distances.include(w);
  }
  return {sum.total(), distances.total()};
}

/// The mass of `count` weights, which `weights_at(place, w)` makes 64 at a time. Those of every 256 are written down
/// unless `block_masses` is null.
template <class WeightsAt>
[[nodiscard, gnu::always_inline]] inline double sum_masses(std::size_t count, double* block_masses,
                                                           const WeightsAt& weights_at) noexcept {
  double total = 0;
  for (std::size_t first = 0; first < count; first += mass_block) {
    const std::size_t end = count - first < mass_block ? count : first + mass_block;
    wide_sum sum;
    for (std::size_t place = first; place < end; place += logit_block) {
      lanes w[block_vectors];
      weights_at(place, w);
      sum.include(w);
    }
    const double mass = sum.total();
    if (block_masses != nullptr) block_masses[first / mass_block] = mass;
    total += mass;
  }
  return total;
}

/// The sum of a block of weights without the rounding of sums of four.
[[nodiscard]] inline double exact_sum(const float* weights, std::size_t count) noexcept {
  wide_sum sum;
  for (std::size_t place = 0; place < count; place += logit_block) {
    lanes w[block_vectors];
    load_block(weights + place, count - place, 0.0F, w);
    for (std::size_t first = 0; first < block_vectors; first += 16 / lane_count) {
      lanes sixteen[block_vectors];
      DECANT_UNROLL
      for (std::size_t v = 0; v < block_vectors; ++v) sixteen[v] = v < 16 / lane_count ? w[first + v] : splat(0.0F);
      sum.include(sixteen);
    }
  }
  return sum.total();
}

[[nodiscard]] inline double weigh(const float* row, std::size_t count, const weight_rule& rule, float* out,
                                  double* block_masses) noexcept {
  const weight_lanes weights(rule);
  double total = sum_masses(count, block_masses, [&](std::size_t place, lanes(&w)[block_vectors]) {
    fetch_ahead<1>(row, place, count);
    load_block(row + place, count - place, no_logit, w);
    weights.of(w, w);
    store_block(w, out + place, count - place);
  });
  if (block_masses == nullptr) return total;
  // A sum of four in float may round away a unit of the last place of a weight. Where it matters, near the best logit
  // with its weight of 1, a block is summed again.
  constexpr double heavy = 0.125;
  for (std::size_t first = 0; first < count; first += mass_block) {
    double& mass = block_masses[first / mass_block];
    if (!(mass >= heavy)) continue;
    const double exact = exact_sum(out + first, count - first < mass_block ? count - first : mass_block);
    total += exact - mass;
    mass = exact;
  }
  return total;
}

[[nodiscard]] inline mass_and_count mass_at_least(const float* keys, const float* weights, std::size_t count,
                                                  float threshold) noexcept {
  wide_sum sum;
  std::size_t found = 0;
  const lanes bar = splat(threshold);
  for_each_block(keys, weights, count, __builtin_nanf(""), 0.0F,  // NaN reaches no threshold
                 [&](const float* k, const float* w, std::size_t) {
                   lanes kept[block_vectors];
                   DECANT_UNROLL
                   for (std::size_t v = 0; v < block_vectors; ++v) {
                     const lanes key = load(k + v * lane_count);
                     kept[v] = zero_below(load(w + v * lane_count), key, threshold);
                     found += count_bits(bits_at_least(key, bar));
                   }
                   sum.include(kept);
                 });
  return {sum.total(), found};
}

[[nodiscard]] inline band between(const std::int32_t* ids, const float* keys, const float* weights, std::size_t count,
                                  float low, float high, std::int32_t* out_ids, float* out_keys,
                                  float* out_weights) noexcept {
  wide_sum above;
  std::size_t count_above = 0;
  std::size_t kept = 0;
  const lanes low_bar = splat(low);
  const lanes high_bar = splat(high);
  const std::size_t whole = count / logit_block * logit_block;
  for (std::size_t i = 0; i < whole; i += logit_block) {
    // What is written lies before what is still to be read, even where the outputs are the inputs.
    lanes summed[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const std::size_t at = i + v * lane_count;
      summed[v] = zero_below(load(weights + at), load(keys + at), high);
    }
    above.include(summed);
    for (std::size_t at = i; at < i + logit_block; at += lane_count) {
      const lanes key = load(keys + at);
      const unsigned over = bits_at_least(key, high_bar);
      const unsigned bits = bits_at_least(key, low_bar) & ~over;
      count_above += count_bits(over);
      if (ids == nullptr) {
        put_selected_ids(bits, static_cast<std::int32_t>(at), out_ids + kept);
      } else {
        put_selected(bits, keys + at, out_keys + kept);
        put_selected(bits, weights + at, out_weights + kept);
        put_selected(bits, ids + at, out_ids + kept);
      }
      kept += count_bits(bits);
    }
  }
  for (std::size_t k = 0; ids == nullptr && k < kept; ++k) {  // of a whole row, few
    out_keys[k] = keys[out_ids[k]];
    out_weights[k] = weights[out_ids[k]];
  }
  const mass_and_count rest = mass_at_least(keys + whole, weights + whole, count - whole, high);
  for (std::size_t i = whole; i < count; ++i) {
    if (!(keys[i] >= low) || keys[i] >= high) continue;
    out_ids[kept] = ids == nullptr ? static_cast<std::int32_t>(i) : ids[i];
    out_keys[kept] = keys[i];
    out_weights[kept++] = weights[i];
  }
  return {above.total() + rest.mass, count_above + rest.count, kept};
}

inline void nearness(const float* row, std::size_t count, float centre, float* keys, float* block_maxima) noexcept {
  const lanes c = splat(centre);
  const auto block_to = [&](const float* block, float* to) {
    lanes best = splat(no_logit);
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes x = load(block + v * lane_count);
      const lanes key = minimum(subtract(x, c), subtract(c, x));
      store(to + v * lane_count, key);
      best = maximum(key, best);
    }
    return greatest(best);
  };
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t place) {
    if (count - place >= logit_block) {
      block_maxima[place / logit_block] = block_to(block, keys + place);
    } else {
      padded_block last(block, logit_block, 0.0F);
      block_maxima[place / logit_block] = block_to(last.v, last.v);
      last.copy_to(keys + place, count - place);
    }
  });
}

[[nodiscard]] inline spread spread_around(const float* row, std::size_t count, float centre) noexcept {
  wide_sum sum;
  wide_sum squares;
  std::size_t found = 0;
  const lanes c = splat(centre);
  const lanes bar = splat(lowest_logit);
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t) {
    lanes d[block_vectors];
    lanes d2[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes x = load(block + v * lane_count);
      found += count_bits(bits_at_least(x, bar));
      d[v] = zero_below(subtract(x, c), x, lowest_logit);
      d2[v] = product(d[v], d[v]);
    }
    sum.include(d);
    squares.include(d2);
  });
  return {found, sum.total(), squares.total()};
}

#include <decant/kernels/law_kernels.inl>

[[nodiscard]] inline const vocabulary_kernels& vocabulary() noexcept {
  static constexpr vocabulary_kernels table{&largest,  &scan,          &find,       &count_at_least, &collect_blocks,
                                            &retain,   &lane_maxima,   &mass,       &rough_mass,     &mass_and_distance,
                                            &weigh,    &mass_at_least, &between,    &nearness,       &spread_around,
                                            &subtract, &sum_blocks,    &blend,      &add_selected,   &overlap,
                                            &settle,   &log_sum,       &divergence, &jensen_shannon, &ratios};
  return table;
}
