// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention kernels written on `lanes`, included by lane_kernels.inl once per instruction set.

/// Weights of a run of keys; `scores` has room for the next multiple of `lane_count`.
inline attention_mass weigh(float* scores, std::size_t count) noexcept {
  constexpr float lowest = -__builtin_huge_valf();
  for (std::size_t i = count; i % lane_count != 0; ++i) scores[i] = lowest;
  lanes best = splat(lowest);
  for (std::size_t i = 0; i < count; i += lane_count) best = maximum(load(scores + i), best);
  // Where all is banned, any finite number serves: -infinity minus itself would be NaN.
  const float greatest_score = greatest(best);
  const lanes top = splat(greatest_score == lowest ? 0.0F : greatest_score);
  lane_sum total;
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes x = subtract(load(scores + i), top);
    const lanes e = zero_below(exponential(x), x, -86.5F);
    store(scores + i, e);
    total.include(e);
  }
  return {greatest_score, total.total()};
}

inline float soft_max(float* scores, std::size_t count) noexcept { return 1.0F / weigh(scores, count).total; }

inline void cap(float* scores, std::size_t count, float limit) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes x = divide(load(scores + i), splat(limit));
    const lanes e = exponential(add(x, x));
    const lanes tanh = subtract(splat(1.0F), divide(splat(2.0F), add(e, splat(1.0F))));
    store(scores + i, multiply(splat(limit), tanh));
  }
}

inline void probabilities(float* scores, std::size_t count, float greatest_score, float factor) noexcept {
  for (std::size_t i = 0; i < count; i += lane_count) {
    float x[lane_count] = {};
    const std::size_t there = count - i < lane_count ? count - i : lane_count;
    __builtin_memcpy(x, scores + i, there * sizeof(float));
    const lanes difference = subtract(load(x), splat(greatest_score));
    store(x, multiply(zero_below(exponential(difference), difference, -86.5F), splat(factor)));
    __builtin_memcpy(scores + i, x, there * sizeof(float));
  }
}

/// exp(m - top), 0 for m = -infinity.
[[nodiscard]] inline lanes decay(float m, float top) noexcept {
  const lanes x = splat(m - top);
  return zero_below(exponential(x), x, -86.5F);
}

inline void merge(attention_mass& into, float* into_sums, const attention_mass& from, const float* from_sums,
                  std::size_t width) noexcept {
  if (from.total == 0) return;
  const bool is_first = into.total == 0;
  const float top = !is_first && into.greatest > from.greatest ? into.greatest : from.greatest;
  const lanes keep = is_first ? splat(0.0F) : decay(into.greatest, top);
  const lanes take = decay(from.greatest, top);
  float total[lane_count];
  store(total, fma(take, splat(from.total), multiply(keep, splat(into.total))));
  into = {top, total[0]};
  for (std::size_t d = 0; d < width; d += lane_count) {
    store(into_sums + d, fma(take, load(from_sums + d), multiply(keep, load(into_sums + d))));
  }
}

/// Vectors of lanes that cover a block of keys.
inline constexpr std::size_t tile_vectors = key_block / lane_count;
/// Chains that fit the registers beside what they are fed with: more of them hide the latency of a multiply-add.
inline constexpr std::size_t most_chains = lane_count == 16 ? 24 : 12;

/// How many tiles of `tile` vectors `Rows` rows take at a time: a power of two.
template <std::size_t Rows, std::size_t Tile, std::size_t Most>
[[nodiscard]] constexpr std::size_t tiles_at_once() noexcept {
  std::size_t tiles = 1;
  while (2 * tiles <= Most && 2 * tiles * Tile * Rows <= most_chains) tiles *= 2;
  return tiles;
}

/// Calls `call.template operator()<Rows>()` for a number of rows that is known at run time.
template <class Call>
inline void with_rows(std::size_t rows, const Call& call) noexcept {
  switch (rows) {
    case 1: return call.template operator()<1>();
    case 2: return call.template operator()<2>();
    case 3: return call.template operator()<3>();
    case 4: return call.template operator()<4>();
    case 5: return call.template operator()<5>();
    default: return call.template operator()<attention_rows>();
  }
}

template <std::size_t Rows, std::size_t Vectors>
struct attention_sums {
  lanes sum[Rows][Vectors];

