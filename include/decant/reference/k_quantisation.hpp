// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Quantisers of the K types: super-blocks of 256 values in groups whose scales are steps of one binary16 scale.
//
// Q4_K, Q5_K: eight groups of 32, value = d s code - e m, steps s and m in 0..63. Q6_K: sixteen groups of 16, value =
// d s (code - 32), s in -128..127. The formats leave open how to choose; here every choice is for the squared error:
//  1. Each group is fitted alone: rounding with the scale of its range, and with scales somewhat smaller and larger,
//     gives candidates of codes, least squares the scale (and minimum) of each, and the best are rounded with again.
//  2. The largest scale and the largest minimum of the groups decide d and e.
//  3. Each group takes, of the steps next to its own scale and minimum, those whose nearest codes err least.
// All weights count alike: which of them matter more cannot be told without activations.
//
// A super-block with a value that is not finite or is beyond 2^21 in magnitude gets codes 0 and d = NaN, which loading
// refuses. Super-blocks of values below some 2^-10 lose precision, those below 2^-25 vanish: binary16 has few bits or
// none for d. Time: 20 roundings a value at most.
#ifndef DECANT_REFERENCE_K_QUANTISATION_HPP
#define DECANT_REFERENCE_K_QUANTISATION_HPP

#include <decant/kernels/float16.hpp>
#include <decant/reference/quantised_block.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace decant::inline DECANT_ABI::block {

inline constexpr std::size_t k_elements = 256;

/// Whether all values of a super-block are within what the K types can hold.
[[nodiscard]] inline bool fits_k_block(const float* x) noexcept {
  return std::all_of(x, x + k_elements, [](float value) { return std::fabs(value) <= 0x1p21F; });
}

/// The integer nearest to x within a range, ties to even.
[[nodiscard]] inline float nearest_code(float x, float least, float greatest) noexcept {
  constexpr float round_magic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  return (std::min(std::max(x, least), greatest) + round_magic) - round_magic;
}

/// The codes of a group, rounded with its scale and minimum, and their squared error.
template <std::size_t Size>
struct coded_group {
  float codes[Size];
  float error = 0;

  coded_group(const float* x, float scale, float minimum, float least, float greatest) noexcept {
    const float inverse = inverse_or_zero(scale);
    for (std::size_t i = 0; i < Size; ++i) {
      codes[i] = nearest_code((x[i] + minimum) * inverse, least, greatest);
      const float difference = x[i] + minimum - scale * codes[i];
      error += difference * difference;
    }
  }
};

/// A scale and a minimum, and by how much they err less than zeros would in the square.
struct fitted_scale {
  float scale = 0;
  float minimum = 0;
  double gain = -1;

  /// Takes the better one. False when that is the old one.
  bool improve(const fitted_scale& other) noexcept {
    if (!(other.gain > gain)) return false;
    *this = other;
    return true;
  }
};

/// The range of a group below which no scale in binary16 is left.
inline constexpr float vanishing_range = 0x1p-25F;

/// Groups of 32 with codes 0..Greatest: value = scale * code - minimum, neither of them below zero.
template <int Greatest>
struct shifted_group : coded_group<32> {
  static constexpr std::size_t size = 32;

  shifted_group(const float* x, float scale, float minimum) noexcept
      : coded_group(x, scale, minimum, 0, static_cast<float>(Greatest)) {}

  /// The best scale and minimum of the group by itself.
  [[nodiscard]] static fitted_scale fit(const float* x) noexcept {
    const auto [least, greatest] = std::minmax_element(x, x + size);
    const float low = std::min(*least, 0.0F);
    const float range = *greatest - low;
    if (!(range > vanishing_range)) return {0, -low};
    fitted_scale best;
    for (int i = 0; i < 8; ++i) {
      const float levels = static_cast<float>(Greatest) - 0.5F + 0.4F * static_cast<float>(i);
      best.improve(least_squares(x, shifted_group(x, range / levels, -low)));
    }
    for (int i = 0; i < 2; ++i) best.improve(least_squares(x, shifted_group(x, best.scale, best.minimum)));
    return best;
  }

