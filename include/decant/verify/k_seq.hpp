// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// K-SEQ of SpecTr (arXiv 2310.15141): k independent draws of one row are tested alike, each accepted with probability
// min(1, p(x) / (rho q(x))), where the damping rho in [1, k] is as small as it can be with a law still left over:
//   beta = sum min(q, p / rho),   c = (1 - (1 - beta)^k) / beta = sum over j < k of (1 - beta)^j,   c <= rho;
//   none accepted (probability (1 - beta)^k): a token from norm(p - c min(q, p / rho)).
// rho is found by bisection and its upper end is taken, which keeps the left-over law non-negative. c is computed as
// the sum, in which nothing cancels.
// Below a node every maximal run of independent draws from one row is a group of this kind, against what the draws
// before it left of the target's law; a point mass or a draw without replacement is tested as in recursive rejection.
// Guarantee: exact in law for counted trees with true edge laws; with groups of one it is recursive rejection, bit for
// bit. Accepts at least 1 - 1/e of what is possible.
// Needs: target law of visited nodes, edge laws, a number of draws that is settled before the first of them: rho
// depends on it. Complexity: one pass to find rho and one per rejected group on the accepted path; a halving looks only
// at the tokens whose p / q is still between its ends.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two draws): rho = 1.5, 1.75 tokens a step, where
// recursive rejection has 1.73.
#ifndef DECANT_VERIFY_K_SEQ_HPP
#define DECANT_VERIFY_K_SEQ_HPP

#include <decant/verify/rejection_walk.hpp>

namespace decant::inline DECANT_ABI {

/// How a group of independent draws is tested.
template <class Mass>
struct damping {
  Mass rho{1};    ///< a token is accepted with probability min(1, p / (rho q))
  Mass share{1};  ///< c above: what the whole group accepts of a token, over min(q, p / rho)
};

/// Finds the damping of a group. Reused from group to group.
template <class Real>
class damping_search {
 public:
  using mass = mass_t<Real>;

  /// The smallest legal rho for k draws, or (k - 1) / 2^40 more. O(entries), expected.
  [[nodiscard]] damping<mass> find(distribution_view<Real> target, distribution_view<Real> proposal, std::size_t k) {
    DECANT_PRECONDITION(k >= 1);
    if (k == 1) return {};
    mass low(1);
    mass high(static_cast<int>(k));
    list(target, proposal);
    settle(low, high);
    for (int i = 0; i < halvings; ++i) {
      const mass middle = (low + high) / mass(2);
      (share(k, middle) <= middle ? high : low) = middle;
      settle(low, high);
    }
    return {high, share(k, high)};
  }

 private:
  static constexpr int halvings = 40;

  struct entry {
    mass p;
    mass q;
  };

  /// Tokens that can be accepted, as probabilities.
  void list(distribution_view<Real> target, distribution_view<Real> proposal) {
    contested_.clear();
    by_proposal_ = by_target_ = mass(0);
    for_each_pair(target, proposal, [&](token, const Real& p, const Real& q) {
      if (!(p > Real(0) && q > Real(0))) return;
      contested_.push_back({static_cast<mass>(p) / target.mass(), static_cast<mass>(q) / proposal.mass()});
    });
  }

  /// Drops the tokens for which min(q, p / rho) is on the same side everywhere in [low, high].
  void settle(const mass& low, const mass& high) {
    std::size_t kept = 0;
    for (const entry& one : contested_) {
      if (one.p >= high * one.q) {
        by_proposal_ += one.q;
      } else if (one.p <= low * one.q) {
        by_target_ += one.p;
      } else {
        contested_[kept++] = one;
      }
    }
    contested_.resize(kept);
  }

  /// c at `rho`.
  [[nodiscard]] mass share(std::size_t k, const mass& rho) const {
    mass overlap = by_proposal_ + by_target_ / rho;
    for (const entry& one : contested_) overlap += std::min<mass>(one.q, one.p / rho);
    const mass missed = mass(1) - overlap;
    mass sum(1);
    for (std::size_t j = 1; j < k; ++j) sum = mass(1) + missed * sum;
    return sum;
  }

  std::vector<entry> contested_;
  mass by_proposal_{0};  ///< of settled tokens accepted whenever they are drawn
  mass by_target_{0};    ///< of the other settled tokens
};

struct k_seq {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::counted_laws;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  struct work {
    running_residual<Real> residual;
    detail::draw_list<Real> draws;
    damping_search<Real> search;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    return detail::verify_in_groups(draft, target, chance, root_position, scratch, out, no_limit,
                                    [&](auto group) { return test_group(chance, root_position, group, scratch); });
  }

  friend constexpr bool operator==(k_seq, k_seq) { return true; }

 private:
  static constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

  template <class Real, class Chance>
  [[nodiscard]] static node_id test_group(Chance& chance, std::uint64_t root_position,
                                          std::span<const detail::listed_draw<Real>> group, work<Real>& scratch) {
    using mass = mass_t<Real>;
    const distribution_view<Real> running = scratch.residual.law();
    const distribution_view<Real> proposal = group.front().drawn.row;
    const damping<mass> found = scratch.search.find(running, proposal, group.size());
    for (const auto& one : group) {
      const mass wanted = static_cast<mass>(running.weight_of(one.drawn.id)) * proposal.mass();
      const mass offered = static_cast<mass>(one.drawn.weight) * running.mass();
      if (chance.accept(accept_key(root_position, one.draw.coin), wanted, found.rho * offered)) return one.draw.child;
    }
    const mass factor = running.mass() / proposal.mass();
    scratch.residual.update(proposal, [&](const Real& r, const Real& q) {
      const mass p = static_cast<mass>(r);
      const mass d = p - found.share * std::min<mass>(factor * static_cast<mass>(q), p / found.rho);
      return d > mass(0) ? static_cast<Real>(d) : Real(0);
    });
    return no_node;
  }
};

static_assert(Verifier<k_seq>);

}  // namespace decant::inline DECANT_ABI

#endif
