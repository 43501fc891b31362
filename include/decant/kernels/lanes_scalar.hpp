// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Eight floats in plain C++. Every operation is the same single IEEE operation per element as in lanes_avx2.hpp, so the
// kernels that are written on lanes give the same bits on every instruction set.
#ifndef DECANT_KERNELS_LANES_SCALAR_HPP
#define DECANT_KERNELS_LANES_SCALAR_HPP

#include <decant/kernels/float16.hpp>
#include <decant/kernels/kernel_table.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace decant::inline DECANT_ABI::cpu::scalar {

inline constexpr std::size_t lane_count = 8;
/// Columns that products with float activations keep in registers.
inline constexpr std::size_t float_columns = 2;

struct lanes {
  float v[lane_count];
};

template <class Operation>
[[nodiscard]] inline lanes each(const Operation& operation) noexcept {
  lanes result;
  for (std::size_t i = 0; i < lane_count; ++i) result.v[i] = operation(i);
  return result;
}

[[nodiscard]] inline lanes splat(float x) noexcept {
  return each([x](std::size_t) { return x; });
}
[[nodiscard]] inline lanes load(const float* from) noexcept {
  return each([from](std::size_t i) { return from[i]; });
}
[[nodiscard]] inline lanes load(const std::uint16_t* halves) noexcept {
  return each([halves](std::size_t i) { return half_to_float(halves[i]); });
}
[[nodiscard]] inline lanes load(const bfloat16* from) noexcept {
  return each([from](std::size_t i) { return bfloat16_to_float(from[i].bits); });
}
[[nodiscard]] inline lanes load(const std::uint8_t* from) noexcept {
  return each([from](std::size_t i) { return static_cast<float>(from[i]); });
}
[[nodiscard]] inline lanes load(const std::int8_t* from) noexcept {
  return each([from](std::size_t i) { return static_cast<float>(from[i]); });
}
inline void store(float* to, const lanes& a) noexcept {
  for (std::size_t i = 0; i < lane_count; ++i) to[i] = a.v[i];
}
inline void store(std::uint16_t* halves, const lanes& a) noexcept {
  for (std::size_t i = 0; i < lane_count; ++i) halves[i] = float_to_half(a.v[i]);
}

[[nodiscard]] inline lanes add(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] + b.v[i]; });
}
[[nodiscard]] inline lanes subtract(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] - b.v[i]; });
}
[[nodiscard]] inline lanes multiply(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] * b.v[i]; });
}
[[nodiscard]] inline lanes divide(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] / b.v[i]; });
}
/// a * b + c, rounded once, without a fused operation: in double the product of floats is exact, and the sum is rounded
/// to odd, from which rounding to float is that of the exact sum (Boldo and Melquiond, "Emulation of FMA and correctly
/// rounded sums: proved algorithms using rounding to odd", IEEE Transactions on Computers, 2008).
[[nodiscard]] inline float exact_fma(float a, float b, float c) noexcept {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const auto addend = static_cast<double>(c);
  const double sum = product + addend;
  const double taken = sum - product;
  const double error = (product - (sum - taken)) + (addend - taken);
  const auto bits = std::bit_cast<std::uint64_t>(sum);
  const std::uint64_t is_inexact = error < 0.0 || error > 0.0 ? 1U : 0U;  // NaN beside an infinity is neither
  const std::uint64_t is_too_far = (std::bit_cast<std::uint64_t>(error) ^ bits) >> 63U;
  return static_cast<float>(std::bit_cast<double>((bits - (is_too_far & is_inexact)) | is_inexact));
}
/// a * b + c, rounded once.
[[nodiscard]] inline float fma(float a, float b, float c) noexcept {
#if defined(__x86_64__)
  return exact_fma(a, b, c);  // the C library takes 100 ns on processors without the operation, which run this set
#else
  return std::fma(a, b, c);
#endif
}
[[nodiscard]] inline lanes fma(const lanes& a, const lanes& b, const lanes& c) noexcept {
  return each([&](std::size_t i) { return fma(a.v[i], b.v[i], c.v[i]); });
}
/// The greater of each pair; b where either is NaN.
[[nodiscard]] inline lanes maximum(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
/// The lesser of each pair; b where either is NaN.
[[nodiscard]] inline lanes minimum(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
/// a where x >= limit or x is NaN, else 0.
[[nodiscard]] inline lanes zero_below(const lanes& a, const lanes& x, float limit) noexcept {
  return each([&](std::size_t i) { return x.v[i] < limit ? 0.0F : a.v[i]; });
}
/// a * 2^n for integral n that keeps a normal result; adds to the exponent field.
[[nodiscard]] inline lanes scale_exponent(const lanes& a, const lanes& n) noexcept {
  return each([&](std::size_t i) {
    const std::int32_t steps = n.v[i] == n.v[i] ? static_cast<std::int32_t>(n.v[i]) : 0;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a.v[i]) + (static_cast<std::uint32_t>(steps) << 23));
  });
}
[[nodiscard]] inline float sum(const lanes& a) noexcept {
  return ((a.v[0] + a.v[4]) + (a.v[2] + a.v[6])) + ((a.v[1] + a.v[5]) + (a.v[3] + a.v[7]));
}
[[nodiscard]] inline float greatest(const lanes& a) noexcept {
  float best = a.v[0];
  for (const float x : a.v) best = x > best ? x : best;
  return best;
}

