// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A law made of two laws p and q by
//   keep p + share min(q, limit p) + second_share min(q, second_limit p),
// what K-SEQ leaves of a target's law, and what lenience and mentored decoding emit. Its support lies inside that of p.
// Values below 0 (by rounding) count as 0. One pass: O(survivors) where p is sparse, O(vocabulary) otherwise.
#ifndef DECANT_CORE_LAW_BLEND_HPP
#define DECANT_CORE_LAW_BLEND_HPP

#include <decant/core/distances.hpp>

namespace decant::inline DECANT_ABI {

/// The coefficients, for p and q as probabilities.
template <class Mass>
struct law_blend {
  Mass keep;
  Mass share;
  Mass limit;
  Mass second_share = Mass(0);
  Mass second_limit = Mass(0);

  /// The same for weights of masses `p` and `q`, in the units of p.
  [[nodiscard]] law_blend for_weights(const Mass& p, const Mass& q) const {
    const Mass in_p = p / q;
    const Mass in_q = q / p;
    return {keep, share * in_p, limit * in_q, second_share * in_p, second_limit * in_q};
  }
  [[nodiscard]] Mass operator()(const Mass& p, const Mass& q) const {
    const Mass made =
        keep * p + share * std::min<Mass>(q, limit * p) + second_share * std::min<Mass>(q, second_limit * p);
    return made > Mass(0) ? made : Mass(0);
  }
};

namespace detail {

/// Writes the weights `weight(p(v), q(v))`, 0 where p is 0, over the entries of p; to be finished.
template <class Real, class Weight>
void write_over(distribution_view<Real> p, distribution_view<Real> q, const Weight& weight, distribution<Real>& out) {
  if (!p.sparse()) {
    const std::span<Real> weights = out.begin_dense(p.vocab_size());
    return for_each_entry(p, q, [&](token id, const Real& x, const Real& y) { weights[index(id)] = weight(x, y); });
  }
  out.begin_sparse(p.vocab_size());
  for_each_entry(p, q, [&](token id, const Real& x, const Real& y) {
    const Real written = weight(x, y);
    if (written > Real(0)) out.push(id, written);
  });
}

/// Writes the blend of two laws that kernels take.
template <class Real>
[[nodiscard]] error_code write_blend_by_kernel(distribution_view<Real> p, distribution_view<Real> q,
                                               const law_blend<mass_t<Real>>& made, distribution<Real>& out) {
  const std::span<Real> weights = out.begin_dense(p.vocab_size());
  mass_t<Real>* const block_masses = out.room_for_block_masses();
  const cpu::blend_rule rule{made.keep, made.share, made.limit, made.second_share, made.second_limit};
  return out.finish(cpu::best_vocabulary_kernels().blend(p.weights().data(), q.weights().data(), weights.size(), rule,
                                                         weights.data(), block_masses));
}

}  // namespace detail

/// Writes the law with the mass that it has in units of p's mass. Fails as `distribution::finish` does.
template <class Real>
[[nodiscard]] error_code write_blend(distribution_view<Real> p, distribution_view<Real> q,
                                     const law_blend<mass_t<Real>>& blend, distribution<Real>& out) {
  using mass = mass_t<Real>;
  const law_blend<mass> made = blend.for_weights(p.mass(), q.mass());
  if constexpr (std::is_same_v<Real, float>) {
    if (detail::are_for_kernels(p, q)) return detail::write_blend_by_kernel(p, q, made, out);
  }
  const auto weight = [&](const Real& x, const Real& y) {
    return static_cast<Real>(made(static_cast<mass>(x), static_cast<mass>(y)));
  };
  detail::write_over(p, q, weight, out);
  return out.finish();
}

}  // namespace decant::inline DECANT_ABI

#endif
