// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a row of a file's blocks to a row of a packed group and from there to floats, both without loss.
#ifndef DECANT_REFERENCE_PACKED_ROW_HPP
#define DECANT_REFERENCE_PACKED_ROW_HPP

#include <decant/kernels/packed_layout.hpp>
#include <decant/reference/quantisation.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace decant::inline DECANT_ABI {

/// 32 unsigned codes; a format's offset is included.
struct block_codes {
  std::uint8_t code[cpu::block_elements];
};

/// Reads codes and scales of a row of blocks as they are in a file.
class file_row {
 public:
  file_row(tensor_type type, std::span<const std::byte> bytes) noexcept : type_(type), bytes_(bytes.data()) {}

  /// The codes of elements 32 b to 32 b + 31. Precondition: a quantised type.
  [[nodiscard]] block_codes codes(std::size_t b) const noexcept {
    switch (type_) {
      case tensor_type::q4_0: return nibbles(block_of(b) + 2);
      case tensor_type::q4_1: return nibbles(block_of(b) + 4);
      case tensor_type::q5_0: return five_bits(block_of(b) + 6, block::load_u32(block_of(b) + 2));
      case tensor_type::q5_1: return five_bits(block_of(b) + 8, block::load_u32(block_of(b) + 4));
      case tensor_type::q4_k: return half_bytes(block_of(b / 8) + 16 + b % 8 / 2 * 32, b % 2);
      case tensor_type::q5_k: return five_bits_k(block_of(b / 8), b % 8);
      case tensor_type::q6_k: return six_bits_k(block_of(b / 8), b % 8);
      default: return eight_bits(block_of(b) + 2);
    }
  }

  /// The start of file block `b`: 32 elements, or 256 for K types.
  [[nodiscard]] const std::byte* block_of(std::size_t b) const noexcept {
    return bytes_ + b * traits_of(type_).block_bytes;
  }

 private:
  template <class Code>
  [[nodiscard]] static block_codes each(const Code& code_of) noexcept {
    block_codes codes;
    for (std::size_t i = 0; i < cpu::block_elements; ++i) codes.code[i] = static_cast<std::uint8_t>(code_of(i));
    return codes;
  }
  [[nodiscard]] static block_codes nibbles(const std::byte* at) noexcept {
    return each([&](std::size_t i) { return block::nibble(at, i); });
  }
  [[nodiscard]] static block_codes five_bits(const std::byte* at, std::uint32_t high) noexcept {
    return each([&](std::size_t i) { return block::nibble(at, i) + block::fifth_bit(high, i); });
  }
  /// Signed bytes plus 128.
  [[nodiscard]] static block_codes eight_bits(const std::byte* at) noexcept {
    return each([&](std::size_t i) { return std::to_integer<int>(at[i]) ^ 0x80; });
  }
  /// The low or the high halves of 32 bytes.
  [[nodiscard]] static block_codes half_bytes(const std::byte* at, std::size_t high) noexcept {
    return each([&](std::size_t i) { return std::to_integer<int>(at[i]) >> (4 * high) & 15; });
  }
  [[nodiscard]] static block_codes five_bits_k(const std::byte* at, std::size_t g) noexcept {
    const block_codes low = half_bytes(at + 48 + g / 2 * 32, g % 2);
    return each([&](std::size_t i) { return low.code[i] | (std::to_integer<int>(at[16 + i]) >> g & 1) << 4; });
  }
  [[nodiscard]] static block_codes six_bits_k(const std::byte* at, std::size_t g) noexcept {
    const block_codes low = half_bytes(at + g / 4 * 64 + g % 2 * 32, g % 4 / 2);
    const std::byte* high = at + 128 + g / 4 * 32;
    return each([&](std::size_t i) { return low.code[i] | (std::to_integer<int>(high[i]) >> (2 * (g % 4)) & 3) << 4; });
  }

  tensor_type type_;
  const std::byte* bytes_;
};

/// One row of a packed group of 16. `Byte` is const for reading.
template <class Byte>
class packed_row {
 public:
  packed_row(packed_format format, Byte* group, std::size_t lane) noexcept
      : format_(format), layout_(cpu::layout_of(format)), group_(group), lane_(lane) {}

