// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels written on `lanes`, included once per instruction set, inside that set's namespace and target region.
// Products that feed a sum are explicit fma and nothing else multiplies before it adds, so compilers have nothing to
// contract. What a set brings of its own: lanes and words, and the kernels declared here.

/// Products of a quantised format with int8 activations.
template <packed_format Format>
inline void int8_product(const product_call& call) noexcept;
inline void quantise(const float* x, std::size_t count, activation_block* blocks) noexcept;
inline void rms_norm(const float* x, const float* weight, std::size_t count, std::size_t padded, float epsilon,
                     float* out) noexcept;
inline void silu_multiply(float* gate, const float* up, std::size_t count) noexcept;
inline void to_half(const float* x, std::size_t count, std::uint16_t* halves) noexcept;

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

#include <decant/kernels/attention_kernels.inl>

/// Stores or adds the results of `lane_count` rows from `row` on.
inline void put(const product_call& call, std::size_t column, std::size_t row, lanes value) noexcept {
  float* to = call.out + column * call.out_stride + row;
  store(to, call.accumulate ? add(load(to), value) : value);
}

/// One block of a group, by lanes of rows: row `row` of the group on.
template <packed_format Format>
class packed_block {
 public:
  static constexpr packed_layout layout = layout_of(Format);

  packed_block(const std::uint8_t* group, std::size_t block) noexcept
      : unit_(group + block / layout.unit_blocks * layout.unit_bytes), index_(block % layout.unit_blocks) {}

  /// The codes of elements 4g..4g+3 of each row, one in every byte.
  [[nodiscard]] words codes(std::size_t row, std::size_t g) const noexcept {
    const std::uint8_t* at = unit_ + index_ * layout.code_bytes() + 4 * row;
    if constexpr (layout.code_bits == 8) return load_words(at + 64 * g);
    const words pair = load_words(at + 64 * (g % 4));
    const words nibbles = keep_bits(g < 4 ? pair : shift_right(pair, 4), 0x0F0F0F0FU);
    if constexpr (layout.code_bits == 5) {
      const int to_left = 4 - static_cast<int>(g);
      return unite(nibbles, keep_bits(shift(load_words(at + 256), to_left), 0x10101010U));
    }
    if constexpr (layout.code_bits == 6) {
      const int to_left = 4 - 2 * static_cast<int>(g % 4);
      return unite(nibbles, keep_bits(shift(load_words(at + 256 + 64 * (g / 4)), to_left), 0x30303030U));
    }
    return nibbles;
  }

  /// The scales of a piece of the block.
  [[nodiscard]] lanes scale(std::size_t row, std::size_t piece) const noexcept {
    const std::uint8_t* scales = unit_ + layout.scales_at();
    if constexpr (layout.scales == scaling::half_pair) return halves(scales, row);
    if constexpr (layout.scales == scaling::half_scale) return halves(scales + 32 * index_, row);
    if constexpr (layout.scales == scaling::nested_pair) {
      return multiply(halves(scales + 256, row), load(scales + 16 * index_ + row));
    }
    const auto* steps = reinterpret_cast<const std::int8_t*>(scales + 16 * (2 * index_ + piece) + row);
    return multiply(halves(scales + 256, row), load(steps));
  }

  [[nodiscard]] lanes minimum(std::size_t row) const noexcept {
    const std::uint8_t* scales = unit_ + layout.scales_at();
    if constexpr (layout.scales == scaling::half_pair) return halves(scales + 32, row);
    return multiply(halves(scales + 288, row), load(scales + 128 + 16 * index_ + row));
  }

 private:
  [[nodiscard]] static words shift(words a, int to_left) noexcept {
    return to_left >= 0 ? shift_left(a, to_left) : shift_right(a, -to_left);
  }
  [[nodiscard]] static lanes halves(const std::uint8_t* from, std::size_t row) noexcept {
    return load(reinterpret_cast<const std::uint16_t*>(from) + row);
  }

  const std::uint8_t* unit_;
  std::size_t index_;
};

/// Asks for the weights a page after block `b` of a group: groups are visited one after the other, and the processor's
/// own prefetching stops at pages.
template <packed_format Format>
inline void prefetch_weights(const std::uint8_t* group, std::size_t b) noexcept {
  constexpr packed_layout layout = layout_of(Format);
  constexpr std::size_t bytes = layout.unit_bytes / layout.unit_blocks;
  constexpr std::size_t ahead = 4096;
  DECANT_UNROLL
  for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(group + b * bytes + ahead + at);
}

/// What the offset of unsigned codes adds to the integer dot product of a piece of a block.
[[nodiscard]] inline int excess_of(packed_layout layout, const activation_block& input, std::size_t piece) noexcept {
  const int sum = layout.pieces() == 2 ? input.half_sums[piece] : input.half_sums[0] + input.half_sums[1];
  return layout.offset * sum;
}

/// One step of the chain of a result: the integer dot product of a piece of a block times both scales, and after the
/// last piece the minimum times the sum of the activations.
template <packed_format Format>
[[nodiscard]] inline lanes chain(lanes total, lanes dot, const packed_block<Format>& block, std::size_t row,
                                 std::size_t piece, const activation_block& input) noexcept {
  total = fma(dot, multiply(block.scale(row, piece), splat(input.scale)), total);
  if constexpr (packed_block<Format>::layout.has_minimum()) total = fma(block.minimum(row), splat(input.sum), total);
  return total;
}

// --- products with float activations: four partial sums over k mod 4, joined as (0 + 1) + (2 + 3) ---

template <std::size_t Columns>
struct float_sums {
  lanes part[Columns][4];

