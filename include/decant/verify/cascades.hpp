// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speculative cascades (arXiv 2405.19261): a cascade (keep the small model's token unless a rule defers to the large
// one) carried out by speculative execution. Rules for a whole position defer (pi = p) or trust the draft (pi = q):
//   chow: max q < 1 - alpha; chow_log: H(q) > alpha; difference: max q < max p - alpha;
//   optimal: max q < max p - alpha TV(p, q), the plug-in rule for a 0-1 loss plus alpha times the rejections.
// Rules for single tokens defer those with r(v) = 1: pi(v) = q(v) (1 - r(v)) + p(v) sum r q, where r(v) = 1 when
//   token_v1: q(v) < max p - alpha; token_v2: p(v) < max p - alpha; token_v3: p(v) < (1 - alpha) max p.
// chow_log, token_v1 and token_v2 are written from memory of the paper; optimal and token_v3 agree with released code.
// Guarantee: lossy, exactly pi, whose quality may exceed the target's. `strict` always defers: the base verifier, bit
// for bit. Acceptance need not grow with trust: a token rule whose trusted tokens the draft dislikes accepts less.
// Needs: draft rows. Complexity: a few passes over the laws of each visited node.
// Worked example (p = (.5,.3,.2), q = (.2,.3,.5)): optimal with alpha 0 or .1 trusts, with -1 defers; chow with .1
// defers; token_v3 with .4 trusts the first two tokens, pi = (.45,.45,.1), acceptance .6 (exact: .7).
#ifndef DECANT_VERIFY_CASCADES_HPP
#define DECANT_VERIFY_CASCADES_HPP

#include <decant/core/distances.hpp>
#include <decant/verify/transform_verifier.hpp>

namespace decant::inline DECANT_ABI {

enum class cascade_rule : std::uint8_t { chow, chow_log, difference, optimal, token_v1, token_v2, token_v3 };

struct cascade {
  static constexpr bool needs_draft_row = true;
  template <class Real>
  struct work {
    distribution<Real> mixed;
  };

  cascade_rule rule = cascade_rule::optimal;
  double alpha = 0;
  bool strict = false;  ///< always defer
  /// Emit the most probable token of pi. At temperature 0 the laws are one-hot and most rules degenerate: keep the
  /// samplers at temperature 1 and set this instead [reconstructed].
  bool greedy = false;

  [[nodiscard]] result<void> check() const {
    if (std::isnan(alpha)) return error{error_code::invalid_argument, "cascade: alpha is not a number"};
    return {};
  }

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, work<Real>& scratch,
                                      distribution<Real>& out) const {
    if (!greedy) return mixture(site.target, site.drafted, out);
    const emitted_law mixed = mixture(site.target, site.drafted, scratch.mixed);
    if (mixed == emitted_law::failed) return mixed;
    const auto law = mixed == emitted_law::target  ? site.target
                     : mixed == emitted_law::draft ? site.drafted
                                                   : scratch.mixed.view();
    out.assign_one_hot(argmax(law), law.vocab_size());
    return emitted_law::written;
  }

  friend constexpr bool operator==(const cascade&, const cascade&) = default;

 private:
  template <class Real>
  [[nodiscard]] emitted_law mixture(distribution_view<Real> p, distribution_view<Real> q,
                                    distribution<Real>& out) const {
    if (strict) return emitted_law::target;
    const double top_p = p.probability(argmax(p));
    if (rule < cascade_rule::token_v1) return defers(p, q, top_p) ? emitted_law::target : emitted_law::draft;
    using mass = mass_t<Real>;
    const detail::draft_share trusted = trusted_tokens(top_p);
    const mass eta = std::max<mass>(mass(1) - detail::covered_mass(p, q, trusted), mass(0));
    return detail::write_sum(p, q, out, eta, mass(1), trusted);
  }

  /// The tokens that a token rule does not defer.
  [[nodiscard]] detail::draft_share trusted_tokens(double top_p) const {
    using key = detail::draft_share::key;
    if (rule == cascade_rule::token_v1) return {key::draft, top_p - alpha};
    if (rule == cascade_rule::token_v2) return {key::target, top_p - alpha};
    return {key::target, (1 - alpha) * top_p};
  }

  template <class Real>
  [[nodiscard]] bool defers(distribution_view<Real> p, distribution_view<Real> q, double top_p) const {
    if (rule == cascade_rule::chow_log) return entropy(q) > alpha;
    const double top_q = q.probability(argmax(q));
    if (rule == cascade_rule::chow) return top_q < 1 - alpha;
    if (rule == cascade_rule::difference) return top_q < top_p - alpha;
    return top_q < top_p - alpha * as_double(total_variation(p, q));
  }
};

/// A speculative cascade.
template <class Base = recursive_rejection>
using speculative_cascade = transform_verifier<cascade, Base>;

static_assert(Verifier<speculative_cascade<>>);

}  // namespace decant::inline DECANT_ABI

#endif