  void clear() noexcept {
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      DECANT_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = splat(0.0F);
    }
  }
  void get_all(const float* from, std::size_t stride) noexcept {
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      DECANT_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = load(from + r * stride + v * lane_count);
    }
  }
  /// Adds weight_of(row) * value.
  template <class Weight>
  void add_products(const lanes (&value)[Vectors], const Weight& weight_of) noexcept {
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      const lanes weight = splat(weight_of(r));
      DECANT_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) sum[r][v] = fma(weight, value[v], sum[r][v]);
    }
  }
  void put_all(float* to, std::size_t stride) const noexcept {
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) {
      DECANT_UNROLL
      for (std::size_t v = 0; v < Vectors; ++v) store(to + r * stride + v * lane_count, sum[r][v]);
    }
  }
};

/// Asks for the upcoming rows of a call, spread over its steps.
class row_requests {
 public:
  row_requests(const upcoming_rows& rows, std::size_t steps) noexcept : rows_(rows), steps_(steps) {}

  void make(std::size_t steps) noexcept {
    for (due_ += rows_.count * steps; due_ >= steps_; due_ -= steps_) {
      for (std::size_t at = 0; at < rows_.bytes; at += 64) __builtin_prefetch(rows_.first + at);
      rows_.first += rows_.stride;
    }
  }

 private:
  upcoming_rows rows_;
  std::size_t steps_;
  std::size_t due_ = 0;
};

// --- keys in blocks: [block][dimension][16] ---

template <std::size_t Rows, std::size_t Blocks, class Element>
inline void score_blocks(const score_call<Element>& call, std::size_t b, row_requests& requests) noexcept {
  const std::size_t block = call.dimension * key_block;
  const Element* keys = call.keys + b * block;
  attention_sums<Rows, Blocks * tile_vectors> sums;
  sums.clear();
  for (std::size_t d = 0; d < call.dimension; ++d) {
    requests.make(Blocks);
    lanes key[Blocks * tile_vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < Blocks * tile_vectors; ++v) {
      key[v] = load(keys + v / tile_vectors * block + d * key_block + v % tile_vectors * lane_count);
    }
    sums.add_products(key, [&](std::size_t r) { return call.queries[r][d]; });
  }
  sums.put_all(call.out + b * key_block, call.out_stride);
}

template <class Element>
inline void score(const score_call<Element>& call) noexcept {
  with_rows(call.rows, [&]<std::size_t Rows>() {
    constexpr std::size_t at_once = tiles_at_once<Rows, tile_vectors, 4>();
    row_requests requests(call.upcoming, call.blocks * call.dimension);
    std::size_t b = 0;
    for (; b + at_once <= call.blocks; b += at_once) score_blocks<Rows, at_once>(call, b, requests);
    for (; b < call.blocks; ++b) score_blocks<Rows, 1>(call, b, requests);
  });
}

// --- keys one after the other ---

[[nodiscard]] inline lanes load_part(const float* from) noexcept { return load(from); }
[[nodiscard]] inline lanes load_part(const std::uint16_t* from) noexcept { return load(from); }
[[nodiscard]] inline lanes load_part(const std::int8_t* from) noexcept {
  return as_lanes(load_words(reinterpret_cast<const std::uint8_t*>(from)));
}

/// Elements of a key that are turned at a time.
template <class Element>
inline constexpr std::size_t square_width = sizeof(Element) == 1 ? 4 * lane_count : lane_count;

/// `lane_count` keys from `first_key` on, turned: square[i] holds element first + i, or the codes from first + 4i on,
/// of each. Keys behind the last are the last one again, elements behind the dimension zeros; neither is read.
template <class Element>
inline void load_square(const key_rows<Element>& from, std::size_t first_key, std::size_t first,
                        lanes (&square)[lane_count]) noexcept {
  constexpr std::size_t width = square_width<Element>;
  const auto key = [&](std::size_t i) {
    const std::size_t t = first_key + i < from.count ? first_key + i : from.count - 1;
    return from.keys + t * from.stride + first;
  };
  if (from.dimension - first >= width) {
    DECANT_UNROLL
    for (std::size_t i = 0; i < lane_count; ++i) square[i] = load_part(key(i));
  } else {
    for (std::size_t i = 0; i < lane_count; ++i) {
      Element padded[width] = {};
      __builtin_memcpy(padded, key(i), (from.dimension - first) * sizeof(Element));
      square[i] = load_part(padded);
    }
  }
  transpose(square);
}

