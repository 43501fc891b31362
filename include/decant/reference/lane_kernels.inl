// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels written on `lanes`, included once per instruction set, inside that set's namespace and target region.
// Products that feed a sum are explicit fma and nothing else multiplies before it adds, so compilers have nothing to
// contract.

/// exp(x) with a relative error below 3e-7 on [-86.5, 88]; arguments outside are clamped.
[[nodiscard]] inline lanes exponential(lanes x) noexcept {
  constexpr float to_binary = 1.44269504088896341F;
  constexpr float round_magic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  x = maximum(splat(-86.5F), minimum(splat(88.0F), x));
  const lanes n = subtract(fma(x, splat(to_binary), splat(round_magic)), splat(round_magic));
  lanes r = fma(n, splat(-0.693359375F), x);
  r = fma(n, splat(2.12194440e-4F), r);
  lanes p = splat(1.9875691500e-4F);
  p = fma(p, r, splat(1.3981999507e-3F));
  p = fma(p, r, splat(8.3334519073e-3F));
  p = fma(p, r, splat(4.1665795894e-2F));
  p = fma(p, r, splat(1.6666665459e-1F));
  p = fma(p, r, splat(5.0000001201e-1F));
  const lanes e = add(fma(p, multiply(r, r), r), splat(1.0F));
  return scale_exponent(e, n);
}

inline void quantise(const float* x, std::size_t blocks, std::int8_t* codes, float* scales, float* sums) noexcept {
  for (std::size_t b = 0; b < blocks; ++b) quantise_block(x + 32 * b, codes + 32 * b, scales[b], sums[b]);
}

inline void rms_norm(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                     float* out) noexcept {
  const double mean = sum_of_squares(x, padded) / static_cast<double>(count);
  const lanes inverse = splat(static_cast<float>(1.0 / __builtin_sqrt(mean + static_cast<double>(epsilon))));
  for (std::size_t i = 0; i < padded; i += lane_count) {
    store(out + i, multiply(multiply(load(x + i), inverse), load(weight + i)));
  }
}

inline void silu_multiply(float* gate, const float* up, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes z = load(gate + i);
    const lanes denominator = add(exponential(subtract(splat(0.0F), z)), splat(1.0F));
    store(gate + i, multiply(divide(z, denominator), load(up + i)));
  }
}

inline float soft_max(float* scores, std::size_t count) noexcept {
  constexpr float lowest = -__builtin_huge_valf();
  for (std::size_t i = count; i % lane_count != 0; ++i) scores[i] = lowest;
  lanes best = splat(lowest);
  for (std::size_t i = 0; i < count; i += lane_count) best = maximum(load(scores + i), best);
  const lanes top = splat(greatest(best));
  lanes total = splat(0.0F);
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes x = subtract(load(scores + i), top);
    const lanes e = zero_below(exponential(x), x, -86.5F);
    store(scores + i, e);
    total = add(total, e);
  }
  return 1.0F / sum(total);
}

inline void to_half(const float* x, std::size_t count, std::uint16_t* halves) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    store(halves + i, minimum(splat(65504.0F), maximum(splat(-65504.0F), load(x + i))));
  }
}

template <std::size_t Rows, class Element>
inline void score_rows(const score_call<Element>& call) noexcept {
  for (std::size_t b = 0; b < call.blocks; ++b) {
    const Element* keys = call.keys + b * call.dimension * key_block;
    lanes low[Rows];
    lanes high[Rows];
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) low[r] = high[r] = splat(0.0F);
    for (std::size_t d = 0; d < call.dimension; ++d) {
      const lanes k_low = load(keys + d * key_block);
      const lanes k_high = load(keys + d * key_block + lane_count);
      DECANT_UNROLL
      for (std::size_t r = 0; r < Rows; ++r) {
        const lanes q = splat(call.queries[r][d]);
        low[r] = fma(q, k_low, low[r]);
        high[r] = fma(q, k_high, high[r]);
      }
    }
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      store(call.out + r * call.out_stride + b * key_block, low[r]);
      store(call.out + r * call.out_stride + b * key_block + lane_count, high[r]);
    }
  }
}

