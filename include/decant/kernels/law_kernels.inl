// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops of vocabulary_table.hpp over one or two laws, of which verifiers are made; see vocabulary_kernels.inl,
// which includes this.

[[nodiscard]] inline double sum_blocks(const float* weights, std::size_t count, double* block_masses) noexcept {
  return sum_masses(count, block_masses, [&](std::size_t place, lanes(&w)[block_vectors]) {
    load_block(weights + place, count - place, 0.0F, w);
  });
}

/// Makes `combine(a, b)` of two rows, with masses as above; `out` may be null.
template <class Combine>
[[nodiscard]] inline double combine_rows(const float* a, const float* b, std::size_t count, float* out,
                                         double* block_masses, const Combine& combine) noexcept {
  return sum_masses(count, block_masses, [&](std::size_t place, lanes(&w)[block_vectors]) {
    lanes of_b[block_vectors];
    load_block(a + place, count - place, 0.0F, w);
    load_block(b + place, count - place, 0.0F, of_b);
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) w[v] = combine(w[v], of_b[v]);
    if (out != nullptr) store_block(w, out + place, count - place);
  });
}

[[nodiscard]] inline double subtract(const float* r, const float* q, std::size_t count, double scale, double factor,
                                     float* out, double* block_masses) noexcept {
  return combine_rows(r, q, count, out, block_masses,
                      [&](lanes x, lanes y) { return positive_difference(x, y, scale, factor); });
}

/// log x for positive normal x, within a unit in the last place (0.83 in 4 million tries); x = 2^e (1 + r), r between
/// sqrt(1/2) - 1 and sqrt(2) - 1. The polynomial is a minimax fit of (log(1 + r) - r + r^2 / 2) / r^3 in relative error
/// of the logarithm (0.1 units).
[[nodiscard]] inline lanes logarithm(lanes x) noexcept {
  const words bits = as_words(x);
  const lanes mantissa = as_lanes(unite(keep_bits(bits, 0x007FFFFFU), splat_word(0x3F800000U)));
  const lanes is_upper = zero_below(splat(1.0F), mantissa, 1.41421354F);
  const lanes e = add(subtract(to_floats(shift_right(bits, 23)), splat(127.0F)), is_upper);
  const lanes r = subtract(fma(mantissa, multiply(is_upper, splat(-0.5F)), mantissa), splat(1.0F));
  lanes p = fma(splat(-7.63449371e-2F), r, splat(1.27615750e-1F));
  p = fma(p, r, splat(-1.31601825e-1F));
  p = fma(p, r, splat(1.42017588e-1F));
  p = fma(p, r, splat(-1.66233569e-1F));
  p = fma(p, r, splat(2.00012267e-1F));
  p = fma(p, r, splat(-2.50008196e-1F));
  p = fma(p, r, splat(3.33333313e-1F));
  const lanes square = product(r, r);
  const lanes rest = fma(square, fma(p, r, splat(-0.5F)), product(e, splat(1.42860677e-6F)));
  return fma(e, splat(0.693145752F), add(r, rest));  // log 2 in two parts, of which the first has few bits
}

inline constexpr float smallest_normal = 1.17549435e-38F;
inline constexpr float smallest_subnormal = 1.40129846e-45F;

[[nodiscard]] inline double log_sum(const float* weights, std::size_t count, float scale, float shift) noexcept {
  wide_sum sum;
  const lanes s = splat(scale);
  const lanes c = splat(shift);
  for_each_block(weights, count, 0.0F, [&](const float* block, std::size_t) {
    lanes terms[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes w = load(block + v * lane_count);
      terms[v] = product(w, logarithm(maximum(fma(w, s, c), splat(smallest_normal))));
    }
    sum.include(terms);
  });
  return sum.total();
}

[[nodiscard]] inline double divergence(const float* p, const float* q, std::size_t count, float scale) noexcept {
  wide_sum sum;
  unsigned is_unbounded = 0;
  const lanes s = splat(scale);
  for_each_block(p, q, count, 0.0F, 1.0F, [&](const float* a, const float* b, std::size_t) {
    lanes terms[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes x = load(a + v * lane_count);
      const lanes y = load(b + v * lane_count);
      is_unbounded |= bits_at_least(splat(0.0F), y) & ~bits_at_least(splat(0.0F), x);
      const lanes ratio = divide(multiply(x, s), maximum(y, splat(smallest_normal)));
      terms[v] = product(x, logarithm(minimum(maximum(ratio, splat(smallest_normal)), splat(-lowest_logit))));
    }
    sum.include(terms);
  });
  return is_unbounded != 0 ? __builtin_huge_val() : sum.total();
}