 private:
  /// The scale and the minimum of least squares for given codes.
  [[nodiscard]] static fitted_scale least_squares(const float* x, const shifted_group& group) noexcept {
    constexpr auto count = static_cast<double>(size);
    double sum_value = 0;
    double sum_code = 0;
    double sum_square = 0;
    double sum_product = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto value = static_cast<double>(x[i]);
      const auto code = static_cast<double>(group.codes[i]);
      sum_value += value;
      sum_code += code;
      sum_square += code * code;
      sum_product += value * code;
    }
    const double determinant = count * sum_square - sum_code * sum_code;
    double scale = determinant > 0 ? (count * sum_product - sum_code * sum_value) / determinant : 0;
    double minimum = (scale * sum_code - sum_value) / count;
    if (minimum < 0) {
      minimum = 0;
      scale = sum_square > 0 ? std::max(0.0, sum_product / sum_square) : 0;
    }
    return {static_cast<float>(scale), static_cast<float>(minimum), scale * sum_product - minimum * sum_value};
  }
};

/// Groups of 16 with codes -32..31: value = scale * code, the scale of either sign.
struct signed_group : coded_group<16> {
  static constexpr std::size_t size = 16;

  signed_group(const float* x, float scale) noexcept : coded_group(x, scale, 0, -32, 31) {}

  /// The best scale of the group by itself.
  [[nodiscard]] static fitted_scale fit(const float* x) noexcept {
    const float peak = extreme(x, size);
    if (!(std::fabs(peak) > vanishing_range)) return {};
    fitted_scale best;
    for (int i = 0; i < 8; ++i) {
      best.improve(least_squares(x, signed_group(x, peak / (-30.5F - 0.5F * static_cast<float>(i)))));
    }
    return best;
  }

 private:
  [[nodiscard]] static fitted_scale least_squares(const float* x, const signed_group& group) noexcept {
    double sum_square = 0;
    double sum_product = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto code = static_cast<double>(group.codes[i]);
      sum_square += code * code;
      sum_product += static_cast<double>(x[i]) * code;
    }
    if (!(sum_square > 0)) return {};
    const double scale = sum_product / sum_square;
    return {static_cast<float>(scale), 0, scale * sum_product};
  }
};

/// The steps of a unit that are tried for a value: the nearest one and its neighbours.
struct nearby_steps {
  int first;
  int last;

  nearby_steps(float value, float unit, int least, int greatest) noexcept {
    const auto nearest = static_cast<int>(
        nearest_code(value * inverse_or_zero(unit), static_cast<float>(least), static_cast<float>(greatest)));
    first = std::max(nearest - 1, least);
    last = std::min(nearest + 1, greatest);
  }
};

inline constexpr std::uint16_t half_nan = 0x7E00;

/// The binary16 next to a value on the side away from zero: the largest step of it then reaches what it has to, which
/// matters where binary16 is coarse. Precondition: magnitude at most 65504.
[[nodiscard]] inline std::uint16_t half_outside(float value) noexcept {
  const std::uint16_t nearest = float_to_half(value);
  const bool inside = std::fabs(half_to_float(nearest)) < std::fabs(value);
  return static_cast<std::uint16_t>(nearest + (inside ? 1 : 0));
}

/// A super-block of Q4_K (Greatest = 15) or Q5_K (31) before its fields are packed.
template <int Greatest>
struct shifted_block {
  using group = shifted_group<Greatest>;
  static constexpr std::size_t groups = k_elements / group::size;

  std::uint16_t scale = half_nan;
  std::uint16_t minimum = 0;
  scale_and_minimum steps[groups] = {};
  std::uint8_t codes[k_elements] = {};

  explicit shifted_block(const float* x) noexcept {
    if (!fits_k_block(x)) return;
    fitted_scale fits[groups];
    float largest_scale = 0;
    float largest_minimum = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      fits[g] = group::fit(x + group::size * g);
      largest_scale = std::max(largest_scale, fits[g].scale);
      largest_minimum = std::max(largest_minimum, fits[g].minimum);
    }
    scale = half_outside(largest_scale / greatest_step);
    minimum = half_outside(largest_minimum / greatest_step);
    for (std::size_t g = 0; g < groups; ++g) encode(g, x + group::size * g, fits[g]);
  }

 private:
  static constexpr int greatest_step = 63;

  void encode(std::size_t g, const float* x, const fitted_scale& fit) noexcept {
    const float scale_unit = half_to_float(scale);
    const float minimum_unit = half_to_float(minimum);
    const nearby_steps scales(fit.scale, scale_unit, 0, greatest_step);
    const nearby_steps minima(fit.minimum, minimum_unit, 0, greatest_step);
    float least_error = std::numeric_limits<float>::infinity();
    for (int s = scales.first; s <= scales.last; ++s) {
      for (int m = minima.first; m <= minima.last; ++m) {
        const group coded(x, scale_unit * static_cast<float>(s), minimum_unit * static_cast<float>(m));
        if (!(coded.error < least_error)) continue;
        least_error = coded.error;
        steps[g] = {s, m};
        std::transform(coded.codes, coded.codes + group::size, codes + group::size * g,
                       [](float code) { return static_cast<std::uint8_t>(code); });
      }
    }
  }
};

