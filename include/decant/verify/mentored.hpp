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
// Needs: draft rows. Complexity: one sort, O(V log V), at each visited node; for long dense rows three passes, with the
// tokens next to the bounds sorted.
// Worked example (p = (.5,.3,.2), q = (.2,.3,.5), D = .05): a = .607044, b = 1.349402, pi = (.370534,.3,.329466),
// acceptance .829466.
#ifndef DECANT_VERIFY_MENTORED_HPP
#define DECANT_VERIFY_MENTORED_HPP

#include <decant/core/law_blend.hpp>
#include <decant/verify/ratio_buckets.hpp>
#include <decant/verify/transform_verifier.hpp>

#include <optional>

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
    /// A token of positive p or several of nearly equal p / q, with p log(p / q).
    struct entry {
      double ratio;
      double p;
      double q;
      double divergence;
    };
    struct sums {
      double p = 0;
      double q = 0;
      double divergence = 0;
    };
    std::vector<entry> sorted;  ///< by ascending p / q
    std::vector<sums> before;   ///< of all entries before one
    std::vector<float> ratios;  ///< of long rows, by token
    std::vector<sums> buckets;
    std::vector<entry> opened;
    std::vector<token> ids;
    std::vector<float> kept[2];
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
    const double apart = kl_divergence(site.target, site.drafted);
    if (apart <= budget) return emitted_law::draft;
    const bounds found = solve(site.target, site.drafted, apart, scratch);
    // clip(q, p / b, p / a) = p / b + min(q, p / a) - min(q, p / b)
    const auto least = static_cast<mass>(1 / found.upper);
    const auto most = static_cast<mass>(1 / found.lower);
    const law_blend<mass> pi{least, mass(1), most, mass(0) - mass(1), least};
    return write_blend(site.target, site.drafted, pi, out) == error_code::none ? emitted_law::written
                                                                               : emitted_law::failed;
  }

  /// The bounds of two laws whose divergence KL(p || q) is `apart`, above the budget.
  template <class Real>
  [[nodiscard]] bounds solve(distribution_view<Real> p, distribution_view<Real> q, double apart,
                             work<Real>& scratch) const {
    if constexpr (std::is_same_v<Real, float>) {
      if (detail::are_for_kernels(p, q)) {
        if (const std::optional<bounds> found = solve_by_bucket(p, q, apart, scratch)) return *found;
      }
    }
    sort_by_ratio(p, q, scratch);
    return solve_sorted(budget, scratch);
  }

  friend constexpr bool operator==(const mentored&, const mentored&) = default;

 private:
  /// The bounds for the entries in `sorted`.
  template <class Work>
  [[nodiscard]] static bounds solve_sorted(double allowed, Work& scratch) {
    sum_up(scratch);
    const double least = std::min(scratch.sorted.front().ratio, 1.0);  // below it no token is capped
    if (divergence(least, upper_for(least, scratch), scratch) <= allowed) return {least, upper_for(least, scratch)};
    double low = least;  // diverges by more than is allowed
    double high = 1;     // does not
    for (;;) {
      const double middle = 0.5 * (low + high);
      if (!(low < middle && middle < high)) break;
      const double upper = upper_for(middle, scratch);
      (divergence(middle, upper, scratch) > allowed ? low : high) = middle;
    }
    return {high, high < 1 ? upper_for(high, scratch) : 1.0};
  }

  template <class Work>
  static void sum_up(Work& scratch) {
    scratch.before.assign(1, {});
    for (const auto& one : scratch.sorted) {
      const auto& sum = scratch.before.back();
      scratch.before.push_back({sum.p + one.p, sum.q + one.q, sum.divergence + one.divergence});
    }
  }

  /// Tokens that the draft excludes lie above every bound; their divergence is never summed.
  template <class Real>
  [[nodiscard]] static typename work<Real>::entry entry_of(double p, double q) {
    return p > 0 && q > 0 ? typename work<Real>::entry{p / q, p, q, p * std::log(p / q)}
                          : typename work<Real>::entry{std::numeric_limits<double>::infinity(), p, q, 0};
  }

  template <class Real>
  static void sort_by_ratio(distribution_view<Real> p, distribution_view<Real> q, work<Real>& scratch) {
    scratch.sorted.clear();
    for_each_pair(p, q, [&](token, const Real& x, const Real& y) {
      const double px = as_double(x) / as_double(p.mass());
      const double qx = as_double(y) / as_double(q.mass());
      if (px > 0) scratch.sorted.push_back(entry_of<Real>(px, qx));
    });
    std::sort(scratch.sorted.begin(), scratch.sorted.end(),
              [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
  }

  // --- Long rows: tokens of nearly equal ratio are taken together but for those next to the bounds ---

  using buckets = detail::ratio_buckets<-16, 16>;

  /// Buckets to be opened: those next to two bounds.
  struct windows {
    std::uint32_t lower;
    std::uint32_t upper;

    [[nodiscard]] static windows around(const bounds& found) {
      return {buckets::of(static_cast<float>(found.lower)), buckets::of(static_cast<float>(found.upper))};
    }
    [[nodiscard]] static bool is_next(std::uint32_t a, std::uint32_t b) { return a <= b + 1 && b <= a + 1; }
    [[nodiscard]] bool open(std::uint32_t bucket) const { return is_next(bucket, lower) || is_next(bucket, upper); }
  };

  /// Solves for whole buckets and then for the tokens next to these bounds. What the sums of buckets leave out of the
  /// divergence, some 1e-6 nats, is taken off the budget. Nothing when the bounds have moved further than that.
  [[nodiscard]] std::optional<bounds> solve_by_bucket(distribution_view<float> p, distribution_view<float> q,
                                                      double apart, work<float>& scratch) const {
    fill_buckets(p, q, scratch);
    list_buckets(scratch, [](std::uint32_t) { return false; });
    const windows near = windows::around(solve_sorted(budget, scratch));
    open_buckets(p, q, near, scratch);
    list_buckets(scratch, [&](std::uint32_t bucket) { return near.open(bucket); });
    sum_up(scratch);
    const double left_out = std::isinf(apart) ? 0 : std::max(apart - scratch.before.back().divergence, 0.0);
    const bounds found = solve_sorted(std::max(budget - left_out, 0.0), scratch);
    const windows there = windows::around(found);
    const bool is_inside = windows::is_next(near.lower, there.lower) && windows::is_next(near.upper, there.upper);
    return is_inside ? std::optional<bounds>(found) : std::nullopt;
  }

  static void fill_buckets(distribution_view<float> p, distribution_view<float> q, work<float>& scratch) {
    detail::write_ratios(p, q, std::numeric_limits<float>::max(), scratch.ratios);
    scratch.opened.clear();
    scratch.buckets.assign(buckets::count + 1, {});  // the last for tokens that the draft excludes
    for (std::size_t i = 0; i < p.size(); ++i) {
      const float ratio = scratch.ratios[i];
      const std::uint32_t mine = ratio < 0 ? buckets::count : buckets::of(ratio);
      const double px = static_cast<double>(p.weight(i)) / p.mass();
      const double qx = px > 0 ? static_cast<double>(q.weight(i)) / q.mass() : 0.0;
      auto& sum = scratch.buckets[mine];
      sum.p += px;
      sum.q += qx;
      if (is_wide(mine)) sum.divergence += entry_of<float>(px, qx).divergence;
    }
  }
  /// Whether the ratios of a bucket may differ by much.
  [[nodiscard]] static bool is_wide(std::uint32_t bucket) { return bucket == 0 || bucket + 1 == buckets::count; }

  /// The tokens of open buckets, by ratio.
  static void open_buckets(distribution_view<float> p, distribution_view<float> q, const windows& near,
                           work<float>& scratch) {
    scratch.opened.clear();
    const auto [first, second] = std::minmax(near.lower, near.upper);
    const bool is_one = second <= first + 2;
    open_range(p, q, first, is_one ? second : first, scratch);
    if (!is_one) open_range(p, q, second, second, scratch);
    std::sort(scratch.opened.begin(), scratch.opened.end(),
              [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
  }
  /// Adds the tokens from one bucket below `first` to one above `last`.
  static void open_range(distribution_view<float> p, distribution_view<float> q, std::uint32_t first,
                         std::uint32_t last, work<float>& scratch) {
    scratch.ids.resize(p.size() + cpu::collect_slack);
    for (auto& kept : scratch.kept) kept.resize(p.size() + cpu::collect_slack);
    const float low = buckets::start(std::max(first, 1U) - 1);
    const float high = last + 2 < buckets::count ? buckets::start(last + 2) : std::numeric_limits<float>::infinity();
    const std::size_t found = cpu::best_vocabulary_kernels()
                                  .between(nullptr, scratch.ratios.data(), p.weights().data(), p.size(), low, high,
                                           scratch.ids.data(), scratch.kept[0].data(), scratch.kept[1].data())
                                  .kept;
    for (std::size_t i = 0; i < found; ++i) {
      const double px = static_cast<double>(scratch.kept[1][i]) / p.mass();
      const double qx = static_cast<double>(q.weight_of(scratch.ids[i])) / q.mass();
      if (px > 0) scratch.opened.push_back(entry_of<float>(px, qx));
    }
  }
  /// Writes `sorted`: buckets as one entry each, those that are open token by token.
  template <class IsOpen>
  static void list_buckets(work<float>& scratch, const IsOpen& is_open) {
    scratch.sorted.clear();
    auto next = scratch.opened.begin();
    for (std::uint32_t b = 0; b < scratch.buckets.size(); ++b) {
      const auto& sum = scratch.buckets[b];
      if (!(sum.p > 0)) continue;
      if (!is_open(b)) {
        scratch.sorted.push_back(entry_of<float>(sum.p, sum.q));
        if (is_wide(b)) scratch.sorted.back().divergence = sum.divergence;
        continue;
      }
      for (; next != scratch.opened.end() && buckets::of(static_cast<float>(next->ratio)) <= b; ++next) {
        scratch.sorted.push_back(*next);
      }
    }
    for (; next != scratch.opened.end(); ++next) scratch.sorted.push_back(*next);
  }

  // --- Bounds by prefix sums ---

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
