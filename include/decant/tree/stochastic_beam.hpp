// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stochastic beam search (arXiv 1903.06059) as RSD-S drafts with it (Recursive Speculative Decoding, arXiv 2402.14160):
// level by level the `width` prefixes of largest Gumbel-perturbed log probability, which is a sample of sequences
// without replacement; siblings in the order of decreasing perturbed values. One draft pass per level.
//
// The published form perturbs every child of the beam: phi = log q(path), G ~ Gumbel(phi) given that the largest G
// among the children of a prefix is the prefix's own, and keeps the largest G. Here the same law is drawn without noise
// on the children. With T = exp(-G) it is a race: every full path arrives at an exponential time of rate q(path), a
// prefix arrives with the first of its paths, and a level keeps the first `width` prefixes whose parent is kept. A race
// can be told event by event, since exponential times do not age: which prefix arrives next is independent of when.
// With the beam s_1, ..., s_n of a level in order of arrival, its next level is
//   for k = 1, ..., n:  the first child of s_k arrives, together with s_k itself; then, again and again:
//     a = sum over i <= k of q(s_i) (share of s_i's row that is not drawn yet),
//     b = rate at which the beam's level went on after s_k (0 after its last one);
//     with probability a / (a + b) another child arrives before s_(k+1) does: below s_i with probability
//     proportional to i's part of a, drawn without replacement; otherwise s_(k+1) is next;
//   until `width` children have arrived. The rate at which the new level goes on after an arrival is its a + b.
// So all randomness is coins and picks, which proofs enumerate, in any scalar; there is no noise per token, no
// logarithm and no cancellation at depth. The law of the trees equals that of lazy Plackett-Luce draws over the full
// paths (proved by enumeration, in rationals) and that of the conditional Gumbels (tested by frequencies).
// Reconstructed: no code of RSD was found; this event form is derived here.
//
// Guarantee: exact with every verifier of drawn trees: whether a node is given one more child depends on earlier draws
// and on coins, never on the token about to be drawn.
// Needs: a draft row per beam node. Complexity: O(width) per node besides the draws (tree/single_draws.hpp).
// Example: width 2 and row (.1 .4 .2 .3) at the root. The root's first child arrives, say token 1 (.4); b = 0, so a
// second follows, say token 3 (.3 / .6). After token 1 the level went on at rate .6, after token 3 it does not. Below:
// a child of token 1 arrives; a is .4 times what it left of the row; the next child is below token 1 again with
// probability a / (a + .6), else it is the first child of token 3.
#ifndef DECANT_TREE_STOCHASTIC_BEAM_HPP
#define DECANT_TREE_STOCHASTIC_BEAM_HPP

#include <decant/tree/builder.hpp>
#include <decant/tree/single_draws.hpp>

namespace decant::inline DECANT_ABI {

struct stochastic_beam {
  static constexpr tree_class produces = tree_class::sampled;
  static constexpr bool chains_only = false;

  std::int32_t width = 6;                    ///< nodes per level
  std::int32_t depth = 5;                    ///< levels; RSD's budgets are width * depth
  std::int32_t row_block = usual_row_block;  ///< see tree/single_draws.hpp; another block draws other tokens

  /// `invalid_argument` when a field is out of range.
  [[nodiscard]] result<void> check() const {
    if (width < 0) return error{error_code::invalid_argument, "stochastic_beam: width is negative"};
    if (depth < 0) return error{error_code::invalid_argument, "stochastic_beam: depth is negative"};
    if (row_block < 1) return error{error_code::invalid_argument, "stochastic_beam: row_block is not positive"};
    return {};
  }

  template <class Real>
  class work {
    friend stochastic_beam;
    using mass = mass_t<Real>;

    struct member {
      mass probability;  // of its path, up to a factor of its level
      mass rate_after;   // at which the level went on after it arrived, up to the same factor
    };

    std::vector<node_id> nodes_;    // the beam in order of arrival: the nodes whose rows are wanted
    std::vector<member> beam_;      // one for each
    std::vector<node_id> arrived_;  // the next level
    std::vector<member> arrivals_;  // one for each
    std::vector<mass> rates_;       // by member of the beam whose own arrival is told: rate of its next child
    single_draws<Real> draws_;
    std::int32_t draws_left_ = 0;
    std::int32_t levels_left_ = 0;
  };

  template <class Real>
  void start(work<Real>& state, const token_draft<Real>&, const draft_limits& limits) const {
    state.draws_left_ = std::max(0, limits.nodes);
    state.levels_left_ = std::min(depth, limits.depth);
    state.draws_.start(index(std::max(1, width)), std::max(1, row_block));
    state.nodes_.assign(1, 0);
    state.beam_.assign(1, {mass_t<Real>(1), mass_t<Real>(0)});
    admit(state);
  }