  /// Packs `columns` elements. False when a value is not finite.
  [[nodiscard]] bool pack(tensor_type type, std::span<const std::byte> bytes, std::size_t columns) const noexcept {
    if (!cpu::is_quantised(format_)) return pack_elements(bytes, columns);
    const file_row file(type, bytes);
    bool finite = true;
    const bool has_nibbles = type == tensor_type::q4_0 || type == tensor_type::q4_1;
    for (std::size_t b = 0; b < columns / cpu::block_elements; ++b) {
      if (has_nibbles) {
        copy_nibbles(b, file.block_of(b) + traits_of(type).block_bytes - 16);
      } else if (type == tensor_type::q8_0) {
        copy_bytes(b, file.block_of(b) + 2);
      } else {
        store_codes(b, file.codes(b));
      }
      if (traits_of(type).block_elements == cpu::block_elements) {
        finite = store_block_scales(type, b, file.block_of(b)) && finite;
      } else if (b % 8 == 0) {
        finite = store_unit_scales(b, file.block_of(b / 8)) && finite;
      }
    }
    return finite;
  }

  /// Writes `columns` values, those of `dequantise`.
  void unpack(float* out, std::size_t columns) const noexcept {
    if (!cpu::is_quantised(format_)) return unpack_elements(out, columns);
    for (std::size_t k = 0; k < columns; ++k) {
      const std::size_t b = k / cpu::block_elements;
      const std::size_t i = k % cpu::block_elements;
      const auto code = static_cast<float>(code_at(b, i) - layout_.offset);
      const float scale = scale_at(b, i);
      out[k] = layout_.has_minimum() ? std::fma(scale, code, minimum_at(b)) : scale * code;
    }
  }

 private:
  [[nodiscard]] Byte* unit(std::size_t b) const noexcept {
    return group_ + b / layout_.unit_blocks * layout_.unit_bytes;
  }
  /// The first four bytes of the codes of a block.
  [[nodiscard]] Byte* codes(std::size_t b) const noexcept {
    return unit(b) + b % layout_.unit_blocks * layout_.code_bytes() + 4 * lane_;
  }
  [[nodiscard]] Byte* scales(std::size_t b) const noexcept { return unit(b) + layout_.scales_at(); }

  // --- codes ---

  /// Files pair the nibbles of a block in the same way.
  void copy_nibbles(std::size_t b, const std::byte* from) const noexcept {
    for (std::size_t v = 0; v < 4; ++v) std::memcpy(codes(b) + 64 * v, from + 4 * v, 4);
  }
  /// Signed bytes plus 128.
  void copy_bytes(std::size_t b, const std::byte* from) const noexcept {
    for (std::size_t g = 0; g < 8; ++g) {
      const std::uint32_t biased = block::load_u32(from + 4 * g) ^ 0x80808080U;
      std::memcpy(codes(b) + 64 * g, &biased, sizeof biased);
    }
  }
  void store_codes(std::size_t b, const block_codes& from) const noexcept {
    std::uint8_t* to = codes(b);
    if (layout_.code_bits == 8) {
      for (std::size_t g = 0; g < 8; ++g) std::memcpy(to + 64 * g, from.code + 4 * g, 4);
      return;
    }
    for (std::size_t i = 0; i < 16; ++i) {
      to[i / 4 * 64 + i % 4] = static_cast<std::uint8_t>((from.code[i] & 15) | from.code[16 + i] << 4);
    }
    if (layout_.code_bits == 4) return;
    for (std::size_t i = 0; i < cpu::block_elements; ++i) to[high_byte(i)] |= high_bits(from.code[i], i);
  }
  [[nodiscard]] int code_at(std::size_t b, std::size_t i) const noexcept {
    const std::uint8_t* from = codes(b);
    if (layout_.code_bits == 8) return from[i / 4 * 64 + i % 4];
    const int pair = from[i % 16 / 4 * 64 + i % 4];
    const int low = i < 16 ? pair & 15 : pair >> 4;
    if (layout_.code_bits == 4) return low;
    return low | (from[high_byte(i)] >> high_shift(i) & (layout_.code_bits == 5 ? 1 : 3)) << 4;
  }
  /// Where the bits above the nibble of element i lie.
  [[nodiscard]] std::size_t high_byte(std::size_t i) const noexcept {
    return 256 + (layout_.code_bits == 6 ? i / 16 * 64 : 0) + i % 4;
  }
  [[nodiscard]] std::size_t high_shift(std::size_t i) const noexcept {
    return layout_.code_bits == 6 ? i % 16 / 4 * 2 : i / 4;
  }
  [[nodiscard]] std::uint8_t high_bits(std::uint8_t code, std::size_t i) const noexcept {
    return static_cast<std::uint8_t>(code >> 4 << high_shift(i));
  }

  // --- scales ---

