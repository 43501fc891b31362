// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy decoding as a step. Rule: the best candidate in canonical order (ties: lowest id) stays.
// Parameters: none.
// Edge cases: the same as `temperature{0}`, for chains that say what they mean. Where it stands in the chain makes a
// difference only to steps that can change the argmax, such as XTC.
// Engine differences: llama.cpp breaks ties by array order, which sorting changes.
// Source: llama.cpp (the greedy sampler).
#ifndef DECANT_SAMPLE_GREEDY_SAMPLING_HPP
#define DECANT_SAMPLE_GREEDY_SAMPLING_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps the argmax. Dense: a pass over block maxima and one block.
struct greedy_sampling {
  static constexpr step_traits traits{.temperature_invariant = true, .keeps_argmax = true};

  template <class Real>
  void apply(candidates<Real>& set) const {
    set.keep_best(1);
  }

  friend constexpr bool operator==(greedy_sampling, greedy_sampling) { return true; }
};

static_assert(SamplerStep<greedy_sampling, float> && SamplerStep<greedy_sampling, double>);

}  // namespace decant::inline DECANT_ABI

#endif
