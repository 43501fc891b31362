// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lists of forbidden and of allowed tokens. Rule of the first: the listed tokens are banned; of the second: all others
// are.
// Parameters: token ids; those that the vocabulary lacks have no effect. An empty list of allowed tokens is off.
// Edge cases: a list that bans every token makes the law `row_empty`, as a logit bias does: the caller asked for it. A
// token that a truncation has already dropped stays dropped, so both steps belong first.
// Engine differences: Hugging Face calls the first suppress_tokens; vLLM the second allowed_token_ids, and refuses an
// empty list; llama.cpp spells a ban as a logit bias of -infinity.
// Source: transformers (SuppressTokensLogitsProcessor), vLLM v1/sample.
#ifndef DECANT_SAMPLE_BANNED_TOKENS_HPP
#define DECANT_SAMPLE_BANNED_TOKENS_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// Bans tokens that are still in the race. O(tokens) on a dense set.
template <class Real>
void ban(candidates<Real>& set, token_span tokens) {
  for (const token id : tokens) {
    set.edit(id, [](Real& logit) { logit = -std::numeric_limits<Real>::infinity(); });
  }
}

/// Complains of a negative token id; `words` name the list.
[[nodiscard]] inline result<void> check_ids(token_span tokens, const char* words) {
  for (const token id : tokens) {
    if (id < 0) {
      return error{error_code::invalid_argument, fixed_text<118>("token ").append_number(id).append(words)};
    }
  }
  return {};
}

}  // namespace detail

/// Bans `tokens`. O(tokens) on a dense set.
struct banned_tokens {
  std::vector<token> tokens;

  static constexpr step_traits traits{.temperature_invariant = true};

  [[nodiscard]] result<void> check() const { return detail::check_ids(tokens, " of the banned tokens is negative"); }

  template <class Real>
  void apply(candidates<Real>& set) const {
    detail::ban(set, tokens);
  }

  friend bool operator==(const banned_tokens&, const banned_tokens&) = default;
};

/// Bans all tokens but these, unless there are none. One pass; the set becomes sparse.
class allowed_tokens {
 public:
  static constexpr step_traits traits{.temperature_invariant = true};

  allowed_tokens() = default;
  /// In any order.
  explicit allowed_tokens(std::vector<token> tokens) : sorted_(std::move(tokens)) {
    std::sort(sorted_.begin(), sorted_.end());
  }

  [[nodiscard]] result<void> check() const { return detail::check_ids(sorted_, " of the allowed tokens is negative"); }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (sorted_.empty()) return;
    auto next = sorted_.begin();
    set.filter([&](token id, Real) {  // candidates come in ascending id order
      while (next != sorted_.end() && *next < id) ++next;
      return next != sorted_.end() && *next == id;
    });
  }

  friend bool operator==(const allowed_tokens&, const allowed_tokens&) = default;

 private:
  std::vector<token> sorted_;
};

static_assert(SamplerStep<banned_tokens, float> && SamplerStep<banned_tokens, double>);
static_assert(SamplerStep<allowed_tokens, float> && SamplerStep<allowed_tokens, double>);

}  // namespace decant::inline DECANT_ABI

#endif
