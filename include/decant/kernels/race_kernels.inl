// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of race_table.hpp, written on lanes and included once per instruction set, inside that set's namespace and
// target region, after its vocabulary kernels.

/// Philox blocks of a race in lanes, one per pair of tokens. Words of a counter lie in the lower halves of 64-bit
/// lanes; what is in the upper ones does not matter, since products take the lower ones only.
class race_blocks {
 public:
  explicit race_blocks(const race_noise& noise) noexcept : numbers_from_(noise.counter[1] + 1) {
    std::uint32_t keys[2] = {static_cast<std::uint32_t>(noise.key), static_cast<std::uint32_t>(noise.key >> 32)};
    const auto next_keys = [&keys] {
      keys[0] += philox_key_steps[0];
      keys[1] += philox_key_steps[1];
    };
    // Counters differ in one word, which is alone in the first product it is part of: half of the first three rounds
    // is the same for all blocks.
    const word_product a1 = product_of(noise.counter[0], 0);
    const word_product b1 = product_of(noise.counter[2], 1);
    const std::uint32_t c2 = a1.high ^ noise.counter[3] ^ keys[1];
    first_ = splat_pairs(b1.high ^ keys[0]);
    next_keys();
    const word_product b2 = product_of(c2, 1);
    const std::uint32_t c0 = b2.high ^ b1.low ^ keys[0];
    second_ = splat_pairs(a1.low ^ keys[1]);
    next_keys();
    const word_product a3 = product_of(c0, 0);
    third_[0] = splat_pairs(b2.low ^ keys[0]);
    third_[1] = splat_pairs(a3.high ^ keys[1]);
    third_[2] = splat_pairs(a3.low);
    for (auto& round : later_) {
      next_keys();
      for (std::size_t i = 0; i < 2; ++i) round[i] = splat_pairs(keys[i]);
    }
    // The last keys give the complements of the words.
    for (std::size_t i = 0; i < 2; ++i) later_[late_rounds - 1][i] = splat_pairs(~keys[i]);
  }

  /// The complements of the high words of the tokens `first`, `first` + 1, ..., where `first` is even.
  void high_complements(std::int32_t first, words (&to)[race_width]) const noexcept {
    pairs even[race_width];
    pairs odd[race_width];
    DECANT_UNROLL
    for (std::size_t i = 0; i < race_width; ++i) {
      const auto block = static_cast<std::uint32_t>(first) / 2 + static_cast<std::uint32_t>(i * lane_count / 2);
      even[i] = pairs_from(numbers_from_ + block);
    }
    draw(even, odd);
    DECANT_UNROLL
    for (std::size_t i = 0; i < race_width; ++i) to[i] = lower_words(even[i], odd[i]);
  }
  /// As above, of any tokens. Takes a block for each of them.
  void high_complements(const std::int32_t* ids, words (&to)[race_width]) const noexcept {
    const pairs numbers_from = splat_pairs(numbers_from_);
    pairs drawn[2][race_width];
    DECANT_UNROLL
    for (std::size_t place = 0; place < 2; ++place) {
      pairs tokens[race_width];
      pairs odd[race_width];
      DECANT_UNROLL
      for (std::size_t i = 0; i < race_width; ++i) {
        const pairs both = load_pairs(ids + i * lane_count);
        tokens[i] = place == 0 ? both : upper_words(both);
        drawn[place][i] = add_halves(numbers_from, tokens[i]);
      }
      draw(drawn[place], odd);
      DECANT_UNROLL
      for (std::size_t i = 0; i < race_width; ++i) {
        drawn[place][i] = choose_by_parity(tokens[i], drawn[place][i], odd[i]);
      }
    }
    DECANT_UNROLL
    for (std::size_t i = 0; i < race_width; ++i) to[i] = lower_words(drawn[0][i], drawn[1][i]);
  }

