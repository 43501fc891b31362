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
    start(target, proposal, low, high);
    for (int i = 0; i < halvings; ++i) {
      const mass middle = (low + high) / mass(2);
      (share(k, middle) <= middle ? high : low) = middle;
      settle(low, high);
    }
    return {high, share(k, high)};
  }

 private:
  static constexpr int halvings = 40;
  static constexpr std::size_t few = 512;  ///< contested tokens that are looked at one by one, in double

  /// Tokens that can be accepted: p, and q in units of p.
  void start(distribution_view<Real> target, distribution_view<Real> proposal, const mass& low, const mass& high) {
    by_proposal_ = by_target_ = mass(0);
    whole_ = target.mass();
    const mass in_p = target.mass() / proposal.mass();
    if constexpr (std::is_same_v<Real, float>) {
      if (detail::are_for_kernels(target, proposal)) {
        p_.resize(target.size() + cpu::collect_slack);
        q_.resize(target.size() + cpu::collect_slack);
        return settle_by_kernel(target.weights().data(), proposal.weights().data(), target.size(),
                                static_cast<float>(in_p), low, high);
      }
    }
    p_.clear();
    q_.clear();
    for_each_pair(target, proposal, [&](token, const Real& p, const Real& q) {
      if (!(p > Real(0) && q > Real(0))) return;
      p_.push_back(p);
      q_.push_back(static_cast<Real>(in_p * static_cast<mass>(q)));
    });
    settle(low, high);
  }

  /// Drops the tokens for which min(q, p / rho) is on the same side everywhere in [low, high].
  void settle(const mass& low, const mass& high) {
    if constexpr (std::is_same_v<Real, float>) {
      if (p_.size() > few) {
        const std::size_t count = p_.size();
        p_.resize(count + cpu::collect_slack);
        q_.resize(count + cpu::collect_slack);
        return settle_by_kernel(p_.data(), q_.data(), count, 1.0F, low, high);
      }
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < p_.size(); ++i) {
      const auto p = static_cast<mass>(p_[i]);
      const auto q = static_cast<mass>(q_[i]);
      if (p >= high * q) {
        by_proposal_ += q;
      } else if (p <= low * q) {
        by_target_ += p;
      } else {
        p_[kept] = p_[i];
        q_[kept++] = q_[i];
      }
    }
    p_.resize(kept);
    q_.resize(kept);
  }

  /// With ends that are rounded outwards: which tokens are contested does not matter to the result, only how many.
  void settle_by_kernel(const float* p, const float* q, std::size_t count, float scale, double low, double high) {
    const float below = std::nextafter(static_cast<float>(low), 0.0F);
    const float above = std::nextafter(static_cast<float>(high), std::numeric_limits<float>::max());
    const cpu::settled_masses found =
        cpu::best_vocabulary_kernels().settle(p, q, count, scale, below, above, p_.data(), q_.data());
    by_target_ += found.by_p;
    by_proposal_ += found.by_q;
    p_.resize(found.kept);
    q_.resize(found.kept);
  }

  /// c at `rho`.
  [[nodiscard]] mass share(std::size_t k, const mass& rho) const {
    const mass missed = mass(1) - (by_proposal_ + by_target_ / rho + contested_overlap(rho)) / whole_;
    mass sum(1);
    for (std::size_t j = 1; j < k; ++j) sum = mass(1) + missed * sum;
    return sum;
  }
  [[nodiscard]] mass contested_overlap(const mass& rho) const {
    if constexpr (std::is_same_v<Real, float>) {
      if (p_.size() > few) {
        return cpu::best_vocabulary_kernels().overlap(p_.data(), q_.data(), p_.size(), static_cast<float>(1 / rho));
      }
    }
    mass sum(0);
    for (std::size_t i = 0; i < p_.size(); ++i) {
      sum += std::min<mass>(static_cast<mass>(q_[i]), static_cast<mass>(p_[i]) / rho);
    }
    return sum;
  }

  std::vector<Real> p_;  ///< contested
  std::vector<Real> q_;
  mass whole_{1};
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
    scratch.residual.blend(proposal, {mass(1), mass(0) - found.share, mass(1) / found.rho});
    return no_node;
  }
};

static_assert(Verifier<k_seq>);

}  // namespace decant::inline DECANT_ABI

#endif
