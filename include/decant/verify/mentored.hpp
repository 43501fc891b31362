// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mentored decoding ("an optimal lossy variant" of speculative sampling, Tran-Thien, 2023): of all laws pi with
// KL(p || pi) <= D the one that accepts most drafts, i.e. with the largest sum of min(pi, q):
//   pi = q if KL(p || q) <= D, else pi(v) = clip(q(v), p(v) / b, p(v) / a) with 0 < a <= 1 <= b:
// b makes the sum 1 for a given a, and KL(p || pi) falls to 0 as a rises to 1, so a is found by bisection. With the
// tokens sorted by p / q, prefix sums give b and the divergence of any a in O(log V).
// Tokens the target excludes get no mass unless pi = q; where p has zeros a part of the budget may then stay unused.
// The form of the optimum is derived (Karush-Kuhn-Tucker), checked against random search in the tests.
// Guarantee: lossy, exactly pi; KL(p || pi) <= D up to rounding. D = 0 is the base verifier, bit for bit.
// Needs: draft rows. Complexity: one sort, O(V log V), at each visited node.
// Worked example (p = (.5,.3,.2), q = (.2,.3,.5), D = .05): a = .607044, b = 1.349402, pi = (.370534,.3,.329466),
// acceptance .829466.
#ifndef DECANT_VERIFY_MENTORED_HPP
#define DECANT_VERIFY_MENTORED_HPP

#include <decant/verify/transform_verifier.hpp>

namespace decant::inline DECANT_ABI {

struct mentored {
  static constexpr bool needs_draft_row = true;

  double budget = 0.05;  ///< D, in nats

  /// The two bounds: pi lies between p / upper and p / lower.
  struct bounds {
    double lower = 1;  ///< a
    double upper = 1;  ///< b
  };

  template <class Real>
  struct work {
    /// Tokens of positive p by ascending p / q; `p`, `q` and `divergence` (p log(p / q)) of all entries before one.
    struct entry {
      double ratio;
      double p;
      double q;
    };
    struct sums {
      double p = 0;
      double q = 0;
      double divergence = 0;
    };
    std::vector<entry> sorted;
    std::vector<sums> before;
  };

  [[nodiscard]] result<void> check() const {
    if (!(budget >= 0)) return error{error_code::invalid_argument, "mentored: budget is negative"};
    return {};
  }

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, work<Real>& scratch,
                                      distribution<Real>& out) const {
    using mass = mass_t<Real>;
    if (!(budget > 0)) return emitted_law::target;
    if (kl_divergence(site.target, site.drafted) <= budget) return emitted_law::draft;
    const bounds found = solve(site.target, site.drafted, scratch);
    return detail::write_pairwise(site.target, site.drafted, out, [&](const mass& p, const mass& q) {
      return static_cast<mass>(std::clamp(as_double(q), as_double(p) / found.upper, as_double(p) / found.lower));
    });
  }

  /// The bounds of two laws with KL(p || q) above the budget.
  template <class Real>
  [[nodiscard]] bounds solve(distribution_view<Real> p, distribution_view<Real> q, work<Real>& scratch) const {
    sort_by_ratio(p, q, scratch);
    const double least = std::min(scratch.sorted.front().ratio, 1.0);  // below it no token is capped
    if (divergence(least, upper_for(least, scratch), scratch) <= budget) return {least, upper_for(least, scratch)};
    double low = least;  // diverges by more than the budget
    double high = 1;     // does not
    for (;;) {
      const double middle = 0.5 * (low + high);
      if (!(low < middle && middle < high)) break;
      const double upper = upper_for(middle, scratch);
      (divergence(middle, upper, scratch) > budget ? low : high) = middle;
    }
    return {high, high < 1 ? upper_for(high, scratch) : 1.0};
  }

  friend constexpr bool operator==(const mentored&, const mentored&) = default;

