// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Entropy of a law and distances between laws. Each is one pass, by the vocabulary kernels where dense laws of float
// are long enough to be worth it (then with logarithms of float, relative error about 1e-6), else in the scalar's own
// arithmetic or in double.
#ifndef DECANT_CORE_DISTANCES_HPP
#define DECANT_CORE_DISTANCES_HPP

#include <decant/core/distribution.hpp>
#include <decant/kernels/vocabulary.hpp>

namespace decant::inline DECANT_ABI {

namespace detail {

/// Whether the kernels take a law: dense, of float and longer than a block.
template <class Real>
[[nodiscard]] constexpr bool is_for_kernels(distribution_view<Real> law) {
  return std::is_same_v<Real, float> && !law.sparse() && law.size() > law_block;
}
template <class Real>
[[nodiscard]] constexpr bool are_for_kernels(distribution_view<Real> a, distribution_view<Real> b) {
  return is_for_kernels(a) && is_for_kernels(b) && a.size() == b.size();
}

/// Sum of p log(p + shift) over the tokens of positive probability.
template <class Real>
[[nodiscard]] double log_sum(distribution_view<Real> law, double shift) {
  const double mass = as_double(law.mass());
  if constexpr (std::is_same_v<Real, float>) {
    if (is_for_kernels(law)) {
      return cpu::best_vocabulary_kernels().log_sum(law.weights().data(), law.size(), static_cast<float>(1 / mass),
                                                    static_cast<float>(shift)) /
             mass;
    }
  }
  double sum = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    const double p = as_double(law.weight(i)) / mass;
    if (p > 0) sum += p * std::log(p + shift);
  }
  return sum;
}

/// Calls `visit(v, p(v), q(v))`, normalised, for every token stored in either law; dense laws in a plain loop.
template <class Real, class Visit>
void for_each_probability(distribution_view<Real> p, distribution_view<Real> q, Visit&& visit) {
  using mass = mass_t<Real>;
  const auto visit_weights = [&](token id, const Real& x, const Real& y) {
    visit(id, mass(static_cast<mass>(x) / p.mass()), mass(static_cast<mass>(y) / q.mass()));
  };
  if (p.sparse() || q.sparse()) return for_each_pair(p, q, visit_weights);
  for (std::size_t i = 0; i < p.size(); ++i) visit_weights(static_cast<token>(i), p.weight(i), q.weight(i));
}

}  // namespace detail

/// Shannon entropy in nats.
template <class Real>
[[nodiscard]] double entropy(distribution_view<Real> law) {
  return law.size() == 0 ? 0.0 : 0.0 - detail::log_sum(law, 0);
}

/// Sum of max(p - factor q, 0) over the vocabulary.
template <class Real>
[[nodiscard]] mass_t<Real> excess(distribution_view<Real> p, distribution_view<Real> q, const mass_t<Real>& factor) {
  using mass = mass_t<Real>;
  if constexpr (std::is_same_v<Real, float>) {
    if (detail::are_for_kernels(p, q)) {
      return cpu::best_vocabulary_kernels().subtract(p.weights().data(), q.weights().data(), p.size(), 1 / p.mass(),
                                                     factor / q.mass(), nullptr, nullptr);
    }
  }
  mass sum(0);
  detail::for_each_probability(p, q, [&](token, const mass& x, const mass& y) {
    const mass difference = x - factor * y;
    if (difference > mass(0)) sum += difference;
  });
  return sum;
}

/// Sum of min(limit p, q) over the vocabulary.
template <class Real>
[[nodiscard]] mass_t<Real> overlap(distribution_view<Real> p, distribution_view<Real> q, const mass_t<Real>& limit) {
  using mass = mass_t<Real>;
  if constexpr (std::is_same_v<Real, float>) {
    if (detail::are_for_kernels(p, q)) {
      const auto scale = static_cast<float>(limit * q.mass() / p.mass());
      return cpu::best_vocabulary_kernels().overlap(p.weights().data(), q.weights().data(), p.size(), scale) / q.mass();
    }
  }
  mass sum(0);
  detail::for_each_probability(p, q, [&](token, const mass& x, const mass& y) { sum += std::min(mass(limit * x), y); });
  return sum;
}

/// Total variation distance, half the L1 distance of the normalised laws; in the scalar's own arithmetic, so 0 is exact
/// for exact scalars.
template <class Real>
[[nodiscard]] mass_t<Real> total_variation(distribution_view<Real> a, distribution_view<Real> b) {
  using mass = mass_t<Real>;
  if (detail::are_for_kernels(a, b)) return excess(a, b, mass(1));
  mass sum(0);
  detail::for_each_probability(a, b, [&](token, const mass& x, const mass& y) { sum += x < y ? y - x : x - y; });
  return sum / mass(2);
}

/// Kullback-Leibler divergence of `b` from `a` in nats; infinite when `a` has mass where `b` has none.
template <class Real>
[[nodiscard]] double kl_divergence(distribution_view<Real> a, distribution_view<Real> b) {
  if constexpr (std::is_same_v<Real, float>) {
    if (detail::are_for_kernels(a, b)) {
      const auto scale = static_cast<float>(b.mass() / a.mass());
      return cpu::best_vocabulary_kernels().divergence(a.weights().data(), b.weights().data(), a.size(), scale) /
             a.mass();
    }
  }
  const double all_a = as_double(a.mass());
  const double all_b = as_double(b.mass());
  double sum = 0;
  for_each_pair(a, b, [&](token, const Real& x, const Real& y) {
    const double p = as_double(x) / all_a;
    const double q = as_double(y) / all_b;
    if (p > 0) sum += q > 0 ? p * std::log(p / q) : std::numeric_limits<double>::infinity();
  });
  return sum;
}

/// Jensen-Shannon divergence in nats: the mean divergence of the two laws from their even mixture; at most log 2.
template <class Real>
[[nodiscard]] double jensen_shannon(distribution_view<Real> a, distribution_view<Real> b) {
  if constexpr (std::is_same_v<Real, float>) {
    if (detail::are_for_kernels(a, b)) {
      return cpu::best_vocabulary_kernels().jensen_shannon(a.weights().data(), b.weights().data(), a.size(),
                                                           static_cast<float>(1 / a.mass()),
                                                           static_cast<float>(1 / b.mass()));
    }
  }
  const double per_a = 1 / as_double(a.mass());
  const double per_b = 1 / as_double(b.mass());
  double sum = 0;
  double apart = 0;  // of tokens that only one of the laws has: each gives its probability times log 2
  for_each_pair(a, b, [&](token, const Real& x, const Real& y) {
    const double p = as_double(x) * per_a;
    const double q = as_double(y) * per_b;
    if (p > 0 && q > 0) {
      sum += p * std::log(2 * p / (p + q)) + q * std::log(2 * q / (p + q));
    } else {
      apart += p + q;
    }
  });
  return 0.5 * (sum + apart * std::log(2.0));
}

}  // namespace decant::inline DECANT_ABI

#endif
