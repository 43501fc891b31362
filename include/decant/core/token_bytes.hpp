// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The text of a token, for rules that look at text: stop strings, infill.
#ifndef DECANT_CORE_TOKEN_BYTES_HPP
#define DECANT_CORE_TOKEN_BYTES_HPP

#include <decant/core/types.hpp>

namespace decant::inline DECANT_ABI {

/// The bytes of a token, from whatever detokeniser the host has. A plain pair of pointers: copying allocates nothing.
struct token_bytes {
  const void* context = nullptr;
  std::span<const char> (*bytes)(const void* context, token t) = nullptr;

  explicit operator bool() const noexcept { return bytes != nullptr; }
  [[nodiscard]] std::span<const char> operator()(token t) const { return bytes(context, t); }

  /// From an object with a member `token_bytes(token)` that outlives this.
  template <class Tokenizer>
  [[nodiscard]] static token_bytes from(const Tokenizer& tokenizer) {
    return {&tokenizer, [](const void* object, token t) -> std::span<const char> {
              return static_cast<const Tokenizer*>(object)->token_bytes(t);
            }};
  }

  friend constexpr bool operator==(const token_bytes&, const token_bytes&) = default;
};

}  // namespace decant::inline DECANT_ABI

#endif
