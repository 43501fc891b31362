// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Token laws: the known next-token laws behind the toy models. A law is a value that maps a context to one weight per
// token; weights need not be normalised. Most laws exist over float, double and any exact scalar (a rational with + - *
// / < == and construction from int), so that proofs can be equalities.
#ifndef DECANT_MODEL_LAW_HPP
#define DECANT_MODEL_LAW_HPP

#include <decant/core/distribution.hpp>

#include <concepts>

namespace decant::inline DECANT_ABI {

/// `order()` of a law that looks at the whole context.
inline constexpr std::size_t whole_context = std::numeric_limits<std::size_t>::max();

/// Requirements:
/// - `value_type`: the scalar of the weights;
/// - `vocab_size()`: number of tokens;
/// - `order()`: how many of the last tokens of the context matter, `whole_context` when all do;
/// - `weights(context, out)`: writes the `vocab_size()` weights after `context`, all >= 0 and one > 0, a pure function
///   of the context. The context holds ordinary tokens only and may be empty.
template <class L>
concept TokenLaw = requires(const L& law, token_span context, std::span<typename L::value_type> out) {
  typename L::value_type;
  { law.vocab_size() } -> std::convertible_to<std::size_t>;
  { law.order() } -> std::convertible_to<std::size_t>;
  law.weights(context, out);
};

namespace detail {

/// The last `count` tokens of a context, or all of a shorter one.
[[nodiscard]] constexpr token_span last_tokens(token_span context, std::size_t count) noexcept {
  return context.last(std::min(count, context.size()));
}

template <class Real>
[[nodiscard]] mass_t<Real> sum_of(std::span<const Real> weights) {
  mass_t<Real> sum(0);
  for (const Real& weight : weights) sum += static_cast<mass_t<Real>>(weight);
  return sum;
}

}  // namespace detail

/// The law after a context as a distribution: `row_empty` or `row_not_finite` when the law breaks its promise.
/// Complexity: one call of `weights`.
template <TokenLaw L>
[[nodiscard]] error_code law_after(const L& law, token_span context, distribution<typename L::value_type>& out) {
  law.weights(context, out.begin_dense(law.vocab_size()));
  return out.finish();
}

}  // namespace decant::inline DECANT_ABI

#endif
