// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_REFERENCE_FNV_HASH_HPP
#define DECANT_REFERENCE_FNV_HASH_HPP

#include <decant/config.hpp>

#include <cstdint>

namespace decant::inline DECANT_ABI {

/// FNV-1a over values of up to 64 bits: notices damage and tells files apart, but not those made to be mistaken.
class fnv_hash {
 public:
  constexpr void add(std::uint64_t value) noexcept { sum_ = (sum_ ^ value) * 0x100000001B3U; }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return sum_; }

 private:
  std::uint64_t sum_ = 0xCBF29CE484222325U;
};

}  // namespace decant::inline DECANT_ABI

#endif