template <std::size_t Rows, class Element>
inline void mix_rows(const mix_call<Element>& call) noexcept {
  constexpr std::size_t tile = 2 * lane_count;
  constexpr std::size_t run = 128;  // values that stay in the first-level cache while all dimensions pass over them
  for (std::size_t first = 0; first < call.count; first += run) {
    const std::size_t last = call.count - first < run ? call.count : first + run;
    for (std::size_t d = 0; d < call.dimension; d += tile) {
      lanes low[Rows];
      lanes high[Rows];
      DECANT_UNROLL
      for (std::size_t r = 0; r < Rows; ++r) {
        low[r] = load(call.sums + r * call.dimension + d);
        high[r] = load(call.sums + r * call.dimension + d + lane_count);
      }
      for (std::size_t t = first; t < last; ++t) {
        const lanes v_low = load(call.values + t * call.dimension + d);
        const lanes v_high = load(call.values + t * call.dimension + d + lane_count);
        DECANT_UNROLL
        for (std::size_t r = 0; r < Rows; ++r) {
          const lanes w = splat(call.weights[r * call.weight_stride + t]);
          low[r] = fma(w, v_low, low[r]);
          high[r] = fma(w, v_high, high[r]);
        }
      }
      DECANT_UNROLL
      for (std::size_t r = 0; r < Rows; ++r) {
        store(call.sums + r * call.dimension + d, low[r]);
        store(call.sums + r * call.dimension + d + lane_count, high[r]);
      }
    }
  }
}

template <class Element>
inline void score(const score_call<Element>& call) noexcept {
  switch (call.rows) {
    case 1: return score_rows<1>(call);
    case 2: return score_rows<2>(call);
    case 3: return score_rows<3>(call);
    case 4: return score_rows<4>(call);
    case 5: return score_rows<5>(call);
    default: return score_rows<attention_rows>(call);
  }
}

template <class Element>
inline void mix(const mix_call<Element>& call) noexcept {
  switch (call.rows) {
    case 1: return mix_rows<1>(call);
    case 2: return mix_rows<2>(call);
    case 3: return mix_rows<3>(call);
    case 4: return mix_rows<4>(call);
    case 5: return mix_rows<5>(call);
    default: return mix_rows<attention_rows>(call);
  }
}

/// Stores or adds a half group of eight results.
inline void put(const product_call& call, std::size_t column, std::size_t row, lanes value) noexcept {
  float* to = call.out + column * call.out_stride + row;
  store(to, call.accumulate ? add(load(to), value) : value);
}

/// Float rows: four partial sums over k mod 4, joined as (0 + 1) + (2 + 3). A group is [k][16].
template <std::size_t Columns>
inline void f32_half_group(const product_call& call, const float* weights, std::size_t row,
                           std::size_t column) noexcept {
  lanes part[Columns][4];
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) {
    DECANT_UNROLL
    for (std::size_t j = 0; j < 4; ++j) part[c][j] = splat(0.0F);
  }
  const float* x = call.input.values + column * call.input.stride;
  const std::size_t whole = call.length / 4 * 4;
  for (std::size_t k = 0; k < whole; k += 4) {
    DECANT_UNROLL
    for (std::size_t j = 0; j < 4; ++j) {
      const lanes w = load(weights + (k + j) * group_rows);
      DECANT_UNROLL
      for (std::size_t c = 0; c < Columns; ++c) {
        part[c][j] = fma(w, splat(x[c * call.input.stride + k + j]), part[c][j]);
      }
    }
  }
  for (std::size_t j = 0; whole + j < call.length; ++j) {
    const lanes w = load(weights + (whole + j) * group_rows);
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      part[c][j] = fma(w, splat(x[c * call.input.stride + whole + j]), part[c][j]);
    }
  }
  DECANT_UNROLL
  for (std::size_t c = 0; c < Columns; ++c) {
    put(call, column + c, row, add(add(part[c][0], part[c][1]), add(part[c][2], part[c][3])));
  }
}

inline void product_f32(const product_call& call) noexcept {
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    const auto* weights = reinterpret_cast<const float*>(call.weights + g * call.group_bytes);
    for (std::size_t half = 0; half < group_rows; half += lane_count) {
      std::size_t column = 0;
      for (; column + 2 <= call.columns; column += 2) {
        f32_half_group<2>(call, weights + half, g * group_rows + half, column);
      }
      if (column < call.columns) f32_half_group<1>(call, weights + half, g * group_rows + half, column);
    }
  }
}