/// Adds the products of a square of keys with elements [first, first + lane_count) of the queries.
template <std::size_t Rows>
inline void add_square(const attention_query* queries, std::size_t first, std::size_t dimension,
                       const lanes (&square)[lane_count], lanes (&sum)[Rows]) noexcept {
  const auto add = [&](std::size_t i) {
    DECANT_UNROLL
    for (std::size_t r = 0; r < Rows; ++r) sum[r] = fma(splat(queries[r].values[first + i]), square[i], sum[r]);
  };
  if (dimension - first >= lane_count) {
    DECANT_UNROLL
    for (std::size_t i = 0; i < lane_count; ++i) add(i);
  } else {
    for (std::size_t i = 0; i < dimension - first; ++i) add(i);
  }
}

template <std::size_t Rows, class Element>
inline void score_in_place(const row_score_call<Element>& call, std::size_t first_key,
                           row_requests& requests) noexcept {
  lanes sum[Rows];
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) sum[r] = splat(0.0F);
  for (std::size_t first = 0; first < call.keys.dimension; first += lane_count) {
    requests.make(1);
    lanes square[lane_count];
    load_square(call.keys, first_key, first, square);
    add_square(call.queries, first, call.keys.dimension, square, sum);
  }
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) store(call.out + r * call.out_stride + first_key, sum[r]);
}

/// Four codes of a query.
[[nodiscard]] inline words query_codes(const attention_query& query, std::size_t word) noexcept {
  std::uint32_t bits;
  __builtin_memcpy(&bits, query.codes + 4 * word, sizeof bits);
  return splat_word(bits);
}

/// Puts or adds integer products with their scales.
inline void put_products(const words& products, float query_scale, const lanes& key_scales, bool accumulate,
                         float* out) noexcept {
  const lanes scores = multiply(to_floats(products), splat(query_scale));
  store(out, accumulate ? fma(scores, key_scales, load(out)) : multiply(scores, key_scales));
}

/// The scales of `lane_count` keys, the last one's behind the end.
[[nodiscard]] inline lanes scales_of(const key_rows<std::int8_t>& keys, std::size_t first_key) noexcept {
  float scales[lane_count];
  for (std::size_t i = 0; i < lane_count; ++i) {
    const std::size_t t = first_key + i < keys.count ? first_key + i : keys.count - 1;
    scales[i] = keys.scales[t * keys.scale_stride];
  }
  return load(scales);
}

template <std::size_t Rows>
inline void score_in_place(const row_score_call<std::int8_t>& call, std::size_t first_key,
                           row_requests& requests) noexcept {
  words sum[Rows];
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) sum[r] = signed_products_start(call.queries[r].code_sum);
  for (std::size_t first = 0; first < call.keys.dimension; first += 4 * lane_count) {
    requests.make(1);
    lanes square[lane_count];
    load_square(call.keys, first_key, first, square);
    DECANT_UNROLL
    for (std::size_t i = 0; i < lane_count; ++i) {
      DECANT_UNROLL
      for (std::size_t r = 0; r < Rows; ++r) {
        sum[r] = add_signed_products(sum[r], as_words(square[i]), query_codes(call.queries[r], first / 4 + i));
      }
    }
  }
  const lanes scales = scales_of(call.keys, first_key);
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    float* out = call.out + r * call.out_stride + first_key;
    put_products(sum[r], call.queries[r].scale, scales, call.accumulate, out);
  }
}

template <class Element>
inline void score_rows(const row_score_call<Element>& call) noexcept {
  with_rows(call.rows, [&]<std::size_t Rows>() {
    constexpr std::size_t width = square_width<Element>;
    const std::size_t across = (call.keys.dimension + width - 1) / width;
    row_requests requests(call.upcoming, (call.keys.count + lane_count - 1) / lane_count * across);
    for (std::size_t t = 0; t < call.keys.count; t += lane_count) score_in_place<Rows>(call, t, requests);
  });
}

template <class Element>
inline void pack_floats(const key_rows<Element>& keys, float* out) noexcept {
  for (std::size_t t = 0; t < keys.count; t += lane_count) {
    float* block = out + t / key_block * key_block * keys.dimension + t % key_block;
    for (std::size_t first = 0; first < keys.dimension; first += lane_count) {
      lanes square[lane_count];
      load_square(keys, t, first, square);
      const std::size_t there = keys.dimension - first < lane_count ? keys.dimension - first : lane_count;
      for (std::size_t i = 0; i < there; ++i) store(block + (first + i) * key_block, square[i]);
    }
  }
}

