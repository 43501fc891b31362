// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The saved state of a sequence: its keys and values as bytes, with what is needed to know that they fit a model.
//
//   magic "DECANTKV", u32 version, u32 kind of cache, u64 layers, heads, head size, fingerprint of the weights, tokens;
//   then per token [layer][head][key, value][a float scale if the kind has 8 bits, then the elements]; then a u64
//   checksum of all before. Little-endian.
#ifndef DECANT_REFERENCE_STATE_BYTES_HPP
#define DECANT_REFERENCE_STATE_BYTES_HPP

#include <decant/core/error.hpp>
#include <decant/reference/fnv_hash.hpp>
#include <decant/reference/kv_cache.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

struct state_header {
  kv_shape shape;
  std::uint64_t fingerprint = 0;
  std::size_t length = 0;
};

namespace detail {

/// Over 64-bit words, the last one padded with zeros.
[[nodiscard]] inline std::uint64_t checksum(std::span<const std::byte> bytes) noexcept {
  fnv_hash hash;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(8, bytes.size() - at));
    hash.add(word);
  }
  return hash.value();
}

/// The fields of a header as they are stored.
struct stored_state_header {
  std::array<char, 8> magic{'D', 'E', 'C', 'A', 'N', 'T', 'K', 'V'};
  std::uint32_t version = 1;
  std::uint32_t type = 0;
  std::uint64_t layers = 0;
  std::uint64_t heads = 0;
  std::uint64_t size = 0;
  std::uint64_t fingerprint = 0;
  std::uint64_t length = 0;

  [[nodiscard]] static stored_state_header of(const state_header& header) noexcept {
    stored_state_header stored;
    stored.type = static_cast<std::uint32_t>(header.shape.type);
    stored.layers = header.shape.layers;
    stored.heads = header.shape.heads;
    stored.size = header.shape.size;
    stored.fingerprint = header.fingerprint;
    stored.length = header.length;
    return stored;
  }
};
static_assert(sizeof(stored_state_header) == 56, "the fields leave no gaps");

}  // namespace detail

/// Fills a byte array: header, slots one by one, checksum.
class state_writer {
 public:
  state_writer(std::vector<std::byte>& out, const state_header& header)
      : out_(out), slot_bytes_(header.shape.slot_bytes()), at_(sizeof(detail::stored_state_header)) {
    out.resize(at_ + header.length * slot_bytes_ + sizeof(std::uint64_t));
    const auto stored = detail::stored_state_header::of(header);
    std::memcpy(out.data(), &stored, sizeof stored);
  }
  /// Where the next slot goes.
  [[nodiscard]] std::byte* slot() noexcept { return out_.data() + (at_ += slot_bytes_) - slot_bytes_; }
  void finish() noexcept {
    const std::uint64_t sum = detail::checksum(std::span(out_).first(at_));
    std::memcpy(out_.data() + at_, &sum, sizeof sum);
  }

 private:
  std::vector<std::byte>& out_;
  std::size_t slot_bytes_;
  std::size_t at_;
};

/// Looks into bytes of unknown origin.
class state_reader {
 public:
  /// Checks everything against the shape and fingerprint of the model that is to read it. O(size). Errors:
  /// `file_truncated`, `file_malformed`, `unsupported`.
  [[nodiscard]] static result<state_reader> open(std::span<const std::byte> bytes, const state_header& expected) {
    detail::stored_state_header stored;
    if (bytes.size() < sizeof stored) return error{error_code::file_truncated, "a saved state without a whole header"};
    std::memcpy(&stored, bytes.data(), sizeof stored);
    auto wanted = detail::stored_state_header::of(expected);
    if (stored.magic != wanted.magic) return error{error_code::file_malformed, "this is not a saved state"};
    if (stored.version != wanted.version) return error{error_code::unsupported, "a saved state of another version"};
    wanted.length = stored.length;
    if (std::memcmp(&stored, &wanted, sizeof stored) != 0) {
      return error{error_code::unsupported, "a saved state of another model or another kind of cache"};
    }
    const std::size_t slot = expected.shape.slot_bytes();
    const std::size_t rest = bytes.size() - sizeof stored;
    if (rest < sizeof(std::uint64_t) || (rest - sizeof(std::uint64_t)) / slot < stored.length) {
      return error{error_code::file_truncated, "a saved state without all of its tokens"};
    }
    const std::size_t end = sizeof stored + static_cast<std::size_t>(stored.length) * slot;
    if (bytes.size() != end + sizeof(std::uint64_t)) {
      return error{error_code::file_malformed, "bytes follow the end of a saved state"};
    }
    std::uint64_t sum = 0;
    std::memcpy(&sum, bytes.data() + end, sizeof sum);
    if (sum != detail::checksum(bytes.first(end))) return error{error_code::file_malformed, "a damaged saved state"};
    const state_reader reader(bytes.subspan(sizeof stored, end - sizeof stored), slot, stored.length);
    if (!reader.is_finite(expected.shape)) {
      return error{error_code::file_malformed, "a value of a saved state is not finite"};
    }
    return reader;
  }

  [[nodiscard]] std::size_t length() const noexcept { return length_; }
  [[nodiscard]] const std::byte* slot(std::size_t i) const noexcept { return slots_.data() + i * slot_bytes_; }

 private:
  state_reader(std::span<const std::byte> slots, std::size_t slot_bytes, std::uint64_t length) noexcept
      : slots_(slots), slot_bytes_(slot_bytes), length_(static_cast<std::size_t>(length)) {}

  /// Infinities and NaN have all exponent bits set. Of 8 bits only the scales are floats.
  [[nodiscard]] bool is_finite(const kv_shape& shape) const noexcept {
    if (shape.type == kv_type::f16) return has_no<std::uint16_t>(0x7C00, sizeof(std::uint16_t));
    const std::size_t step = sizeof(float) + (shape.type == kv_type::i8 ? shape.size : 0);
    return has_no<std::uint32_t>(0x7F800000, step);
  }
  template <class Bits>
  [[nodiscard]] bool has_no(Bits exponent, std::size_t step) const noexcept {
    for (std::size_t at = 0; at < slots_.size(); at += step) {
      Bits bits;
      std::memcpy(&bits, slots_.data() + at, sizeof bits);
      if ((bits & exponent) == exponent) return false;
    }
    return true;
  }

  std::span<const std::byte> slots_;
  std::size_t slot_bytes_;
  std::size_t length_;
};

}  // namespace decant::inline DECANT_ABI

#endif