  [[nodiscard]] static bool is_finite_half(std::uint16_t bits) noexcept { return (bits & 0x7C00U) != 0x7C00U; }
  [[nodiscard]] bool store_half(std::uint8_t* halves, std::uint16_t bits) const noexcept {
    std::memcpy(halves + 2 * lane_, &bits, 2);
    return is_finite_half(bits);
  }
  [[nodiscard]] float half_at(const std::uint8_t* halves) const noexcept {
    std::uint16_t bits;
    std::memcpy(&bits, halves + 2 * lane_, 2);
    return half_to_float(bits);
  }

  /// Q5_0 gets the minimum -16 times the scale: exact in binary16 unless it overflows.
  [[nodiscard]] bool store_block_scales(tensor_type type, std::size_t b, const std::byte* from) const noexcept {
    const std::uint16_t scale = block::load_u16(from);
    std::uint8_t* to = scales(b);
    if (layout_.scales == cpu::scaling::half_scale) return store_half(to + b % layout_.unit_blocks * 32, scale);
    std::uint16_t minimum = block::load_u16(from + 2);
    if (type == tensor_type::q5_0) minimum = float_to_half(-16.0F * half_to_float(scale));
    return store_half(to, scale) && store_half(to + 32, minimum);
  }

  /// Scales of the 256 elements from block b on.
  [[nodiscard]] bool store_unit_scales(std::size_t b, const std::byte* from) const noexcept {
    std::uint8_t* to = scales(b);
    if (layout_.scales == cpu::scaling::nested_half) {
      for (std::size_t s = 0; s < 16; ++s) to[16 * s + lane_] = std::to_integer<std::uint8_t>(from[192 + s]);
      return store_half(to + 256, block::load_u16(from + 208));
    }
    for (std::size_t g = 0; g < 8; ++g) {
      const block::scale_and_minimum steps = block::k_scales(from + 4, g);
      to[16 * g + lane_] = static_cast<std::uint8_t>(steps.scale);
      to[128 + 16 * g + lane_] = static_cast<std::uint8_t>(steps.minimum);
    }
    const auto negated = static_cast<std::uint16_t>(block::load_u16(from + 2) ^ 0x8000U);
    return store_half(to + 256, block::load_u16(from)) && store_half(to + 288, negated);
  }

  [[nodiscard]] float scale_at(std::size_t b, std::size_t i) const noexcept {
    const std::uint8_t* from = scales(b);
    const std::size_t index = b % layout_.unit_blocks;
    switch (layout_.scales) {
      case cpu::scaling::half_scale: return half_at(from + 32 * index);
      case cpu::scaling::nested_pair: return half_at(from + 256) * static_cast<float>(from[16 * index + lane_]);
      case cpu::scaling::nested_half:
        return half_at(from + 256) *
               static_cast<float>(static_cast<std::int8_t>(from[16 * (2 * index + i / 16) + lane_]));
      default: return half_at(from);
    }
  }
  [[nodiscard]] float minimum_at(std::size_t b) const noexcept {
    const std::uint8_t* from = scales(b);
    if (layout_.scales == cpu::scaling::half_pair) return half_at(from + 32);
    return half_at(from + 288) * static_cast<float>(from[128 + 16 * (b % layout_.unit_blocks) + lane_]);
  }

  // --- float formats ---

  [[nodiscard]] bool pack_elements(std::span<const std::byte> bytes, std::size_t columns) const noexcept {
    const std::size_t size = cpu::element_bytes(format_);
    bool finite = true;
    for (std::size_t k = 0; k < columns; ++k) {
      std::memcpy(element(k), bytes.data() + k * size, size);
      finite = std::isfinite(value_at(k)) && finite;
    }
    return finite;
  }
  void unpack_elements(float* out, std::size_t columns) const noexcept {
    for (std::size_t k = 0; k < columns; ++k) out[k] = value_at(k);
  }
  [[nodiscard]] Byte* element(std::size_t k) const noexcept {
    return group_ + (k * cpu::group_rows + lane_) * cpu::element_bytes(format_);
  }
  [[nodiscard]] float value_at(std::size_t k) const noexcept {
    if (format_ == packed_format::f32) {
      float value;
      std::memcpy(&value, element(k), sizeof value);
      return value;
    }
    std::uint16_t bits;
    std::memcpy(&bits, element(k), sizeof bits);
    return format_ == packed_format::f16 ? half_to_float(bits) : bfloat16_to_float(bits);
  }

  packed_format format_;
  cpu::packed_layout layout_;
  Byte* group_;
  std::size_t lane_;
};

}  // namespace decant::inline DECANT_ABI

#endif
