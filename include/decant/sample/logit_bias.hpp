// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Logit bias. Rule: the bias of a token is added to its logit; -infinity bans the token.
// Parameters: any finite bias or -infinity per token id; ids that the vocabulary lacks have no effect, several entries
// of one id add up. banned_tokens.hpp and sequence_bias.hpp have shorter forms of a ban.
// Edge cases: banning every token makes the law `row_empty`. A token that a truncation has already dropped stays
// dropped, so the step belongs first.
// Engine differences: llama.cpp and vLLM apply it before everything else; vLLM ignored it while speculating (issue
// 38202), which changes the law.
// Source: llama.cpp, transformers (SequenceBiasLogitsProcessor with sequences of one token), vLLM.
#ifndef DECANT_SAMPLE_LOGIT_BIAS_HPP
#define DECANT_SAMPLE_LOGIT_BIAS_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// A token and what is added to its logit.
struct biased_token {
  token id = no_token;
  float bias = 0.0f;

  friend constexpr bool operator==(const biased_token&, const biased_token&) = default;
};

/// Adds `entries` to the logits. O(entries) on a dense set.
struct logit_bias {
  std::vector<biased_token> entries;

  static constexpr step_traits traits{};

  [[nodiscard]] result<void> check() const {
    for (const biased_token& entry : entries) {
      if (entry.id < 0) return complaint(entry.id, ": it must not be negative");
      if (!(entry.bias <= std::numeric_limits<float>::max())) {
        return complaint(entry.id, ": its bias must be finite, or -infinity to ban the token");
      }
    }
    return {};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    for (const biased_token& entry : entries) {
      set.edit(entry.id, [&entry](Real& logit) { logit += static_cast<Real>(entry.bias); });
    }
  }

  friend bool operator==(const logit_bias&, const logit_bias&) = default;

 private:
  [[nodiscard]] static error complaint(token id, const char* words) {
    return {error_code::invalid_argument, fixed_text<118>("logit bias of token ").append_number(id).append(words)};
  }
};

static_assert(SamplerStep<logit_bias, float> && SamplerStep<logit_bias, double>);

}  // namespace decant::inline DECANT_ABI

#endif
