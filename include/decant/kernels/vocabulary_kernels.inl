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

[[nodiscard]] inline lanes maximum_of_block(const float* block) noexcept {
  lanes best = splat(no_logit);
  DECANT_UNROLL
  for (std::size_t v = 0; v < block_vectors; ++v) best = maximum(load(block + v * lane_count), best);
  return best;
}

[[nodiscard]] inline float largest(const float* row, std::size_t count) noexcept {
  lanes even = splat(no_logit);
  lanes odd = splat(no_logit);
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; v += 2) {
      even = maximum(load(block + v * lane_count), even);
      odd = maximum(load(block + (v + 1) * lane_count), odd);
    }
  });
  return greatest(maximum(even, odd));
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
    // Hardware alone does not fetch far enough ahead for a loop with so much to do besides.
    if (place + 16 * logit_block <= count) {
      DECANT_UNROLL
      for (std::size_t line = 0; line < 16; ++line) __builtin_prefetch(row + place + 12 * logit_block + 16 * line);
    }
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
  for (; i < count; ++i) found += row[i] >= threshold ? 1 : 0;
  return found;
}

[[nodiscard]] inline std::size_t collect(const float* row, std::size_t count, float threshold, std::int32_t first,
                                         std::int32_t* ids, float* values) noexcept {
  std::size_t found = 0;
  std::size_t i = 0;
  const lanes bar = splat(threshold);
  for (; i + lane_count <= count; i += lane_count) {
    const unsigned bits = bits_at_least(load(row + i), bar);  // a branch on none would be mispredicted
    put_selected(bits, row + i, values + found);
    put_selected_ids(bits, first + static_cast<std::int32_t>(i), ids + found);
    found += count_bits(bits);
  }
  for (; i < count; ++i) {
    if (!(row[i] >= threshold)) continue;
    ids[found] = first + static_cast<std::int32_t>(i);
    values[found++] = row[i];
  }
  return found;
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

  lanes top, floor, hi, lo, magic_less_power, shift;

  explicit weight_lanes(const weight_rule& rule) noexcept
      : top(splat(rule.top)),
        floor(splat(rule.floor)),
        hi(splat(rule.hi)),
        lo(splat(rule.lo)),
        magic_less_power(splat(magic - rule.power)),
        shift(splat(rule.shift)) {}

  /// The exponent splits into sixteenths, for which there is a table of powers, and a rest f of at most 1/32 of which
  /// three terms of the series are enough: half as many operations as a polynomial over [-1/2, 1/2].
  [[nodiscard]] lanes of(lanes logit) const noexcept {
    const lanes l = maximum(floor, logit);
    const lanes rounded = add(fma_minus(l, hi, shift), magic_less_power);
    const lanes f = subtract(fma(l, lo, fma_minus(l, hi, subtract(rounded, magic_less_power))), shift);
    lanes p = fma(splat(5.55041087e-2F), f, splat(2.40226507e-1F));
    p = fma(p, f, splat(6.93147181e-1F));
    const lanes t = look_up(powers_of_sixteenths, rounded);
    const lanes rest = fma(multiply(t, f), p, look_up(rests_of_sixteenths, rounded));
    return times_power_of_2(add(t, rest), subtract(rounded, splat(magic)));
  }
};

[[nodiscard]] inline double mass(const float* row, std::size_t count, const weight_rule& rule) noexcept {
  const weight_lanes weights(rule);
  wide_sum sum;
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t) {
    lanes w[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) w[v] = weights.of(load(block + v * lane_count));
    sum.include(w);
  });
  return sum.total();
}

[[nodiscard]] inline weight_sums mass_and_distance(const float* row, std::size_t count,
                                                   const weight_rule& rule) noexcept {
  const weight_lanes weights(rule);
  wide_sum sum;
  wide_sum distances;
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t) {
    lanes w[block_vectors];
    lanes far[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes logit = load(block + v * lane_count);
      w[v] = weights.of(logit);
      far[v] = product(w[v], subtract(weights.top, maximum(weights.floor, logit)));
    }
    sum.include(w);
    distances.include(far);
  });
  return {sum.total(), distances.total()};
}

