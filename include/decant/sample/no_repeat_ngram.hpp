// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// No repeated n-gram. Rule: a token is banned when the last n - 1 tokens, followed by it, already occur in the text.
// Parameters: n, 0 is off; 1 bans every token that has occurred; usually 2 to 4.
// Edge cases: fewer than n tokens of text ban nothing. When every token is banned the law is `row_empty`.
// Engine differences: only Hugging Face has it, over prompt and output, and it refuses to batch it continuously because
// it reads the whole text at every step; here the text is a part of the state, so it works on every node of a tree.
// Source: Paulus et al. 2017, arXiv 1705.04304; transformers (NoRepeatNGramLogitsProcessor).
#ifndef DECANT_SAMPLE_NO_REPEAT_NGRAM_HPP
#define DECANT_SAMPLE_NO_REPEAT_NGRAM_HPP

#include <decant/sample/recent_tokens.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Bans tokens that would repeat an n-gram of the text. One pass over the text, n times that at worst.
struct no_repeat_ngram {
  std::int32_t n = 0;

  static constexpr step_traits traits{.temperature_invariant = true};
  using state_type = recent_tokens;

  [[nodiscard]] result<void> check() const {
    if (n >= 0) return {};
    return error{error_code::invalid_argument, "n of no-repeat n-gram must not be negative"};
  }

  [[nodiscard]] recent_tokens initial_state() const { return recent_tokens(n > 0 ? -1 : 0); }
  void advance(recent_tokens& state, token t) const { state.push(t); }

  template <class Real>
  void apply(candidates<Real>& set, const recent_tokens& state) const {
    const token_span text = state.view();
    if (n <= 0 || text.size() < index(n)) return;
    const std::size_t length = index(n) - 1;
    const token_span last = text.last(length);
    for (std::size_t begin = 0; begin + length < text.size(); ++begin) {
      if (!std::equal(last.begin(), last.end(), text.subspan(begin).begin())) continue;
      set.edit(text[begin + length], [](Real& logit) { logit = -std::numeric_limits<Real>::infinity(); });
    }
  }

  friend constexpr bool operator==(const no_repeat_ngram&, const no_repeat_ngram&) = default;
};

static_assert(SamplerStep<no_repeat_ngram, float> && SamplerStep<no_repeat_ngram, double>);

}  // namespace decant::inline DECANT_ABI

#endif
