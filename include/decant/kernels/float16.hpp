// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// IEEE binary16 and bfloat16 as bit patterns.
#ifndef DECANT_KERNELS_FLOAT16_HPP
#define DECANT_KERNELS_FLOAT16_HPP

#include <decant/config.hpp>

#include <bit>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// The value of a binary16 bit pattern; exact. NaN keeps its sign and payload and becomes quiet.
[[nodiscard]] constexpr float half_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7FFFU;
  if (magnitude > 0x7C00U) return std::bit_cast<float>(sign | 0x7FC00000U | (magnitude & 0x3FFU) << 13);
  if (magnitude == 0x7C00U) return std::bit_cast<float>(sign | 0x7F800000U);
  if (magnitude >= 0x0400U) return std::bit_cast<float>(sign | ((magnitude << 13) + (112U << 23)));
  const float subnormal = static_cast<float>(magnitude) * 0x1p-24F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(subnormal));
}

/// The nearest binary16, ties to even; magnitudes of 65520 and above become infinity.
[[nodiscard]] constexpr std::uint16_t float_to_half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  const auto with_sign = [sign](std::uint32_t half) { return static_cast<std::uint16_t>(sign | half); };
  if (magnitude > 0x7F800000U) return with_sign(0x7E00U | (magnitude >> 13 & 0x3FFU));
  if (magnitude >= 0x477FF000U) return with_sign(0x7C00U);
  const auto round_shift = [](std::uint32_t x, std::uint32_t shift) {
    const std::uint32_t odd = x >> shift & 1U;
    return (x + (1U << (shift - 1)) - 1U + odd) >> shift;
  };
  if (magnitude >= 0x38800000U) return with_sign(round_shift(magnitude - (112U << 23), 13));
  if (magnitude < 0x33000000U) return with_sign(0);
  const std::uint32_t significand = (magnitude & 0x007FFFFFU) | 0x00800000U;
  return with_sign(round_shift(significand, 126U - (magnitude >> 23)));
}

/// A bfloat16 in memory.
struct bfloat16 {
  std::uint16_t bits;
};

/// The value of a bfloat16 bit pattern; exact.
[[nodiscard]] constexpr float bfloat16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// The nearest bfloat16, ties to even.
[[nodiscard]] constexpr std::uint16_t float_to_bfloat16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

}  // namespace decant::inline DECANT_ABI

#endif
