// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Margin acceptance, after MARS (arXiv 2601.15498): the target's most probable token is accepted, and the runner-up too
// where the target is undecided between the two. MARS compares raw logits, z2 / z1 > theta, which depends on a constant
// added to all logits and misjudges negative ones. This is the form that does not: the margin z1 - z2 < m, that is
//   p2 / p1 > exp(-m).
// The ratio rule is not offered: a verifier sees laws, from which the constant is gone.
// Ties for the two ranks: lowest id first. Guarantee: lossy, see predicate_verifier.hpp; a margin of 0 accepts the most
// probable token only (greedy verification with the default correction). Needs nothing of the tree (true laws when
// OR-ed with the coin). Complexity: the heaviest blocks of the law per visited node.
// Example: p = (.5,.3,.2): p2 / p1 = .6, accepted for m > .51.
#ifndef DECANT_VERIFY_MARGIN_ACCEPTANCE_HPP
#define DECANT_VERIFY_MARGIN_ACCEPTANCE_HPP

#include <decant/verify/predicate_verifier.hpp>

namespace decant::inline DECANT_ABI {

struct margin_test {
  static constexpr bool law_only = true;
  template <class Real>
  using work = no_work<Real>;

  double margin = 0.5;  ///< m, in nats

  [[nodiscard]] result<void> check() const {
    if (!(margin >= 0)) return error{error_code::invalid_argument, "margin_test: margin is negative"};
    return {};
  }

  template <class Real>
  [[nodiscard]] auto at(const predicate_site<Real>& site, no_work<Real>&) const {
    const auto [first, second] = best_two(site.target);
    const bool is_close = as_double(second.weight) > as_double(first.weight) * std::exp(-margin);
    const token other = is_close ? second.id : no_token;
    return [top = first.id, other](token id, node_id) { return id == top || id == other; };
  }

  friend constexpr bool operator==(const margin_test&, const margin_test&) = default;

 private:
  template <class Real>
  struct pair_of_tokens {
    weighted_token<Real> first{no_token, Real(0)};
    weighted_token<Real> second{no_token, Real(0)};
  };

  template <class Real>
  [[nodiscard]] static pair_of_tokens<Real> best_two(distribution_view<Real> law) {
    pair_of_tokens<Real> best;
    visit_heaviest(law, [&](const weighted_token<Real>& entry) {
      if (best.first.id == no_token || ranks_before(entry, best.first)) {
        best.second = std::exchange(best.first, entry);
      } else if (best.second.id == no_token || ranks_before(entry, best.second)) {
        best.second = entry;
      }
      return best.second.weight;
    });
    return best;
  }
};

/// Margin acceptance, on chains and trees.
template <standard_test Standard = standard_test::none>
using margin_acceptance = predicate_verifier<margin_test, Standard>;

static_assert(Verifier<margin_acceptance<>>);

}  // namespace decant::inline DECANT_ABI

#endif