/// A sum of many lanes whose order does not depend on how many lanes an instruction set has: eight partial sums, of
/// the elements i with equal i mod 8.
class lane_sum {
 public:
  void include(const lanes& a) noexcept { total_ = add(total_, a); }
  [[nodiscard]] float total() const noexcept { return sum(total_); }

 private:
  lanes total_ = splat(0.0F);
};

/// Sum of squares in double, eight partial sums. `count` is a multiple of 8.
[[nodiscard]] inline double sum_of_squares(const float* x, std::size_t count) noexcept {
  double part[lane_count] = {};
  for (std::size_t i = 0; i < count; ++i) part[i % lane_count] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return ((part[0] + part[4]) + (part[2] + part[6])) + ((part[1] + part[5]) + (part[3] + part[7]));
}

/// A 32-bit word for each lane: four codes of a row.
struct words {
  std::uint32_t v[lane_count];
};

template <class Operation>
[[nodiscard]] inline words each_word(const Operation& operation) noexcept {
  words result;
  for (std::size_t i = 0; i < lane_count; ++i) result.v[i] = operation(i);
  return result;
}

[[nodiscard]] inline words load_words(const std::uint8_t* from) noexcept {
  words result;
  std::memcpy(result.v, from, sizeof result.v);
  return result;
}
[[nodiscard]] inline words shift_left(const words& a, int bits) noexcept {
  return each_word([&](std::size_t i) { return a.v[i] << bits; });
}
[[nodiscard]] inline words shift_right(const words& a, int bits) noexcept {
  return each_word([&](std::size_t i) { return a.v[i] >> bits; });
}
[[nodiscard]] inline words keep_bits(const words& a, std::uint32_t mask) noexcept {
  return each_word([&](std::size_t i) { return a.v[i] & mask; });
}
[[nodiscard]] inline words unite(const words& a, const words& b) noexcept {
  return each_word([&](std::size_t i) { return a.v[i] | b.v[i]; });
}
/// The values of words as signed integers.
[[nodiscard]] inline lanes to_floats(const words& a) noexcept {
  return each([&](std::size_t i) { return static_cast<float>(static_cast<std::int32_t>(a.v[i])); });
}
/// The word in every lane.
[[nodiscard]] inline words splat_word(std::uint32_t a) noexcept {
  return each_word([a](std::size_t) { return a; });
}
/// Where a chain of `add_signed_products` starts that ends at the dot product, for codes of b that sum up to `b_sum`.
[[nodiscard]] inline words signed_products_start(std::int32_t b_sum) noexcept {
  static_cast<void>(b_sum);
  return splat_word(0);
}
/// sum + the four products of signed bytes of a and b, exactly. Bytes of b are at least -127.
[[nodiscard]] inline words add_signed_products(const words& sum, const words& a, const words& b) noexcept {
  return each_word([&](std::size_t i) {
    std::int32_t total = static_cast<std::int32_t>(sum.v[i]);
    for (int shift = 0; shift < 32; shift += 8) {
      total += static_cast<std::int8_t>(a.v[i] >> shift & 0xFFU) * static_cast<std::int8_t>(b.v[i] >> shift & 0xFFU);
    }
    return static_cast<std::uint32_t>(total);
  });
}

[[nodiscard]] inline lanes as_lanes(const words& a) noexcept { return std::bit_cast<lanes>(a); }
[[nodiscard]] inline words as_words(const lanes& a) noexcept { return std::bit_cast<words>(a); }
/// Exchanges rows and columns of a square.
inline void transpose(lanes (&a)[lane_count]) noexcept {
  for (std::size_t i = 0; i < lane_count; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const float held = a[i].v[j];
      a[i].v[j] = a[j].v[i];
      a[j].v[i] = held;
    }
  }
}

/// Quantises 32 floats to codes in [-127, 127] (ties to even) with x ~ scale * code. A block that holds NaN or infinity
/// gets a NaN scale, so that it cannot pass for a finite one.
inline void quantise_block(const float* x, activation_block& to) noexcept {
  std::uint32_t greatest_bits = 0;
  for (std::size_t i = 0; i < block_elements; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFU;
    greatest_bits = bits > greatest_bits ? bits : greatest_bits;
  }
  const float greatest = std::bit_cast<float>(greatest_bits);
  const bool finite = greatest_bits < 0x7F800000U;
  const bool usable = finite && greatest > 1e-30F;
  const float inverse = usable ? 127.0F / greatest : 0.0F;
  to.half_sums[0] = to.half_sums[1] = 0;
  for (std::size_t i = 0; i < block_elements; ++i) {
    const auto code = usable ? static_cast<std::int32_t>(std::nearbyint(x[i] * inverse)) : 0;
    to.codes[i] = static_cast<std::int8_t>(code);
    to.half_sums[i / 16] += code;
  }
  to.scale = usable ? greatest / 127.0F : finite ? 0.0F : std::bit_cast<float>(0x7FC00000U);
  to.sum = to.scale * static_cast<float>(to.half_sums[0] + to.half_sums[1]);
}

}  // namespace decant::inline DECANT_ABI::cpu::scalar

#endif
