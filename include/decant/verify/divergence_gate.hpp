// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fuzzy speculative decoding (arXiv 2502.20704): where the two models nearly agree, the draft's law is taken as it is:
//   pi = q if D(p, q) < threshold, else p.
// D is the Jensen-Shannon divergence (in nats, at most log 2; the default), one of the two Kullback-Leibler divergences
// (the training-free judge of arXiv 2601.04766, whose direction its abstract leaves open), or total variation.
// Guarantee: lossy, exactly pi. A threshold at or below 0 is the base verifier, bit for bit.
// Needs: draft rows (whole laws). Complexity: one pass with logarithms over the laws of each visited node.
// Worked example (p = (.5,.3,.2), q = (.2,.3,.5)): JSD = .066414, so threshold .07 accepts every draft.
#ifndef DECANT_VERIFY_DIVERGENCE_GATE_HPP
#define DECANT_VERIFY_DIVERGENCE_GATE_HPP

#include <decant/core/distances.hpp>
#include <decant/verify/transform_verifier.hpp>

namespace decant::inline DECANT_ABI {

enum class divergence_kind : std::uint8_t {
  jensen_shannon,
  target_from_draft,  ///< KL(p || q)
  draft_from_target,  ///< KL(q || p)
  total_variation
};

struct divergence_gate {
  static constexpr bool needs_draft_row = true;
  template <class Real>
  using work = no_work<Real>;

  double threshold = 0.3;  ///< take the draft's law below this divergence
  divergence_kind kind = divergence_kind::jensen_shannon;

  [[nodiscard]] result<void> check() const {
    if (std::isnan(threshold)) return error{error_code::invalid_argument, "divergence_gate: threshold is not a number"};
    return {};
  }

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, no_work<Real>&,
                                      distribution<Real>&) const {
    if (!(threshold > 0)) return emitted_law::target;
    return divergence(site.target, site.drafted) < threshold ? emitted_law::draft : emitted_law::target;
  }

  /// D(p, q) of the chosen kind.
  template <class Real>
  [[nodiscard]] double divergence(distribution_view<Real> p, distribution_view<Real> q) const {
    switch (kind) {
      case divergence_kind::jensen_shannon: return jensen_shannon(p, q);
      case divergence_kind::target_from_draft: return kl_divergence(p, q);
      case divergence_kind::draft_from_target: return kl_divergence(q, p);
      case divergence_kind::total_variation: return as_double(total_variation(p, q));
    }
    return std::numeric_limits<double>::infinity();
  }

  friend constexpr bool operator==(const divergence_gate&, const divergence_gate&) = default;
};

/// Fuzzy speculative decoding.
template <class Base = recursive_rejection>
using fuzzy_verification = transform_verifier<divergence_gate, Base>;

static_assert(Verifier<fuzzy_verification<>>);

}  // namespace decant::inline DECANT_ABI

#endif
