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

#include <decant/core/law_blend.hpp>

namespace decant::inline DECANT_ABI {

/// The running residual of one node. Reused from node to node and from step to step; allocates only to warm up.
template <class Real>
class running_residual {
 public:
  using mass = mass_t<Real>;

  /// Starts from the target law of a node, which stays as it is and must outlive the use: nothing is copied until a
  /// child is rejected.
  void reset(distribution<Real>&&) = delete;  // it must outlive the use
  void reset(distribution_view<Real> target) {
    target_ = target;
    is_reduced_ = false;
    // Both buffers play the same parts at every node: equal steps then need no memory but that of the first.
    if (is_swapped_) std::swap(current_, next_);
    is_swapped_ = false;
  }

  /// The current law, unnormalised, of positive mass.
  [[nodiscard]] distribution_view<Real> law() const noexcept { return is_reduced_ ? current_.view() : target_; }

  /// Subtracts the proposal law `proposal / proposal_mass` of a rejected child from `scale` times the current law.
  /// `proposal_mass` is the mass left in the proposal (smaller than `proposal.mass()` once siblings were drawn from it
  /// without replacement: their tokens already have residual 0, so they need not be masked out here).
  /// Returns the total S = sum over v of max(scale R(v) - Q(v), 0) in normalised units; when it is zero the law stays.
  mass subtract(distribution_view<Real> proposal, const mass& proposal_mass, const mass& scale = mass(1)) {
    const mass before = law().mass();
    const mass factor = before / proposal_mass;
    if constexpr (std::is_same_v<Real, float>) {
      if (!law().sparse() && !proposal.sparse()) return subtract_dense(proposal, scale, factor);
    }
    const auto left = [&](const Real& r, const Real& q) {
      const mass d = scale * static_cast<mass>(r) - factor * static_cast<mass>(q);
      return d > mass(0) ? static_cast<Real>(d) : Real(0);
    };
    detail::write_over(law(), proposal, left, next_);
    return take_next(next_.finish(), before);
  }

  /// Replaces the current law R by a blend of it and the proposal's: what other tests than a single one leave of it.
  /// Returns its mass in units of the old one; when it is zero the law stays.
  mass blend(distribution_view<Real> proposal, const law_blend<mass>& left) {
    const mass before = law().mass();
    return take_next(write_blend(law(), proposal, left, next_), before);
  }

  /// Removes one token, the update after rejecting a deterministic edge. When nothing else is left the law stays.
  void remove(token id) {
    const mass before = law().mass();
    take_next(next_.assign_without(law(), id), before);
  }

 private:
  /// `subtract` of two dense laws: one pass that also sums the blocks of what is left.
  mass subtract_dense(distribution_view<Real> proposal, const mass& scale, const mass& factor) {
    const auto target = law();
    const std::span<Real> weights = next_.begin_dense(target.vocab_size());
    mass* const block_masses = next_.room_for_block_masses();
    const mass total =
        cpu::best_vocabulary_kernels().subtract(target.weights().data(), proposal.weights().data(), weights.size(),
                                                scale, factor, weights.data(), block_masses);
    return take_next(block_masses == nullptr ? next_.finish() : next_.finish(total), target.mass());
  }

  /// Makes `next_` the current law unless nothing is left of it; returns its mass in units of `before`, the old one.
  mass take_next(error_code finished, const mass before) {
    const mass left = next_.view().mass();
    if (!(left > mass(0))) return mass(0);
    if (finished == error_code::none) {
      std::swap(current_, next_);
      is_swapped_ = !is_swapped_;
      is_reduced_ = true;
    }
    return left / before;
  }

  distribution_view<Real> target_;
  distribution<Real> current_;  // what is left of it, once something has been rejected
  distribution<Real> next_;
  bool is_reduced_ = false;
  bool is_swapped_ = false;
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
