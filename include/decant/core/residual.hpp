// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Residual arithmetic of the coupling verifiers. A running target law R (a copy of the target's law at one node, kept
// unnormalised with its mass) loses the proposal law Q of each rejected child:
//   R'(v) = max(a R(v)/m_R - Q(v)/m_Q, 0)   up to a common factor.
// R' is supported inside R, so a sparse R stays sparse whatever Q is. Differences are formed in `mass_t<Real>` (double
// for float rows), entries whose residual is zero are dropped, and a residual that vanishes by rounding leaves the last
// non-empty R in place, from which the caller samples.
// One pass per rejected child: O(survivors) when R is sparse, O(vocabulary) otherwise.
#ifndef DECANT_CORE_RESIDUAL_HPP
#define DECANT_CORE_RESIDUAL_HPP

#include <decant/core/distribution.hpp>

namespace decant::inline DECANT_ABI {

/// The running residual of one node. Reused from node to node and from step to step; allocates only to warm up.
template <class Real>
class running_residual {
 public:
  using mass = mass_t<Real>;

  /// Starts from the target law of a node. Copies it, so that no row another node reads is ever written.
  void reset(distribution_view<Real> target) { current_.assign(target); }

  /// The current law, unnormalised, of positive mass.
  [[nodiscard]] distribution_view<Real> law() const noexcept { return current_.view(); }

  /// Subtracts the proposal law `proposal / proposal_mass` of a rejected child from `scale` times the current law.
  /// `proposal_mass` is the mass left in the proposal (smaller than `proposal.mass()` once siblings were drawn from it
  /// without replacement: their tokens already have residual 0, so they need not be masked out here).
  /// Returns the total S = sum over v of max(scale R(v) - Q(v), 0) in normalised units; when it is zero the law stays.
  mass subtract(distribution_view<Real> proposal, const mass& proposal_mass, const mass& scale = mass(1)) {
    const mass factor = current_.view().mass() / proposal_mass;
    return update(proposal, [&](const Real& r, const Real& q) {
      const mass d = scale * static_cast<mass>(r) - factor * static_cast<mass>(q);
      return d > mass(0) ? static_cast<Real>(d) : Real(0);
    });
  }

  /// Replaces the weight r of every token by `left(r, q)`, where q is its weight in `proposal`: what other tests than a
  /// single one leave of the law. `left` is never negative, and 0 where r is 0. Returns the sum of the new weights over
  /// the old mass; when it is zero the law stays.
  template <class Left>
  mass update(distribution_view<Real> proposal, const Left& left) {
    const auto target = current_.view();
    mass total(0);
    if (target.sparse()) {
      update_sparse(target, proposal, left, total);
    } else {
      update_dense(target, proposal, left, total);
    }
    if (!(total > mass(0))) return mass(0);
    const mass normalised = total / target.mass();
    if (next_.finish(total) == error_code::none) std::swap(current_, next_);
    return normalised;
  }

  /// Removes one token, the update after rejecting a deterministic edge. When nothing else is left the law stays.
  void remove(token id) {
    const auto target = current_.view();
    next_.begin_sparse(target.vocab_size());
    mass total(0);
    if (target.sparse()) {
      for (std::size_t i = 0; i < target.size(); ++i) {
        if (target.id(i) != id) keep(target.id(i), target.weight(i), total);
      }
    } else {
      const auto weights = next_.begin_dense(target.vocab_size());
      for (std::size_t i = 0; i < target.size(); ++i) {
        weights[i] = static_cast<token>(i) == id ? Real(0) : target.weight(i);
        total += static_cast<mass>(weights[i]);
      }
    }
    if (total > mass(0) && next_.finish(total) == error_code::none) std::swap(current_, next_);
  }

 private:
  void keep(token id, const Real& weight, mass& total) {
    if (!(weight > Real(0))) return;
    next_.push(id, weight);
    total += static_cast<mass>(weight);
  }

  template <class Left>
  void update_sparse(distribution_view<Real> target, distribution_view<Real> proposal, const Left& left, mass& total) {
    next_.begin_sparse(target.vocab_size());
    std::size_t j = 0;
    for (std::size_t i = 0; i < target.size(); ++i) {
      const token id = target.id(i);
      if (!proposal.sparse()) {
        keep(id, left(target.weight(i), proposal.weight_of(id)), total);
        continue;
      }
      while (j < proposal.size() && proposal.id(j) < id) ++j;
      const bool shared = j < proposal.size() && proposal.id(j) == id;
      keep(id, left(target.weight(i), shared ? proposal.weight(j) : Real(0)), total);
    }
  }

  template <class Left>
  void update_dense(distribution_view<Real> target, distribution_view<Real> proposal, const Left& left, mass& total) {
    const auto weights = next_.begin_dense(target.vocab_size());
    if (proposal.sparse()) {
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = left(target.weight(i), Real(0));
      for (std::size_t j = 0; j < proposal.size(); ++j) {
        const std::size_t i = index(proposal.id(j));
        weights[i] = left(target.weight(i), proposal.weight(j));
      }
    } else {
      for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = left(target.weight(i), proposal.weight(i));
      }
    }
    for (const Real& weight : weights) total += static_cast<mass>(weight);
  }

  distribution<Real> current_;
  distribution<Real> next_;
};

/// Mass of a law without the tokens of `removed` (ascending ids), summed afresh: used when the running difference has
/// lost its precision because one removed token held nearly all mass.
template <class Real>
[[nodiscard]] mass_t<Real> mass_without(distribution_view<Real> law, token_span removed) {
  mass_t<Real> total(0);
  std::size_t next = 0;
  for (std::size_t i = 0; i < law.size(); ++i) {
    while (next < removed.size() && removed[next] < law.id(i)) ++next;
    if (next < removed.size() && removed[next] == law.id(i)) continue;
    total += static_cast<mass_t<Real>>(law.weight(i));
  }
  return total;
}

}  // namespace decant::inline DECANT_ABI

#endif
