// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block formats of quantised weights: exact dequantisation of every supported type, the specification that kernels are
// tested against and what loading uses; and quantisers of every type. Those of the 32-element types round to nearest
// with scales from the extremes of a block; those of the K types search (k_quantisation.hpp).
#ifndef DECANT_REFERENCE_QUANTISATION_HPP
#define DECANT_REFERENCE_QUANTISATION_HPP

#include <decant/kernels/float16.hpp>
#include <decant/reference/k_quantisation.hpp>
#include <decant/reference/quantised_block.hpp>
#include <decant/reference/tensor_type.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace decant::inline DECANT_ABI {

namespace block {

inline void dequantise_q4_0(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble(b + 2, i) - 8);
}
inline void dequantise_q4_1(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  const float m = half_at(b + 2);
  for (std::size_t i = 0; i < 32; ++i) out[i] = std::fma(d, static_cast<float>(nibble(b + 4, i)), m);
}
inline void dequantise_q5_0(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  const std::uint32_t high = load_u32(b + 2);
  for (std::size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(nibble(b + 6, i) + fifth_bit(high, i) - 16);
}
inline void dequantise_q5_1(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  const float m = half_at(b + 2);
  const std::uint32_t high = load_u32(b + 4);
  for (std::size_t i = 0; i < 32; ++i) {
    out[i] = std::fma(d, static_cast<float>(nibble(b + 8, i) + fifth_bit(high, i)), m);
  }
}
inline void dequantise_q8_0(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 32; ++i) {
    out[i] = d * static_cast<float>(static_cast<std::int8_t>(std::to_integer<std::uint8_t>(b[2 + i])));
  }
}
inline void dequantise_q4_k(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  const float least = half_at(b + 2);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t g = i / 32;
    const scale_and_minimum s = k_scales(b + 4, g);
    const auto byte = std::to_integer<int>(b[16 + i / 64 * 32 + i % 32]);
    const int code = g % 2 == 0 ? byte & 15 : byte >> 4;
    const float scale = d * static_cast<float>(s.scale);
    out[i] = std::fma(scale, static_cast<float>(code), -least * static_cast<float>(s.minimum));
  }
}
inline void dequantise_q5_k(const std::byte* b, float* out) noexcept {
  const float d = half_at(b);
  const float least = half_at(b + 2);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t g = i / 32;
    const scale_and_minimum s = k_scales(b + 4, g);
    const auto byte = std::to_integer<int>(b[48 + i / 64 * 32 + i % 32]);
    const int high = std::to_integer<int>(b[16 + i % 32]) >> g & 1;
    const int code = (g % 2 == 0 ? byte & 15 : byte >> 4) | high << 4;
    const float scale = d * static_cast<float>(s.scale);
    out[i] = std::fma(scale, static_cast<float>(code), -least * static_cast<float>(s.minimum));
  }
}
inline void dequantise_q6_k(const std::byte* b, float* out) noexcept {
  const float d = half_at(b + 208);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t half = i / 128;
    const std::size_t quarter = i % 128 / 32;
    const std::size_t c = i % 32;
    const auto low_byte = std::to_integer<int>(b[64 * half + c + 32 * (quarter % 2)]);
    const int low = quarter >= 2 ? low_byte >> 4 : low_byte & 15;
    const int high = std::to_integer<int>(b[128 + 32 * half + c]) >> (2 * quarter) & 3;
    const auto scale = static_cast<std::int8_t>(std::to_integer<std::uint8_t>(b[192 + i / 16]));
    out[i] = d * static_cast<float>(scale) * static_cast<float>((low | high << 4) - 32);
  }
}
inline void dequantise_f32(const std::byte* b, float* out) noexcept { std::memcpy(out, b, sizeof *out); }
inline void dequantise_f16(const std::byte* b, float* out) noexcept { *out = half_at(b); }
inline void dequantise_bf16(const std::byte* b, float* out) noexcept { *out = bfloat16_to_float(load_u16(b)); }

using dequantiser = void (*)(const std::byte*, float*) noexcept;

[[nodiscard]] constexpr dequantiser dequantiser_of(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f32: return dequantise_f32;
    case tensor_type::f16: return dequantise_f16;
    case tensor_type::q4_0: return dequantise_q4_0;
    case tensor_type::q4_1: return dequantise_q4_1;
    case tensor_type::q5_0: return dequantise_q5_0;
    case tensor_type::q5_1: return dequantise_q5_1;
    case tensor_type::q8_0: return dequantise_q8_0;
    case tensor_type::q4_k: return dequantise_q4_k;
    case tensor_type::q5_k: return dequantise_q5_k;
    case tensor_type::q6_k: return dequantise_q6_k;
    case tensor_type::bf16: return dequantise_bf16;
  }
  return nullptr;
}