  float_sums() noexcept {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      DECANT_UNROLL
      for (std::size_t j = 0; j < 4; ++j) part[c][j] = splat(0.0F);
    }
  }
  /// Adds elements of remainder j: weights of rows times x[c * stride].
  void add_products(std::size_t j, lanes weights, const float* x, std::size_t stride) noexcept {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) part[c][j] = fma(weights, splat(x[c * stride]), part[c][j]);
  }
  void put_all(const product_call& call, std::size_t column, std::size_t row) const noexcept {
    DECANT_UNROLL
    for (std::size_t c = 0; c < Columns; ++c) {
      put(call, column + c, row, add(add(part[c][0], part[c][1]), add(part[c][2], part[c][3])));
    }
  }
};

/// Where a tile of results lies: rows from `row` of a group on, columns from `column` on.
struct tile_place {
  std::size_t group;
  std::size_t row;
  std::size_t column;
};

/// Float weights: a group is [k][16].
template <class Element>
struct dense_tiles {
  template <std::size_t Columns>
  static void compute(const product_call& call, const tile_place& at) noexcept {
    const auto* weights = reinterpret_cast<const Element*>(call.weights + at.group * call.group_bytes) + at.row;
    const float* x = call.input.values + at.column * call.input.stride;
    float_sums<Columns> sums;
    const std::size_t whole = call.length / 4 * 4;
    for (std::size_t k = 0; k < whole; k += 4) {
      DECANT_UNROLL
      for (std::size_t j = 0; j < 4; ++j) {
        sums.add_products(j, load(weights + (k + j) * group_rows), x + k + j, call.input.stride);
      }
    }
    for (std::size_t k = whole; k < call.length; ++k) {
      sums.add_products(k % 4, load(weights + k * group_rows), x + k, call.input.stride);
    }
    sums.put_all(call, at.column, at.group * group_rows + at.row);
  }
};

/// Quantised weights, turned into floats in registers: the same values, in the same order, as float weights.
template <packed_format Format>
struct decoded_tiles {
  static constexpr packed_layout layout = layout_of(Format);

  template <std::size_t Columns>
  static void compute(const product_call& call, const tile_place& at) noexcept {
    const std::uint8_t* group = call.weights + at.group * call.group_bytes;
    const float* x = call.input.values + at.column * call.input.stride;
    float_sums<Columns> sums;
    for (std::size_t b = 0; b < call.length / block_elements; ++b, x += block_elements) {
      const packed_block<Format> block(group, b);
      for (std::size_t piece = 0; piece < layout.pieces(); ++piece) {
        const lanes scale = block.scale(at.row, piece);
        lanes least = scale;
        if constexpr (layout.has_minimum()) least = block.minimum(at.row);
        constexpr std::size_t length = 8 / layout.pieces();
        DECANT_UNROLL
        for (std::size_t g = piece * length; g < (piece + 1) * length; ++g) {
          const words codes = block.codes(at.row, g);
          DECANT_UNROLL
          for (std::size_t j = 0; j < 4; ++j) {
            sums.add_products(j, value(codes, j, scale, least), x + 4 * g + j, call.input.stride);
          }
        }
      }
    }
    sums.put_all(call, at.column, at.group * group_rows + at.row);
  }

  [[nodiscard]] static lanes value(words codes, std::size_t j, lanes scale, lanes least) noexcept {
    const lanes code = to_floats(keep_bits(shift_right(codes, 8 * static_cast<int>(j)), 0xFFU));
    if constexpr (layout.has_minimum()) return fma(scale, code, least);
    return multiply(scale, subtract(code, splat(static_cast<float>(layout.offset))));
  }
};

/// Runs tiles of `widest` columns, then one of what is left, over the rows of every group.
template <class Tiles>
inline void float_product(const product_call& call) noexcept {
  for (std::size_t g = call.first_group; g < call.last_group; ++g) {
    for (std::size_t row = 0; row < group_rows; row += lane_count) {
      std::size_t column = 0;
      for (; column + float_columns <= call.columns; column += float_columns) {
        Tiles::template compute<float_columns>(call, {g, row, column});
      }
      for (; column < call.columns; ++column) Tiles::template compute<1>(call, {g, row, column});
    }
  }
}

/// The kernels of an instruction set whose integer products are `int8_product<Format>`.
[[nodiscard]] inline const kernel_table& kernels() noexcept {
  static constexpr product_kernel f16 = float_product<dense_tiles<std::uint16_t>>;
  static constexpr product_kernel bf16 = float_product<dense_tiles<bfloat16>>;
  static constexpr product_kernel f32 = float_product<dense_tiles<float>>;
  static constexpr kernel_table table{
      {int8_product<packed_format::q4_0>, int8_product<packed_format::q4_1>, int8_product<packed_format::q5_1>,
       int8_product<packed_format::q8_0>, int8_product<packed_format::q4_k>, int8_product<packed_format::q5_k>,
       int8_product<packed_format::q6_k>, f16, bf16, f32},
      {float_product<decoded_tiles<packed_format::q4_0>>, float_product<decoded_tiles<packed_format::q4_1>>,
       float_product<decoded_tiles<packed_format::q5_1>>, float_product<decoded_tiles<packed_format::q8_0>>,
       float_product<decoded_tiles<packed_format::q4_k>>, float_product<decoded_tiles<packed_format::q5_k>>,
       float_product<decoded_tiles<packed_format::q6_k>>, f16, bf16, f32},
      quantise,
      rms_norm,
      silu_multiply,
      soft_max,
      to_half,
      score<float>,
      score<std::uint16_t>,
      mix<float>,
      mix<std::uint16_t>};
  return table;
}
