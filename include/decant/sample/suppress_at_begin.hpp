// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Suppress at begin. Rule: the listed tokens are banned as the first token of the output.
// Parameters: tokens.
// Edge cases: a list that bans every token makes the law `row_empty` there.
// Engine differences: only Hugging Face has it (begin_suppress_tokens), for speech models that must not begin with a
// blank or an end.
// Source: transformers (SuppressTokensAtBeginLogitsProcessor).
#ifndef DECANT_SAMPLE_SUPPRESS_AT_BEGIN_HPP
#define DECANT_SAMPLE_SUPPRESS_AT_BEGIN_HPP

#include <decant/sample/banned_tokens.hpp>
#include <decant/sample/text_position.hpp>

namespace decant::inline DECANT_ABI {

/// Bans `tokens` at one position. O(tokens) on a dense set.
struct suppress_at_begin {
  std::vector<token> tokens;

  static constexpr step_traits traits{.temperature_invariant = true};
  using state_type = text_position;

  [[nodiscard]] result<void> check() const {
    return detail::check_ids(tokens, " of the tokens suppressed at begin is negative");
  }

  [[nodiscard]] text_position initial_state() const { return {}; }
  void advance(text_position& state, token) const { ++state.value; }
  void begin_output(text_position& state) const { state = {}; }

  template <class Real>
  void apply(candidates<Real>& set, text_position at) const {
    if (at.value == 0) detail::ban(set, tokens);
  }

  friend bool operator==(const suppress_at_begin&, const suppress_at_begin&) = default;
};

static_assert(SamplerStep<suppress_at_begin, float> && SamplerStep<suppress_at_begin, double>);

}  // namespace decant::inline DECANT_ABI

#endif
