// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Eta sampling. Rule: a candidate stays when its probability is at least min(epsilon, sqrt(epsilon) * exp(-H)), with H
// the entropy of the current set in nats: the flatter the law, the lower the bar.
// Parameters: epsilon in [0, 1); epsilon <= 0 is off; the paper's values are 3e-4 to 4e-3. min_keep >= 1: never fewer
// than this many.
// Edge cases: banned tokens count nothing towards H. exp(-H) is at most the largest probability, so the best candidate
// always passes.
// Engine differences: Hugging Face's documentation prints sqrt(epsilon * exp(-H)), its code is as here and in the
// paper; llama.cpp and vLLM do not have it.
// Source: Hewitt, Manning, Liang 2022, arXiv 2210.15191; transformers (EtaLogitsWarper).
#ifndef DECANT_SAMPLE_ETA_CUTOFF_HPP
#define DECANT_SAMPLE_ETA_CUTOFF_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Keeps candidates above a bar that falls with the entropy. One pass with an exponential per candidate and one over
/// the blocks that hold survivors.
struct eta_cutoff {
  float epsilon = 0.0f;
  std::size_t min_keep = 1;

  static constexpr step_traits traits{.keeps_argmax = true};

  [[nodiscard]] result<void> check() const {
    if (!(epsilon >= 0.0f && epsilon < 1.0f)) {
      return error{error_code::invalid_argument, "epsilon of the eta cutoff must lie in [0, 1)"};
    }
    if (min_keep >= 1) return {};
    return error{error_code::invalid_argument, "min_keep of the eta cutoff must be at least 1"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    if (!(epsilon > 0.0f)) return;
    const soft_max_sums sums = set.soft_max(true);
    const auto bar = static_cast<double>(epsilon);
    const double eta = std::min(bar, std::sqrt(bar) * std::exp(-sums.entropy));
    set.keep_at_least(static_cast<Real>(sums.logit_of(eta)), min_keep);
  }

  friend constexpr bool operator==(const eta_cutoff&, const eta_cutoff&) = default;
};

static_assert(SamplerStep<eta_cutoff, float> && SamplerStep<eta_cutoff, double>);

}  // namespace decant::inline DECANT_ABI

#endif