inline void pack_codes(const key_rows<std::int8_t>& keys, code_word* out) noexcept {
  const std::size_t key_words = (keys.dimension + 3) / 4;
  auto* floats = reinterpret_cast<float*>(out);  // only moved, never computed with
  for (std::size_t t = 0; t < keys.count; t += lane_count) {
    float* block = floats + t / key_block * key_block * key_words + t % key_block;
    for (std::size_t first = 0; first < key_words; first += lane_count) {
      lanes square[lane_count];
      load_square(keys, t, 4 * first, square);
      const std::size_t there = key_words - first < lane_count ? key_words - first : lane_count;
      for (std::size_t i = 0; i < there; ++i) store(block + (first + i) * key_block, square[i]);
    }
  }
}

template <std::size_t Rows>
inline void score_code_block(const code_score_call& call, std::size_t b, row_requests& requests) noexcept {
  const auto* keys = reinterpret_cast<const std::uint8_t*>(call.keys + b * call.words * key_block);
  words sum[Rows][tile_vectors];
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < tile_vectors; ++v) sum[r][v] = signed_products_start(call.queries[r].code_sum);
  }
  for (std::size_t w = 0; w < call.words; ++w) {
    requests.make(1);
    DECANT_UNROLL
    for (std::size_t v = 0; v < tile_vectors; ++v) {
      const words key = load_words(keys + 4 * (w * key_block + v * lane_count));
      DECANT_UNROLL
      for (std::size_t r = 0; r < Rows; ++r) {
        sum[r][v] = add_signed_products(sum[r][v], key, query_codes(call.queries[r], w));
      }
    }
  }
  DECANT_UNROLL
  for (std::size_t r = 0; r < Rows; ++r) {
    DECANT_UNROLL
    for (std::size_t v = 0; v < tile_vectors; ++v) {
      const std::size_t at = b * key_block + v * lane_count;
      put_products(sum[r][v], call.queries[r].scale, load(call.scales + at), call.accumulate,
                   call.out + r * call.out_stride + at);
    }
  }
}

inline void score_codes(const code_score_call& call) noexcept {
  with_rows(call.rows, [&]<std::size_t Rows>() {
    row_requests requests(call.upcoming, call.blocks * call.words);
    for (std::size_t b = 0; b < call.blocks; ++b) score_code_block<Rows>(call, b, requests);
  });
}

/// Elements [i, i + lane_count) of a row, zeros behind its end.
[[nodiscard]] inline lanes load_row(const float* x, std::size_t i, std::size_t count) noexcept {
  if (count - i >= lane_count) return load(x + i);
  float padded[lane_count] = {};
  __builtin_memcpy(padded, x + i, (count - i) * sizeof(float));
  return load(padded);
}

inline byte_row to_bytes(const float* x, std::size_t count, std::int8_t* codes) noexcept {
  lanes best = splat(0.0F);
  lane_sum poison;  // NaN where a value is not finite
  for (std::size_t i = 0; i < count; i += lane_count) {
    const lanes part = load_row(x, i, count);
    best = maximum(maximum(part, subtract(splat(0.0F), part)), best);
    poison.include(multiply(part, splat(0.0F)));
  }
  const bool is_finite = poison.total() == 0;
  const float greatest_value = greatest(best);
  if (!is_finite || !(greatest_value > 1e-30F)) {
    __builtin_memset(codes, 0, count);
    return {is_finite ? 0.0F : __builtin_nanf(""), 0};
  }
  // Adding 1.5 * 2^23 rounds to an integer, whose low byte is the code.
  const lanes inverse = splat(127.0F / greatest_value);
  byte_row row{greatest_value / 127.0F, 0};
  for (std::size_t i = 0; i < count; i += lane_count) {
    std::uint32_t bits[lane_count];
    const lanes rounded = fma(load_row(x, i, count), inverse, splat(12582912.0F));
    __builtin_memcpy(bits, &rounded, sizeof bits);
    const std::size_t there = count - i < lane_count ? count - i : lane_count;
    for (std::size_t j = 0; j < there; ++j) {
      codes[i + j] = static_cast<std::int8_t>(bits[j] & 0xFFU);
      row.code_sum += codes[i + j];
    }
  }
  return row;
}