 private:
  /// Turns the second words of counters into the complements of the high words of both tokens of each.
  [[gnu::always_inline]] inline void draw(pairs (&even)[race_width], pairs (&odd)[race_width]) const noexcept {
    const pairs multiplier0 = splat_pairs(philox_multipliers[0]);
    const pairs multiplier1 = splat_pairs(philox_multipliers[1]);
    pairs c1[race_width];
    pairs c3[race_width];
    DECANT_UNROLL
    for (std::size_t i = 0; i < race_width; ++i) {
      const pairs a2 = wide_products(exclusive_or(even[i], first_), multiplier0);
      const pairs b3 = wide_products(exclusive_or(upper_words(a2), second_), multiplier1);
      even[i] = exclusive_or(upper_words(b3), third_[0]);
      c1[i] = b3;
      odd[i] = exclusive_or(a2, third_[1]);
      c3[i] = third_[2];
    }
    DECANT_UNROLL
    for (std::size_t round = 0; round < late_rounds; ++round) {
      DECANT_UNROLL
      for (std::size_t i = 0; i < race_width; ++i) {
        const pairs a = wide_products(even[i], multiplier0);
        const pairs b = wide_products(odd[i], multiplier1);
        even[i] = exclusive_or(upper_words(b), c1[i], later_[round][0]);
        c1[i] = b;
        odd[i] = exclusive_or(upper_words(a), c3[i], later_[round][1]);
        c3[i] = a;
      }
    }
  }

  static constexpr std::size_t late_rounds = philox_rounds - 3;

  struct word_product {
    std::uint32_t high;
    std::uint32_t low;
  };
  [[nodiscard]] static word_product product_of(std::uint32_t word, std::size_t multiplier) noexcept {
    const std::uint64_t product = std::uint64_t{philox_multipliers[multiplier]} * word;
    return {static_cast<std::uint32_t>(product >> 32), static_cast<std::uint32_t>(product)};
  }

  std::uint32_t numbers_from_;  // the second word of tokens 0 and 1
  pairs first_;                 // what the first round adds to the words that differ
  pairs second_;                // likewise
  pairs third_[3];              // likewise for words 0 and 2; word 3
  pairs later_[late_rounds][2];
};

/// A deadline in units of 2^-24, rounded up by more than the comparison rounds down. One that floats do not hold is
/// infinite: it is long after all usual arrivals.
[[nodiscard]] inline float race_bar(double deadline) noexcept {
  if (!(deadline < 0x1p100)) return __builtin_huge_valf();
  const double bar = deadline * (0x1p24 + 0x1p4);
  return bar > 0x1p-126 ? static_cast<float>(bar) : 0x1p-126F;
}

[[nodiscard]] inline std::size_t contenders(const race_noise& noise, const std::int32_t* ids, std::int32_t first,
                                            const float* weights, std::size_t count, double deadline,
                                            std::int32_t* found) noexcept {
  const race_blocks blocks(noise);
  const lanes bar = splat(race_bar(deadline));
  const std::int32_t* const start = found;
  constexpr std::size_t step = race_width * lane_count;
  const std::size_t whole = count / step * step;
  for (std::size_t place = 0; place < whole; place += step) {
    const std::int32_t entry = first + static_cast<std::int32_t>(place);
    words complements[race_width];
    if (ids == nullptr) {
      blocks.high_complements(entry, complements);
    } else {
      blocks.high_complements(ids + place, complements);
    }
    DECANT_UNROLL
    for (std::size_t i = 0; i < race_width; ++i) {
      // 24 bits of 1 - u, cut off and so exact: at most -log(u).
      const lanes least = to_floats(shift_right(complements[i], 8));
      const unsigned bits = bits_at_least(multiply(load(weights + place + i * lane_count), bar), least);
      if (bits == 0) continue;
      put_selected_ids(bits, entry + static_cast<std::int32_t>(i * lane_count), found);
      found += count_bits(bits);
    }
  }
  if (whole < count) {
    float last[step];
    std::int32_t last_ids[step] = {};
    for (std::size_t i = 0; i < step; i += lane_count) store(last + i, splat(__builtin_nanf("")));  // reaches nothing
    for (std::size_t i = whole; i < count; ++i) last[i - whole] = weights[i];
    for (std::size_t i = whole; i < count && ids != nullptr; ++i) last_ids[i - whole] = ids[i];
    found += contenders(noise, ids == nullptr ? nullptr : last_ids, first + static_cast<std::int32_t>(whole), last,
                        step, deadline, found);
  }
  return static_cast<std::size_t>(found - start);
}

inline void logarithms(double* x, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) x[i] = natural_logarithm(x[i]);
}

[[nodiscard]] inline const race_kernels& race() noexcept {
  static constexpr race_kernels table{&contenders, &logarithms};
  return table;
}
