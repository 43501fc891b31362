// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Toys to prove policies on: a target law and a draft law over a small vocabulary, both depending on the whole context.
// Golden ones, random ones, and the extreme ones that mistakes hide from: zeros, equal laws, one-hot laws, disjoint
// supports. All weights are integers, so that every scalar holds them exactly or nearly so.
#ifndef DECANT_PROOF_TOYS_HPP
#define DECANT_PROOF_TOYS_HPP

#include <decant/model/hashed_law.hpp>
#include <decant/model/shifted_law.hpp>

#include <functional>
#include <string>

namespace decant::inline DECANT_ABI::proof {

/// Any token law behind one type.
template <class Real>
class erased_law {
 public:
  using value_type = Real;

  template <TokenLaw Law>
  erased_law(Law law)  // NOLINT(google-explicit-constructor): a law is a law
      : vocab_size_(law.vocab_size()),
        order_(law.order()),
        write_([law = std::move(law)](token_span context, std::span<Real> out) { law.weights(context, out); }) {}
  /// From a function `write(context, out)`.
  erased_law(std::size_t vocab_size, std::function<void(token_span, std::span<Real>)> write)
      : vocab_size_(vocab_size), order_(whole_context), write_(std::move(write)) {}

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t order() const noexcept { return order_; }
  void weights(token_span context, std::span<Real> out) const { write_(context, out); }

 private:
  std::size_t vocab_size_;
  std::size_t order_;
  std::function<void(token_span, std::span<Real>)> write_;
};

/// A target and a draft model over one vocabulary.
template <class Real>
struct toy {
  std::string name;
  erased_law<Real> target;
  erased_law<Real> draft;
  std::vector<token> prompt{0};  ///< committed tokens before the first step

  [[nodiscard]] std::size_t vocab_size() const noexcept { return target.vocab_size(); }
};

/// The toys of the golden values: V = 4; for A, p = (.4 .3 .2 .1) and q = (.1 .4 .2 .3) at the root; for B,
/// p = (.35 .3 .2 .15) and q = (.15 .15 .3 .4), whose residual has two tokens.
template <class Real>
[[nodiscard]] toy<Real> toy_a() {
  using law = shifted_law<Real>;
  return {"A", law::toy_a_target(1), law::toy_a_draft(1)};
}
template <class Real>
[[nodiscard]] toy<Real> toy_b() {
  using law = shifted_law<Real>;
  return {"B", law::toy_b_target(1), law::toy_b_draft(1)};
}

/// A law with all mass on the most probable token of another: temperature 0.
template <class Real>
[[nodiscard]] erased_law<Real> one_hot(erased_law<Real> law) {
  return {law.vocab_size(), [law](token_span context, std::span<Real> out) {
            law.weights(context, out);
            const token best = argmax(distribution_view<Real>(out, decant::detail::sum_of<Real>(out)));
            for (std::size_t v = 0; v < out.size(); ++v) out[v] = Real(static_cast<token>(v) == best ? 1 : 0);
          }};
}

/// A law restricted to the tokens of one parity (0 or 1).
template <class Real>
[[nodiscard]] erased_law<Real> only_parity(erased_law<Real> law, std::size_t parity) {
  return {law.vocab_size(), [law, parity](token_span context, std::span<Real> out) {
            law.weights(context, out);
            for (std::size_t v = 1 - parity; v < out.size(); v += 2) out[v] = Real(0);
            if (!(Real(0) < decant::detail::sum_of<Real>(out))) out[parity] = Real(1);
          }};
}

/// `a` after contexts with an even sum of tokens and length, `b` after the others.
template <class Real>
[[nodiscard]] erased_law<Real> alternating(erased_law<Real> a, erased_law<Real> b) {
  return {a.vocab_size(), [a, b](token_span context, std::span<Real> out) {
            auto sum = static_cast<std::int64_t>(context.size());
            for (const token t : context) sum += t;
            (sum % 2 == 0 ? a : b).weights(context, out);
          }};
}

/// Number `number` of an endless list of random toys. Vocabulary 2 to 5; every second one has tokens of weight zero; of
/// each ten, one has p == q everywhere, one at half of the contexts, one a one-hot target, one a one-hot draft, one
/// disjoint supports.
template <class Real>
[[nodiscard]] toy<Real> random_toy(std::uint32_t number) {
  constexpr std::uint8_t three_in_ten = 77;
  const std::size_t vocab_size = 2 + number % 4;
  const std::uint8_t zeros = number / 4 % 2 == 1 ? three_in_ten : std::uint8_t{0};
  const erased_law<Real> p = hashed_law<Real>{2 * number + 1, vocab_size, whole_context, 1, zeros};
  const erased_law<Real> q = hashed_law<Real>{2 * number + 2, vocab_size, whole_context, 1, zeros};
  const std::string name = "random " + std::to_string(number) + " (V=" + std::to_string(vocab_size) + ")";
  switch (number % 10) {
    case 4: return {name + " p=q", p, p};
    case 5: return {name + " p=q at times", p, alternating(p, q)};
    case 6: return {name + " one-hot p", one_hot(p), q};
    case 7: return {name + " one-hot q", p, one_hot(q)};
    case 8: return {name + " disjoint", only_parity(p, 0), only_parity(q, 1)};
    default: return {name, p, q};
  }
}

/// Toys A and B and the first `random_count` random ones, as far as their vocabulary is at most `largest_vocab`.
template <class Real>
[[nodiscard]] std::vector<toy<Real>> standard_toys(std::size_t largest_vocab = 4, std::uint32_t random_count = 20) {
  std::vector<toy<Real>> toys{toy_a<Real>(), toy_b<Real>()};
  for (std::uint32_t i = 0; i < random_count; ++i) toys.push_back(random_toy<Real>(i));
  std::erase_if(toys, [&](const toy<Real>& one) { return one.vocab_size() > largest_vocab; });
  return toys;
}

}  // namespace decant::inline DECANT_ABI::proof

#endif
