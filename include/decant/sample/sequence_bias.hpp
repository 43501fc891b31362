// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sequence bias and bad words. Rule: for every listed sequence, when the text ends with all of its tokens but the last,
// its bias is added to the logit of the last one; -infinity bans it: a bad word.
// Parameters: entries, sequences of one token and more with any finite bias or -infinity; output_only: tokens of the
// prompt are no part of a match.
// Edge cases: several sequences that complete at once add up. The pieces of a word are the caller's to list: with and
// without a leading space, in every tokenisation that matters. Bans of every token make the law `row_empty`.
// Engine differences: Hugging Face overlooks a sequence whose beginning is the whole text so far; vLLM looks at the
// output alone (bad_words); vLLM saw only the committed tokens while speculating (pull request 19482), where a node
// must see its own path as well. llama.cpp has biases of single tokens.
// Source: transformers (SequenceBiasLogitsProcessor, NoBadWordsLogitsProcessor), vLLM.
#ifndef DECANT_SAMPLE_SEQUENCE_BIAS_HPP
#define DECANT_SAMPLE_SEQUENCE_BIAS_HPP

#include <decant/sample/recent_tokens.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// A sequence of tokens and what is added to the logit of its last one.
struct biased_sequence {
  std::vector<token> tokens;
  float bias = -std::numeric_limits<float>::infinity();

  friend bool operator==(const biased_sequence&, const biased_sequence&) = default;
};

/// Adds `entries` to the logits. O(tokens of all entries) on a dense set.
struct sequence_bias {
  std::vector<biased_sequence> entries;
  bool output_only = false;

  static constexpr step_traits traits{};
  using state_type = recent_tokens;

  [[nodiscard]] result<void> check() const {
    for (const biased_sequence& entry : entries) {
      if (entry.tokens.empty()) return error{error_code::invalid_argument, "sequence bias: a sequence is empty"};
      if (*std::min_element(entry.tokens.begin(), entry.tokens.end()) < 0) {
        return error{error_code::invalid_argument, "sequence bias: a token is negative"};
      }
      if (!(entry.bias <= std::numeric_limits<float>::max())) {
        return error{error_code::invalid_argument, "sequence bias: a bias must be finite, or -infinity to ban"};
      }
    }
    return {};
  }

  [[nodiscard]] recent_tokens initial_state() const { return recent_tokens(longest_beginning()); }
  void advance(recent_tokens& state, token t) const { state.push(t); }
  void begin_output(recent_tokens& state) const {
    if (output_only) state.clear();
  }

  template <class Real>
  void apply(candidates<Real>& set, const recent_tokens& state) const {
    for (const biased_sequence& entry : entries) {
      if (entry.tokens.empty() || !ends_with(state.view(), beginning_of(entry))) continue;
      set.edit(entry.tokens.back(), [&entry](Real& logit) { logit += static_cast<Real>(entry.bias); });
    }
  }

  friend bool operator==(const sequence_bias&, const sequence_bias&) = default;

 private:
  /// All tokens but the last.
  [[nodiscard]] static token_span beginning_of(const biased_sequence& entry) noexcept {
    return token_span(entry.tokens).first(entry.tokens.size() - 1);
  }
  [[nodiscard]] std::int32_t longest_beginning() const noexcept {
    std::size_t longest = 0;
    for (const biased_sequence& entry : entries) longest = std::max(longest, entry.tokens.size());
    return static_cast<std::int32_t>(longest == 0 ? 0 : longest - 1);
  }
};

/// Bad words: sequences that never come to an end.
[[nodiscard]] inline sequence_bias bad_words(std::vector<std::vector<token>> sequences, bool output_only = false) {
  sequence_bias step{{}, output_only};
  for (std::vector<token>& sequence : sequences) step.entries.push_back({std::move(sequence)});
  return step;
}

static_assert(SamplerStep<sequence_bias, float> && SamplerStep<sequence_bias, double>);

}  // namespace decant::inline DECANT_ABI

#endif
