// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The fields of quantised blocks, and what the codecs of all block formats share.
#ifndef DECANT_REFERENCE_QUANTISED_BLOCK_HPP
#define DECANT_REFERENCE_QUANTISED_BLOCK_HPP

#include <decant/kernels/float16.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace decant::inline DECANT_ABI::block {

[[nodiscard]] inline std::uint16_t load_u16(const std::byte* at) noexcept {
  std::uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
[[nodiscard]] inline std::uint32_t load_u32(const std::byte* at) noexcept {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline void store_u16(std::byte* at, std::uint16_t value) noexcept { std::memcpy(at, &value, sizeof value); }
inline void store_u32(std::byte* at, std::uint32_t value) noexcept { std::memcpy(at, &value, sizeof value); }

[[nodiscard]] inline float half_at(const std::byte* at) noexcept { return half_to_float(load_u16(at)); }

/// Code i of a 32-element block of nibbles: the first sixteen are the low nibbles.
[[nodiscard]] inline int nibble(const std::byte* codes, std::size_t i) noexcept {
  const auto byte = std::to_integer<int>(codes[i % 16]);
  return i < 16 ? byte & 15 : byte >> 4;
}
[[nodiscard]] inline int fifth_bit(std::uint32_t bits, std::size_t i) noexcept {
  return static_cast<int>(bits >> i & 1U) << 4;
}

/// Writes two nibbles a byte, the first sixteen codes low.
template <class Code>
void store_nibbles(std::byte* at, const Code& code_of) noexcept {
  for (std::size_t i = 0; i < 16; ++i) at[i] = static_cast<std::byte>((code_of(i) & 15) | (code_of(i + 16) & 15) << 4);
}
template <class Code>
[[nodiscard]] std::uint32_t fifth_bits(const Code& code_of) noexcept {
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < 32; ++i) bits |= static_cast<std::uint32_t>(code_of(i) >> 4 & 1) << i;
  return bits;
}

struct scale_and_minimum {
  int scale;
  int minimum;
};
/// The 6-bit scale and minimum of 32-element group `g` of a Q4_K or Q5_K block.
[[nodiscard]] inline scale_and_minimum k_scales(const std::byte* scales, std::size_t g) noexcept {
  const auto at = [scales](std::size_t i) { return std::to_integer<int>(scales[i]); };
  if (g < 4) return {at(g) & 63, at(g + 4) & 63};
  return {(at(g + 4) & 15) | at(g - 4) >> 6 << 4, at(g + 4) >> 4 | at(g) >> 6 << 4};
}
/// Writes the twelve bytes from which `k_scales` reads the steps of all eight groups.
inline void store_k_scales(std::byte* scales, const scale_and_minimum (&steps)[8]) noexcept {
  for (std::size_t g = 0; g < 4; ++g) {
    const scale_and_minimum& low = steps[g];
    const scale_and_minimum& high = steps[g + 4];
    scales[g] = static_cast<std::byte>(low.scale | high.scale >> 4 << 6);
    scales[g + 4] = static_cast<std::byte>(low.minimum | high.minimum >> 4 << 6);
    scales[g + 8] = static_cast<std::byte>((high.scale & 15) | (high.minimum & 15) << 4);
  }
}

[[nodiscard]] inline float inverse_or_zero(float d) noexcept { return d != 0.0F ? 1.0F / d : 0.0F; }

/// The element of largest magnitude, the first on ties.
[[nodiscard]] inline float extreme(const float* x, std::size_t count) noexcept {
  return *std::max_element(x, x + count, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

}  // namespace decant::inline DECANT_ABI::block

#endif
