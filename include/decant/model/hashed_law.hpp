// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A pseudo-random law for any vocabulary and any depth, without tables: the weight of a token is a pure function
// (Philox4x32-10) of the seed, the last `order` tokens and the token. Heavy-tailed like language: with u uniform the
// weight is u^-sharpness, so the r-th largest probability falls like r^-sharpness (Zipf), and which token has which
// rank is new in every context. Sharpness 1 resembles word frequencies, 2 (top probability about 0.6) the conditional
// laws of a language model. Weights are powers of integers, equal on every machine and compiler.
#ifndef DECANT_MODEL_HASHED_LAW_HPP
#define DECANT_MODEL_HASHED_LAW_HPP

#include <decant/core/philox.hpp>
#include <decant/model/law.hpp>

namespace decant::inline DECANT_ABI {

template <class Real>
class hashed_law {
 public:
  using value_type = Real;

  std::uint64_t seed = 0;
  std::size_t vocabulary = 2;   ///< number of tokens, at least 1
  std::size_t context = 4;      ///< how many last tokens matter; `whole_context` for all
  int sharpness = 2;            ///< exponent of the tail: 0 (uniform) to 4
  std::uint8_t zero_share = 0;  ///< in 256ths: how many tokens of a row have weight 0 on average; one always stays

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocabulary; }
  [[nodiscard]] std::size_t order() const noexcept { return context; }

  /// O(V + tokens that matter): one Philox block per four tokens.
  void weights(token_span before, std::span<Real> out) const {
    DECANT_PRECONDITION(sharpness >= 0 && sharpness <= 4);
    const std::uint64_t name = name_of(detail::last_tokens(before, context));
    philox_block bits{};
    for (std::size_t v = 0; v < vocabulary; ++v) {
      if (v % 4 == 0) bits = block(static_cast<std::uint32_t>(v / 4), weight_stream, name);
      const std::uint32_t word = bits[v % 4];
      const bool zero = (word & 0xFFu) < zero_share && v != name % vocabulary;
      out[v] = zero ? Real(0) : power(static_cast<int>(largest / ((word >> 8) + 1)));
    }
  }

  friend bool operator==(const hashed_law&, const hashed_law&) = default;

 private:
  static constexpr std::uint32_t weight_stream = 0xFFFFFFFFu;  // no place of a context has this number
  static constexpr std::uint32_t largest = 1u << 30;

  [[nodiscard]] philox_block block(std::uint32_t number, std::uint32_t stream, std::uint64_t name) const noexcept {
    return philox4x32({number, stream, static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(name >> 32)}, seed);
  }

  /// 64 bits that stand for a context, its length included.
  [[nodiscard]] std::uint64_t name_of(token_span tokens) const noexcept {
    std::uint64_t name = tokens.size();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const philox_block bits = block(static_cast<std::uint32_t>(tokens[i]), static_cast<std::uint32_t>(i), name);
      name = (std::uint64_t{bits[0]} << 32) | bits[1];
    }
    return name;
  }

  [[nodiscard]] Real power(int base) const {
    Real result(1);
    for (int i = 0; i < sharpness; ++i) result = result * Real(base);
    return result;
  }
};

static_assert(TokenLaw<hashed_law<float>> && TokenLaw<hashed_law<double>>);

}  // namespace decant::inline DECANT_ABI

#endif
