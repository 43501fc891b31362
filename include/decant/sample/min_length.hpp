// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Minimum length. Rule: the tokens that end a sequence are banned until the text holds `tokens` tokens.
// Parameters: tokens, 0 is off; ends, the end-of-sequence and stop tokens; output_only: tokens of the prompt do not
// count.
// Edge cases: a vocabulary of ends alone makes the law `row_empty` until the length is reached.
// Engine differences: Hugging Face has both forms, min_length counts the prompt and min_new_tokens does not; vLLM's
// min_tokens does not, and bans the stop tokens of the request too; llama.cpp has none, it can only ban the ends for
// good.
// Under speculation a node's own path counts, so an end may be drafted as soon as plain decoding could emit it.
// Source: transformers (MinLengthLogitsProcessor, MinNewTokensLengthLogitsProcessor), vLLM (min_tokens).
#ifndef DECANT_SAMPLE_MIN_LENGTH_HPP
#define DECANT_SAMPLE_MIN_LENGTH_HPP

#include <decant/sample/banned_tokens.hpp>
#include <decant/sample/text_position.hpp>

namespace decant::inline DECANT_ABI {

/// Bans `ends` in the first `tokens` places. O(ends) on a dense set.
struct min_length {
  std::size_t tokens = 0;
  std::vector<token> ends;
  bool output_only = false;

  static constexpr step_traits traits{.temperature_invariant = true};
  using state_type = text_position;

  [[nodiscard]] result<void> check() const { return detail::check_ids(ends, " of the ends is negative"); }

  [[nodiscard]] text_position initial_state() const { return {}; }
  void advance(text_position& state, token) const { ++state.value; }
  void begin_output(text_position& state) const {
    if (output_only) state = {};
  }

  template <class Real>
  void apply(candidates<Real>& set, text_position at) const {
    if (at.value < tokens) detail::ban(set, ends);
  }

  friend bool operator==(const min_length&, const min_length&) = default;
};

static_assert(SamplerStep<min_length, float> && SamplerStep<min_length, double>);

}  // namespace decant::inline DECANT_ABI

#endif