 private:
  template <class Real>
  static void sort_by_ratio(distribution_view<Real> p, distribution_view<Real> q, work<Real>& scratch) {
    scratch.sorted.clear();
    for_each_pair(p, q, [&](token, const Real& x, const Real& y) {
      const double px = as_double(x) / as_double(p.mass());
      const double qx = as_double(y) / as_double(q.mass());
      if (!(px > 0)) return;
      scratch.sorted.push_back({qx > 0 ? px / qx : std::numeric_limits<double>::infinity(), px, qx});
    });
    std::sort(scratch.sorted.begin(), scratch.sorted.end(),
              [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
    scratch.before.assign(1, {});
    for (const auto& [ratio, px, qx] : scratch.sorted) {
      const auto& sum = scratch.before.back();
      const double added = qx > 0 ? px * std::log(ratio) : 0.0;  // never summed: such tokens lie above every bound
      scratch.before.push_back({sum.p + px, sum.q + qx, sum.divergence + added});
    }
  }

  /// Number of entries with p / q below a lower bound.
  template <class Work>
  [[nodiscard]] static std::size_t count_capped(double lower, const Work& scratch) {
    const auto end = std::partition_point(scratch.sorted.begin(), scratch.sorted.end(),
                                          [&](const auto& entry) { return entry.ratio < lower; });
    return static_cast<std::size_t>(end - scratch.sorted.begin());
  }
  /// Number of entries with p / q up to an upper bound; tokens the draft excludes are above any.
  template <class Work>
  [[nodiscard]] static std::size_t count_kept(double upper, const Work& scratch) {
    const auto end = std::partition_point(scratch.sorted.begin(), scratch.sorted.end(), [&](const auto& entry) {
      return entry.ratio <= upper && entry.ratio < std::numeric_limits<double>::infinity();
    });
    return static_cast<std::size_t>(end - scratch.sorted.begin());
  }

  /// What is left for the tokens above the upper bound when the first `kept` entries are below it.
  template <class Work>
  [[nodiscard]] static double left_above(double lower, std::size_t capped, std::size_t kept, const Work& scratch) {
    return 1 - scratch.before[capped].p / lower - (scratch.before[kept].q - scratch.before[capped].q);
  }

  /// b for a given a: the sum of pi falls as b grows; the first entry that b reaches with a sum of at most 1 tells
  /// between which two ratios it lies.
  template <class Work>
  [[nodiscard]] static double upper_for(double lower, const Work& scratch) {
    const std::size_t capped = count_capped(lower, scratch);
    const double all = scratch.before.back().p;
    std::size_t first = capped;
    std::size_t last = scratch.sorted.size();
    while (first < last) {
      const std::size_t k = first + (last - first) / 2;
      const double above = (all - scratch.before[k + 1].p) / scratch.sorted[k].ratio;
      if (above <= left_above(lower, capped, k + 1, scratch)) {
        last = k;
      } else {
        first = k + 1;
      }
    }
    const double left = left_above(lower, capped, first, scratch);
    const double above = all - scratch.before[first].p;
    return left > 0 && above > 0 ? std::max(1.0, above / left) : std::numeric_limits<double>::infinity();
  }

  /// KL(p || pi).
  template <class Work>
  [[nodiscard]] static double divergence(double lower, double upper, const Work& scratch) {
    const std::size_t capped = count_capped(lower, scratch);
    const std::size_t kept = std::max(capped, count_kept(upper, scratch));
    const double above = scratch.before.back().p - scratch.before[kept].p;
    const double below = scratch.before[capped].p;
    double sum = scratch.before[kept].divergence - scratch.before[capped].divergence;
    if (below > 0) sum += below * std::log(lower);
    if (above > 0) sum += above * std::log(upper);
    return sum;
  }
};

/// Mentored decoding.
template <class Base = recursive_rejection>
using mentored_decoding = transform_verifier<mentored, Base>;

static_assert(Verifier<mentored_decoding<>>);

}  // namespace decant::inline DECANT_ABI

#endif