inline void quantise_q4_0(const float* x, std::byte* b) noexcept {
  const float d = extreme(x, 32) / -8.0F;
  const float inverse = inverse_or_zero(d);
  store_u16(b, float_to_half(d));
  store_nibbles(b + 2, [&](std::size_t i) { return std::min(15, static_cast<int>(x[i] * inverse + 8.5F)); });
}
inline void quantise_q4_1(const float* x, std::byte* b) noexcept {
  const auto [least, greatest] = std::minmax_element(x, x + 32);
  const float d = (*greatest - *least) / 15.0F;
  const float inverse = inverse_or_zero(d);
  const float m = *least;
  store_u16(b, float_to_half(d));
  store_u16(b + 2, float_to_half(m));
  store_nibbles(b + 4, [&](std::size_t i) { return std::min(15, static_cast<int>((x[i] - m) * inverse + 0.5F)); });
}
inline void quantise_q5_0(const float* x, std::byte* b) noexcept {
  const float d = extreme(x, 32) / -16.0F;
  const float inverse = inverse_or_zero(d);
  const auto code = [&](std::size_t i) { return std::min(31, static_cast<int>(x[i] * inverse + 16.5F)); };
  store_u16(b, float_to_half(d));
  store_u32(b + 2, fifth_bits(code));
  store_nibbles(b + 6, code);
}
inline void quantise_q5_1(const float* x, std::byte* b) noexcept {
  const auto [least, greatest] = std::minmax_element(x, x + 32);
  const float d = (*greatest - *least) / 31.0F;
  const float inverse = inverse_or_zero(d);
  const float m = *least;
  const auto code = [&](std::size_t i) { return std::min(31, static_cast<int>((x[i] - m) * inverse + 0.5F)); };
  store_u16(b, float_to_half(d));
  store_u16(b + 2, float_to_half(m));
  store_u32(b + 4, fifth_bits(code));
  store_nibbles(b + 8, code);
}
inline void quantise_q8_0(const float* x, std::byte* b) noexcept {
  const float d = std::fabs(extreme(x, 32)) / 127.0F;
  const float inverse = inverse_or_zero(d);
  store_u16(b, float_to_half(d));
  for (std::size_t i = 0; i < 32; ++i)
    b[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::round(x[i] * inverse)));
}
inline void quantise_f32(const float* x, std::byte* b) noexcept { std::memcpy(b, x, sizeof *x); }
inline void quantise_f16(const float* x, std::byte* b) noexcept { store_u16(b, float_to_half(*x)); }
inline void quantise_bf16(const float* x, std::byte* b) noexcept { store_u16(b, float_to_bfloat16(*x)); }

using quantiser = void (*)(const float*, std::byte*) noexcept;

[[nodiscard]] constexpr quantiser quantiser_of(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f32: return quantise_f32;
    case tensor_type::f16: return quantise_f16;
    case tensor_type::q4_0: return quantise_q4_0;
    case tensor_type::q4_1: return quantise_q4_1;
    case tensor_type::q5_0: return quantise_q5_0;
    case tensor_type::q5_1: return quantise_q5_1;
    case tensor_type::q8_0: return quantise_q8_0;
    case tensor_type::q4_k: return quantise_q4_k;
    case tensor_type::q5_k: return quantise_q5_k;
    case tensor_type::q6_k: return quantise_q6_k;
    case tensor_type::bf16: return quantise_bf16;
  }
  return nullptr;
}

}  // namespace block

/// Writes the `out.size()` values of a row of whole blocks. Precondition: `bytes` holds exactly
/// `row_bytes(type, out.size())` bytes of a known type.
inline void dequantise(tensor_type type, std::span<const std::byte> bytes, std::span<float> out) noexcept {
  const tensor_type_traits traits = traits_of(type);
  const block::dequantiser one = block::dequantiser_of(type);
  DECANT_PRECONDITION(one != nullptr && bytes.size() == row_bytes(type, out.size()));
  const std::size_t blocks = out.size() / traits.block_elements;
  for (std::size_t b = 0; b < blocks; ++b) {
    one(bytes.data() + b * traits.block_bytes, out.data() + b * traits.block_elements);
  }
}

/// Whether `quantise` can make rows of the type: it can of every type that this reader knows.
[[nodiscard]] constexpr bool can_quantise(tensor_type type) noexcept { return block::quantiser_of(type) != nullptr; }

/// Quantises finite values to whole blocks. Preconditions: `can_quantise(type)`, and `bytes` holds
/// exactly `row_bytes(type, values.size())` bytes.
inline void quantise(tensor_type type, std::span<const float> values, std::span<std::byte> bytes) noexcept {
  const tensor_type_traits traits = traits_of(type);
  const block::quantiser one = block::quantiser_of(type);
  DECANT_PRECONDITION(one != nullptr && bytes.size() == row_bytes(type, values.size()));
  const std::size_t blocks = values.size() / traits.block_elements;
  for (std::size_t b = 0; b < blocks; ++b) {
    one(values.data() + b * traits.block_elements, bytes.data() + b * traits.block_bytes);
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