// --- values ---

/// Values that stay in the first-level cache while all dimensions pass over them.
inline constexpr std::size_t mix_run = 128;

/// Adds a run of values to `Vectors` vectors of the sums of each row.
template <std::size_t Rows, std::size_t Vectors, class Element>
inline void mix_tile(const row_mix_call<Element>& call, std::size_t d, row_requests& requests) noexcept {
  attention_sums<Rows, Vectors> sums;
  sums.get_all(call.sums + d, call.sum_stride);
  for (std::size_t t = 0; t < call.count; ++t) {
    requests.make(Vectors);
    lanes value[Vectors];
    DECANT_UNROLL
    for (std::size_t v = 0; v < Vectors; ++v) value[v] = load(call.values + t * call.stride + d + v * lane_count);
    sums.add_products(value, [&](std::size_t r) { return call.weights[r * call.weight_stride + t]; });
  }
  sums.put_all(call.sums + d, call.sum_stride);
}

/// The dimensions that fill no vector, from copies that do.
template <std::size_t Rows, class Element>
inline void mix_rest(const row_mix_call<Element>& call, std::size_t d, row_requests& requests) noexcept {
  Element padded[mix_run * lane_count] = {};
  for (std::size_t t = 0; t < call.count; ++t) {
    __builtin_memcpy(padded + t * lane_count, call.values + t * call.stride + d,
                     (call.dimension - d) * sizeof(Element));
  }
  row_mix_call<Element> rest = call;
  rest.values = padded;
  rest.stride = lane_count;
  rest.sums += d;
  mix_tile<Rows, 1>(rest, 0, requests);
}

template <std::size_t Rows, class Element>
inline void mix_run_of(const row_mix_call<Element>& call, row_requests& requests) noexcept {
  constexpr std::size_t at_once = tiles_at_once<Rows, 1, 4>();
  std::size_t d = 0;
  for (; d + at_once * lane_count <= call.dimension; d += at_once * lane_count) {
    mix_tile<Rows, at_once>(call, d, requests);
  }
  for (; d + lane_count <= call.dimension; d += lane_count) mix_tile<Rows, 1>(call, d, requests);
  if (d < call.dimension) mix_rest<Rows>(call, d, requests);
}

template <class Element>
inline void mix_rows(const row_mix_call<Element>& call) noexcept {
  with_rows(call.rows, [&]<std::size_t Rows>() {
    float scaled[sizeof(Element) == 1 ? Rows * mix_run : 1];
    row_requests requests(call.upcoming, call.count * ((call.dimension + lane_count - 1) / lane_count));
    row_mix_call<Element> run = call;
    for (std::size_t first = 0; first < call.count; first += mix_run) {
      run.values = call.values + first * call.stride;
      run.count = call.count - first < mix_run ? call.count - first : mix_run;
      run.weights = call.weights + first;
      if constexpr (sizeof(Element) == 1) {
        for (std::size_t r = 0; r < Rows; ++r) {
          for (std::size_t t = 0; t < run.count; ++t) {
            scaled[r * mix_run + t] =
                run.weights[r * call.weight_stride + t] * call.scales[(first + t) * call.scale_stride];
          }
        }
        run.weights = scaled;
        run.weight_stride = mix_run;
      }
      mix_run_of<Rows>(run, requests);
    }
  });
}

template <class Element>
inline void mix(const mix_call<Element>& call) noexcept {
  mix_rows(row_mix_call<Element>{call.values, call.dimension, call.count, call.dimension, nullptr, 0, call.weights,
                                 call.weight_stride, call.rows, call.sums, call.dimension, call.upcoming});
}

[[nodiscard]] inline const attention_table& attention_kernels() noexcept {
  static constexpr attention_table table{score_rows<float>,
                                         score_rows<std::uint16_t>,
                                         score_rows<std::int8_t>,
                                         pack_floats<float>,
                                         pack_floats<std::uint16_t>,
                                         pack_codes,
                                         score_codes,
                                         to_bytes,
                                         mix_rows<float>,
                                         mix_rows<std::uint16_t>,
                                         mix_rows<std::int8_t>,
                                         cap,
                                         weigh,
                                         merge,
                                         probabilities};
  return table;
}