  template <class Real>
  [[nodiscard]] node_span wanted(const work<Real>& state) const noexcept {
    return state.nodes_;
  }

  template <class Real, class Chance>
  void grow(work<Real>& state, token_draft<Real>& draft, std::uint64_t root_position, Chance& chance) const {
    state.draws_.close_all();
    state.rates_.clear();
    state.arrived_.clear();
    state.arrivals_.clear();
    for (std::size_t k = 0; k < state.beam_.size() && !is_full(state); ++k) {
      state.draws_.open(draft, state.nodes_[k]);
      state.rates_.push_back(state.beam_[k].probability);
      let_arrive(state, draft, k, root_position, chance);
      while (!is_full(state) && comes_before_next_member(state, root_position, chance)) {
        let_arrive(state, draft, next_parent(state, root_position, chance), root_position, chance);
      }
    }
    state.draws_left_ -= static_cast<std::int32_t>(state.arrived_.size());
    --state.levels_left_;
    if (is_full(state)) state.arrivals_.back().rate_after = mass_t<Real>(0);
    std::swap(state.nodes_, state.arrived_);
    std::swap(state.beam_, state.arrivals_);
    rescale(state);
    admit(state);
  }

  friend bool operator==(const stochastic_beam&, const stochastic_beam&) = default;

 private:
  template <class Real>
  [[nodiscard]] std::size_t room(const work<Real>& state) const noexcept {
    return index(std::max(0, std::min(width, state.draws_left_)));
  }
  template <class Real>
  [[nodiscard]] bool is_full(const work<Real>& state) const noexcept {
    return state.arrived_.size() >= room(state);
  }

  /// Rate at which children of the members told so far arrive.
  template <class Real>
  [[nodiscard]] static mass_t<Real> rate_inside(const work<Real>& state) {
    return detail::sum_in_lanes<mass_t<Real>>(state.rates_);
  }

  /// Whether a child of a member told so far arrives before the next member does.
  template <class Real, class Chance>
  [[nodiscard]] static bool comes_before_next_member(work<Real>& state, std::uint64_t root_position, Chance& chance) {
    const mass_t<Real> inside = rate_inside(state);
    const mass_t<Real>& outside = state.beam_[state.rates_.size() - 1].rate_after;
    if (!(inside > mass_t<Real>(0))) return false;
    if (!(outside > mass_t<Real>(0))) return true;
    return chance.accept(state.draws_.next_key(root_position), inside, mass_t<Real>(inside + outside));
  }

  /// The member below which the next child arrives.
  template <class Real, class Chance>
  [[nodiscard]] static std::size_t next_parent(work<Real>& state, std::uint64_t root_position, Chance& chance) {
    using mass = mass_t<Real>;
    if (state.rates_.size() == 1) return 0;
    const distribution_view<mass> rates(state.rates_, rate_inside(state));
    return index(chance.pick(state.draws_.next_key(root_position), rates));
  }

  /// Draws the next child of member `k`.
  template <class Real, class Chance>
  static void let_arrive(work<Real>& state, token_draft<Real>& draft, std::size_t k, std::uint64_t root_position,
                         Chance& chance) {
    const mass_t<Real>& probability = state.beam_[k].probability;
    const node_id child = state.draws_.draw(draft, k, root_position, chance);
    state.rates_[k] = probability * state.draws_.share_left(k);
    const mass_t<Real> share = state.draws_.share_of(draft, k, draft.tree.token_of(child));
    const mass_t<Real>& outside = state.beam_[state.rates_.size() - 1].rate_after;
    state.arrived_.push_back(child);
    state.arrivals_.push_back({probability * share, rate_inside(state) + outside});
  }

  /// Takes a common factor out of a level: only ratios matter, and path probabilities would underflow at depth.
  template <class Real>
  static void rescale(work<Real>& state) {
    mass_t<Real> largest(0);
    for (const auto& m : state.beam_) largest = std::max(largest, m.probability);
    if (!(largest > mass_t<Real>(0))) return;
    for (auto& m : state.beam_) {
      m.probability = m.probability / largest;
      m.rate_after = m.rate_after / largest;
    }
  }

  /// Cuts the beam down to the members that can have children: the j-th arrival is below one of the first j members.
  template <class Real>
  void admit(work<Real>& state) const {
    const std::size_t parents = state.levels_left_ > 0 ? std::min(room(state), state.nodes_.size()) : 0;
    state.nodes_.resize(parents);
    state.beam_.resize(parents);
  }
};

static_assert(TreeBuilder<stochastic_beam> && TreeBuilder<stochastic_beam, double>);

}  // namespace decant::inline DECANT_ABI

#endif