/// A super-block of Q6_K before its fields are packed; codes are without their offset of 32.
struct signed_block {
  using group = signed_group;
  static constexpr std::size_t groups = k_elements / group::size;

  std::uint16_t scale = half_nan;
  std::int8_t steps[groups] = {};
  std::int8_t codes[k_elements] = {};

  explicit signed_block(const float* x) noexcept {
    if (!fits_k_block(x)) return;
    float fits[groups];
    for (std::size_t g = 0; g < groups; ++g) fits[g] = group::fit(x + group::size * g).scale;
    scale = half_outside(extreme(fits, groups) / least_step);
    for (std::size_t g = 0; g < groups; ++g) encode(g, x + group::size * g, fits[g]);
  }

 private:
  static constexpr int least_step = -128;

  void encode(std::size_t g, const float* x, float fit) noexcept {
    const float unit = half_to_float(scale);
    const nearby_steps scales(fit, unit, least_step, 127);
    float least_error = std::numeric_limits<float>::infinity();
    for (int s = scales.first; s <= scales.last; ++s) {
      const group coded(x, unit * static_cast<float>(s));
      if (!(coded.error < least_error)) continue;
      least_error = coded.error;
      steps[g] = static_cast<std::int8_t>(s);
      std::transform(coded.codes, coded.codes + group::size, codes + group::size * g,
                     [](float code) { return static_cast<std::int8_t>(code); });
    }
  }
};

// --- packing; the reading side is `dequantise_q4_k` and its neighbours ---

/// Two groups share 32 bytes, the first one in their low halves.
inline void store_half_bytes(std::byte* at, const std::uint8_t (&codes)[k_elements]) noexcept {
  for (std::size_t i = 0; i < k_elements / 2; ++i) {
    const std::size_t low = i / 32 * 64 + i % 32;
    at[i] = static_cast<std::byte>((codes[low] & 15) | (codes[low + 32] & 15) << 4);
  }
}

template <int Greatest>
inline void store_scales(std::byte* b, const shifted_block<Greatest>& fitted) noexcept {
  store_u16(b, fitted.scale);
  store_u16(b + 2, fitted.minimum);
  store_k_scales(b + 4, fitted.steps);
}

inline void quantise_q4_k(const float* x, std::byte* b) noexcept {
  const shifted_block<15> fitted(x);
  store_scales(b, fitted);
  store_half_bytes(b + 16, fitted.codes);
}
/// Bit g of byte i of the second field is the fifth bit of element 32 g + i.
inline void quantise_q5_k(const float* x, std::byte* b) noexcept {
  const shifted_block<31> fitted(x);
  store_scales(b, fitted);
  std::fill_n(b + 16, 32, std::byte{0});
  for (std::size_t i = 0; i < k_elements; ++i) b[16 + i % 32] |= static_cast<std::byte>(fitted.codes[i] >> 4 << i / 32);
  store_half_bytes(b + 48, fitted.codes);
}
/// Of each half of the block: 64 bytes of low halves, the later 64 elements in the high nibbles, and (after those of
/// both) 32 bytes of the upper two bits of four elements each, 32 apart.
inline void quantise_q6_k(const float* x, std::byte* b) noexcept {
  const signed_block fitted(x);
  std::fill_n(b, 192, std::byte{0});
  for (std::size_t i = 0; i < k_elements; ++i) {
    const std::size_t half = i / 128;
    const std::size_t quarter = i % 128 / 32;
    const int code = fitted.codes[i] + 32;
    b[64 * half + i % 64] |= static_cast<std::byte>((code & 15) << 4 * (quarter / 2));
    b[128 + 32 * half + i % 32] |= static_cast<std::byte>(code >> 4 << 2 * quarter);
  }
  for (std::size_t g = 0; g < signed_block::groups; ++g) b[192 + g] = static_cast<std::byte>(fitted.steps[g]);
  store_u16(b + 208, fitted.scale);
}

}  // namespace decant::inline DECANT_ABI::block

#endif