/// The mass of one block of a law after the other, written down unless `masses` is null.
class mass_blocks {
 public:
  explicit mass_blocks(double* masses) noexcept : masses_(masses) {}

  void include(const lanes (&weights)[block_vectors]) noexcept { block_.include(weights); }
  /// After the 64 weights from `place` on.
  void end_block(std::size_t place) noexcept {
    if ((place + logit_block) % mass_block == 0) close(place / mass_block);
  }
  [[nodiscard]] double total(std::size_t count) noexcept {
    const std::size_t covered = (count + logit_block - 1) / logit_block * logit_block;
    if (covered % mass_block != 0) close(count / mass_block);
    return total_;
  }

 private:
  void close(std::size_t block) noexcept {
    const double mass = block_.total();
    if (masses_ != nullptr) masses_[block] = mass;
    total_ += mass;
    block_ = wide_sum();
  }

  wide_sum block_;
  double* masses_;
  double total_ = 0;
};

[[nodiscard]] inline double weigh(const float* row, std::size_t count, const weight_rule& rule, float* out,
                                  double* block_masses) noexcept {
  const weight_lanes weights(rule);
  mass_blocks masses(block_masses);
  const auto block_to = [&](const float* block, float* to) {
    lanes w[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      w[v] = weights.of(load(block + v * lane_count));
      store(to + v * lane_count, w[v]);
    }
    masses.include(w);
  };
  for_each_block(row, count, no_logit, [&](const float* block, std::size_t place) {
    if (count - place >= logit_block) {
      block_to(block, out + place);
    } else {
      padded_block last(block, logit_block, 0.0F);
      block_to(last.v, last.v);
      last.copy_to(out + place, count - place);
    }
    masses.end_block(place);
  });
  return masses.total(count);
}

[[nodiscard]] inline double sum_blocks(const float* weights, std::size_t count, double* block_masses) noexcept {
  mass_blocks masses(block_masses);
  for_each_block(weights, count, 0.0F, [&](const float* block, std::size_t place) {
    lanes w[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) w[v] = load(block + v * lane_count);
    masses.include(w);
    masses.end_block(place);
  });
  return masses.total(count);
}

[[nodiscard]] inline double subtract(const float* r, const float* q, std::size_t count, double scale, double factor,
                                     float* out, double* block_masses) noexcept {
  mass_blocks masses(block_masses);
  const auto block_to = [&](const float* a, const float* b, float* to) {
    lanes w[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      w[v] = positive_difference(load(a + v * lane_count), load(b + v * lane_count), scale, factor);
      store(to + v * lane_count, w[v]);
    }
    masses.include(w);
  };
  for_each_block(r, q, count, 0.0F, 0.0F, [&](const float* a, const float* b, std::size_t place) {
    if (count - place >= logit_block) {
      block_to(a, b, out + place);
    } else {
      padded_block last(a, logit_block, 0.0F);
      block_to(a, b, last.v);
      last.copy_to(out + place, count - place);
    }
    masses.end_block(place);
  });
  return masses.total(count);
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
      put_selected(bits, keys + at, out_keys + kept);
      put_selected(bits, weights + at, out_weights + kept);
      if (ids == nullptr) {
        put_selected_ids(bits, static_cast<std::int32_t>(at), out_ids + kept);
      } else {
        put_selected(bits, ids + at, out_ids + kept);
      }
      kept += count_bits(bits);
    }
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

[[nodiscard]] inline const vocabulary_kernels& vocabulary() noexcept {
  static constexpr vocabulary_kernels table{
      &largest, &scan,          &find,    &count_at_least, &collect,       &lane_maxima, &mass,      &mass_and_distance,
      &weigh,   &mass_at_least, &between, &nearness,       &spread_around, &subtract,    &sum_blocks};
  return table;
}
