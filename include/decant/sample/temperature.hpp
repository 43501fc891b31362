// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Temperature. Rule: every logit is divided by T. T <= 0 keeps only the best candidate in canonical order (ties: lowest
// id), which is greedy decoding.
// Parameters: value, any finite number; 1 is off.
// Edge cases: a T so small that the best logit over T overflows divides the distance to the best logit instead, the
// same law. Temperature is a step of its own right: greedy only where it stands in the chain.
// Engine differences: llama.cpp applies it last, so every truncation sees the untempered law, Hugging Face and vLLM
// before the truncations; the same numbers then keep different tokens (presets.hpp). llama.cpp breaks ties by array
// order; vLLM is greedy below 1e-5; Hugging Face refuses 0.
// Source: softmax temperature as in llama.cpp, transformers and vLLM.
#ifndef DECANT_SAMPLE_TEMPERATURE_HPP
#define DECANT_SAMPLE_TEMPERATURE_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Divides the logits by `value`; `value` <= 0 keeps the argmax. O(candidates); no pass over a dense set, which only
/// remembers it.
struct temperature {
  float value = 1.0f;

  [[nodiscard]] result<void> check() const {
    if (std::isfinite(value)) return {};
    return error{error_code::invalid_argument, "the temperature must be a finite number"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(value > 0)) {
      set.keep_best(1);
    } else if (value != 1.0f) {
      const auto divisor = static_cast<Real>(value);
      const Real top = set.best().logit;
      if (std::isfinite(top) && !std::isfinite(top / divisor)) {
        set.map_increasing([=](Real logit) { return (logit - top) / divisor; });
      } else {
        set.divide_by(divisor);
      }
    }
  }

  friend constexpr bool operator==(const temperature&, const temperature&) = default;
};

static_assert(SamplerStep<temperature, float> && SamplerStep<temperature, double>);

}  // namespace decant::inline DECANT_ABI

#endif
