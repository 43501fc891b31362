// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts against known laws with a controlled error: bins of controlled mass and Pearson's chi-square with its p value.
#ifndef DECANT_TESTS_SAMPLED_GOODNESS_OF_FIT_HPP
#define DECANT_TESTS_SAMPLED_GOODNESS_OF_FIT_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

namespace decant_test {

/// The regularised incomplete gamma function Q(a, x) for a > 0: its series below a + 1, its continued fraction (by
/// Lentz's method) above.
[[nodiscard]] inline double upper_gamma(double a, double x) {
  if (!(x > 0)) return 1;
  const double factor = std::exp(a * std::log(x) - x - std::lgamma(a));
  if (x < a + 1) {
    double term = 1 / a;
    double sum = term;
    for (double n = a + 1; term > sum * 1e-16; ++n) sum += term *= x / n;
    return std::max(0.0, 1 - factor * sum);
  }
  constexpr double tiny = 1e-300;
  double b = x + 1 - a;
  double c = 1 / tiny;
  double d = 1 / b;
  double fraction = d;
  for (double i = 1; i < 10'000; ++i) {
    const double an = i * (a - i);
    b += 2;
    d = an * d + b;
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    c = b + an / c;
    c = std::abs(c) < tiny ? tiny : c;
    const double step = c * d;
    fraction *= step;
    if (std::abs(step - 1) < 1e-15) break;
  }
  return factor * fraction;
}

/// The probability that chi-square with so many degrees of freedom is at least `statistic`.
[[nodiscard]] inline double chi_square_p_value(double statistic, double degrees) {
  return degrees > 0 ? upper_gamma(degrees / 2, statistic / 2) : 1;
}

/// The total variation that a chi-square test finds with probability about .999: the smallest d whose chi-square
/// distance of at least 4 d^2 lifts the statistic that far (Abdel-Aty's cube root of the non-central law).
[[nodiscard]] inline double detectable_distance(double degrees, double samples, double alpha) {
  if (!(degrees > 0 && samples > 0)) return 1;
  double limit = 0;
  for (double step = 16 * (degrees + 16); step > 1e-6; step /= 2) {
    if (chi_square_p_value(limit + step, degrees) > alpha) limit += step;
  }
  const auto missed_too_often = [&](double shift) {
    constexpr double z = 3.0902;  // .999
    const double mean = degrees + shift;
    const double variance = 2 * (1 + shift / mean) / (9 * mean);
    return std::cbrt(limit / mean) > 1 - variance - z * std::sqrt(variance);
  };
  double shift = 0;
  for (double step = 16 * (limit + 16); step > 1e-6; step /= 2) {
    if (missed_too_often(shift + step)) shift += step;
  }
  return std::sqrt(shift / (4 * samples));
}

/// A partition of the tokens of positive probability.
struct token_bins {
  static constexpr std::size_t none = static_cast<std::size_t>(-1);  ///< of a token without probability

  std::vector<std::size_t> of;  ///< by token
  std::vector<double> mass;     ///< by bin

  [[nodiscard]] std::size_t size() const noexcept { return mass.size(); }
};

/// Consecutive tokens of `order` in bins of at least 1 / `count` of the mass each; a heavy token may fill one alone.
[[nodiscard]] inline token_bins bins_along(const std::vector<std::size_t>& order, const std::vector<double>& law,
                                           std::size_t count) {
  token_bins bins{std::vector<std::size_t>(law.size(), token_bins::none), {}};
  const double least = 1 / static_cast<double>(count);
  double open = 0;
  for (const std::size_t v : order) {
    if (!(law[v] > 0)) continue;
    bins.of[v] = bins.mass.size();
    open += law[v];
    if (open < least) continue;
    bins.mass.push_back(open);
    open = 0;
  }
  if (bins.mass.empty()) {
    bins.mass.push_back(open);
  } else {
    bins.mass.back() += open;
    for (std::size_t& bin : bins.of) bin = bin == bins.mass.size() ? bin - 1 : bin;
  }
  return bins;
}

/// Bins of neighbours in the vocabulary: they show mistakes of places (a block, a lane).
[[nodiscard]] inline token_bins bins_of_neighbours(const std::vector<double>& law, std::size_t count) {
  std::vector<std::size_t> order(law.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return bins_along(order, law, count);
}

/// Bins of like ratio of a second law to the first. A bias that is a function of the two probabilities, as those of
/// wrong verifiers are, does not cancel within them.
[[nodiscard]] inline token_bins bins_of_like_ratio(const std::vector<double>& law, const std::vector<double>& second,
                                                   std::size_t count) {
  std::vector<std::size_t> order(law.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t v) { return !(law[v] > 0); });
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const double left = second[a] * law[b];
    const double right = second[b] * law[a];
    return left != right ? left < right : a < b;
  });
  return bins_along(order, law, count);
}

/// A comparison of counts with their laws.
struct fit {
  double statistic = 0;  ///< Pearson's
  double degrees = 0;
  double samples = 0;

  [[nodiscard]] double p_value() const { return chi_square_p_value(statistic, degrees); }
};

/// Counts in cells under several conditions; the counts under each are compared with its law.
class conditional_counts {
 public:
  /// Cells that expect less are put together, as the approximation by chi-square wants it.
  static constexpr double least_expected = 10;

  /// `laws[c]`: probabilities of the cells under condition c.
  explicit conditional_counts(std::vector<std::vector<double>> laws) : laws_(std::move(laws)) {
    for (const auto& law : laws_) counts_.emplace_back(law.size(), 0.0);
  }

  void add(std::size_t condition, std::size_t cell) { ++counts_[condition][cell]; }

  [[nodiscard]] fit compared() const {
    fit all;
    for (std::size_t c = 0; c < laws_.size(); ++c) compare(laws_[c], counts_[c], all);
    return all;
  }

 private:
  static void compare(const std::vector<double>& law, const std::vector<double>& counts, fit& out) {
    const double n = std::accumulate(counts.begin(), counts.end(), 0.0);
    double rest = 0;
    double rest_expected = 0;
    double cells = 0;
    const auto add = [&](double count, double expected) {
      out.statistic += (count - expected) * (count - expected) / expected;
      ++cells;
    };
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (n * law[i] >= least_expected) {
        add(counts[i], n * law[i]);
      } else {
        rest += counts[i];
        rest_expected += n * law[i];
      }
    }
    // A small rest is left out; the others then have, but for its share of the mass, one degree of freedom less.
    if (rest_expected >= least_expected) add(rest, rest_expected);
    out.degrees += std::max(0.0, cells - 1);
    out.samples += n;
  }

  std::vector<std::vector<double>> laws_;
  std::vector<std::vector<double>> counts_;
};

/// Kolmogorov's distance of p values from the uniform law, times the root of their number: above 3 with probability
/// 3e-8 when all laws are right.
[[nodiscard]] inline double distance_from_uniform(std::vector<double> p_values) {
  std::sort(p_values.begin(), p_values.end());
  const auto n = static_cast<double>(p_values.size());
  double largest = 0;
  for (std::size_t i = 0; i < p_values.size(); ++i) {
    const auto place = static_cast<double>(i);
    largest = std::max({largest, p_values[i] - place / n, (place + 1) / n - p_values[i]});
  }
  return largest * std::sqrt(n);
}

}  // namespace decant_test

#endif