[[nodiscard]] inline double jensen_shannon(const float* p, const float* q, std::size_t count, float scale_p,
                                           float scale_q) noexcept {
  wide_sum sum;
  const lanes a = splat(scale_p);
  const lanes b = splat(scale_q);
  const lanes tiny = splat(smallest_normal);
  for_each_block(p, q, count, 0.0F, 0.0F, [&](const float* of_p, const float* of_q, std::size_t) {
    lanes terms[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes x = product(load(of_p + v * lane_count), a);
      const lanes y = product(load(of_q + v * lane_count), b);
      const lanes to_mean = divide(splat(2.0F), maximum(add(x, y), tiny));
      const lanes of_x = product(x, logarithm(maximum(multiply(x, to_mean), tiny)));
      terms[v] = fma(y, logarithm(maximum(multiply(y, to_mean), tiny)), of_x);
    }
    sum.include(terms);
  });
  return 0.5 * sum.total();
}

[[nodiscard]] inline double overlap(const float* p, const float* q, std::size_t count, float scale) noexcept {
  wide_sum sum;
  const lanes s = splat(scale);
  for_each_block(p, q, count, 0.0F, 0.0F, [&](const float* a, const float* b, std::size_t) {
    lanes least[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      least[v] = minimum(product(load(a + v * lane_count), s), load(b + v * lane_count));
    }
    sum.include(least);
  });
  return sum.total();
}

[[nodiscard]] inline settled_masses settle(const float* p, const float* q, std::size_t count, float scale, float low,
                                           float high, float* out_p, float* out_q) noexcept {
  wide_sum by_p;
  wide_sum by_q;
  std::size_t kept = 0;
  const lanes zero = splat(0.0F);
  const auto block_to = [&](const float* a, const float* b) {
    lanes of_p[block_vectors];
    lanes of_q[block_vectors];
    alignas(64) float scaled[logit_block];
    // What is written lies before what is still to be read, even where the outputs are the inputs.
    alignas(64) float copied[logit_block];
    unsigned contested[block_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes x = load(a + v * lane_count);
      const lanes y = product(load(b + v * lane_count), splat(scale));
      const lanes over = fma(splat(-high), y, x);
      const lanes under = fma_minus(splat(low), y, x);
      of_q[v] = zero_below(y, over, 0.0F);
      of_p[v] = zero_below(x, under, 0.0F);
      contested[v] = ~(bits_at_least(over, zero) | bits_at_least(under, zero)) & every_lane;
      store(copied + v * lane_count, x);
      store(scaled + v * lane_count, y);
    }
    by_q.include(of_q);
    by_p.include(of_p);
    for (std::size_t v = 0; v < block_vectors; ++v) {
      put_selected(contested[v], copied + v * lane_count, out_p + kept);
      put_selected(contested[v], scaled + v * lane_count, out_q + kept);
      kept += count_bits(contested[v]);
    }
  };
  for_each_block(p, q, count, 0.0F, 0.0F, [&](const float* a, const float* b, std::size_t) { block_to(a, b); });
  return {by_p.total(), by_q.total(), kept};
}

[[nodiscard]] inline double blend(const float* p, const float* q, std::size_t count, const blend_rule& rule, float* out,
                                  double* block_masses) noexcept {
  return combine_rows(p, q, count, out, block_masses, [&](lanes x, lanes y) { return blended(x, y, rule); });
}

[[nodiscard]] inline double add_selected(const float* p, const float* q, const float* keys, std::size_t count,
                                         float scale_p, float scale_q, float threshold, float* out,
                                         double* block_masses) noexcept {
  const lanes a = splat(scale_p);
  const lanes b = splat(scale_q);
  const bool by_p = keys == p;
  return combine_rows(p, q, count, out, block_masses,
                      [&](lanes x, lanes y) { return fma(a, x, zero_below(product(b, y), by_p ? x : y, threshold)); });
}

inline void ratios(const float* p, const float* q, std::size_t count, float scale, float most, float* out) noexcept {
  const lanes s = splat(scale);
  const auto block_to = [&](const float* a, const float* b, float* to) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < block_vectors; ++v) {
      const lanes y = load(b + v * lane_count);
      const lanes ratio =
          minimum(divide(multiply(load(a + v * lane_count), s), maximum(y, splat(smallest_normal))), splat(most));
      // 0 where q is positive, else -1.
      const lanes absent = subtract(zero_below(splat(1.0F), y, smallest_subnormal), splat(1.0F));
      store(to + v * lane_count, add(zero_below(ratio, y, smallest_subnormal), absent));
    }
  };
  for_each_block(p, q, count, 0.0F, 0.0F, [&](const float* a, const float* b, std::size_t place) {
    if (count - place >= logit_block) return block_to(a, b, out + place);
    padded_block last(a, logit_block, 0.0F);
    block_to(a, b, last.v);
    last.copy_to(out + place, count - place);
  });
}
