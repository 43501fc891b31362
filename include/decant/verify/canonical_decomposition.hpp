// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Canonical decomposition of two-draft sampling (arXiv 2410.18234): of two independent draws one is selected by a rule
// that looks at p, q and the pair only ("importance sampling"); the selected token then passes one single-draft test
// against the law q' that selection gives it, with residual norm(relu(p - q')). Exact for any rule; the rule decides
// how often it accepts, sum of min(p, q').
// The rule here is ours, reconstructed from that idea (the paper solves a linear program): tokens are ranked by p / q
// decreasing (many of nearly equal ratio by id); of two different ones the one of better rank, v, is selected with
// probability f(v), else the other, so
//   q'(v) = q(v) ( q(v) + 2 D(v) + 2 f(v) (q-mass of worse ranks) ),   D(v) = sum over better u of q(u) (1 - f(u)),
// and from the best rank down f(v) is what makes q'(v) = p(v), kept in [0, 1]: each token takes what it needs and
// leaves the rest to those below. f = 1/2 would be one draft alone.
// No rule accepts more than `optimal_acceptance_independent` says. On random rows this one comes, on average, within
// 0.002 of that bound at 4 tokens and within 0.0001 at 60, where K-SEQ stays 0.03 to 0.07 and recursive rejection 0.04
// to 0.09 below it; there it was never worse than one draft alone.
// Below a node every two consecutive independent draws of one row form a pair, tested against what the draws before
// left of the target's law; all other draws are tested as in recursive rejection.
// Guarantee: exact in law for counted trees with true edge laws.
// Needs: target law of visited nodes, edge laws, a number of draws that is settled before the first of them.
// Complexity: a few passes over the draft row for each pair on the accepted path, and one for each rejected pair.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two draws): 1.79 tokens a step, the best possible.
#ifndef DECANT_VERIFY_CANONICAL_DECOMPOSITION_HPP
#define DECANT_VERIFY_CANONICAL_DECOMPOSITION_HPP

#include <decant/verify/rejection_walk.hpp>

#include <array>
#include <bit>

namespace decant::inline DECANT_ABI {

/// Selects one of two independent draws of a row. Reused from pair to pair.
template <class Real>
class pair_selection {
 public:
  using mass = mass_t<Real>;

  /// Prepares the rule for one target law and one row. O(row size).
  void prepare(distribution_view<Real> target, distribution_view<Real> proposal) {
    read_ratios(target, proposal);
    rank();
    wins_.assign(proposal.size(), mass(0));
    weights_.assign(proposal.size(), Real(0));
    mass passed_down(0);
    mass worse(0);
    for (const std::uint32_t place : ranked_) worse += static_cast<mass>(proposal.weight(place)) / proposal.mass();
    for (const std::uint32_t place : ranked_) {
      const mass q = static_cast<mass>(proposal.weight(place)) / proposal.mass();
      worse -= q;
      const mass least = q + mass(2) * passed_down;
      const mass more = mass(2) * worse;
      const mass missing = ratios_[place] - least;
      const mass wins = !(missing > mass(0)) ? mass(0) : missing < more ? mass(missing / more) : mass(1);
      wins_[place] = wins;
      weights_[place] = static_cast<Real>(q * (least + wins * more));
      passed_down += q * (mass(1) - wins);
    }
    write_law(proposal);
  }

  /// The law of the selected token.
  [[nodiscard]] distribution_view<Real> law() const noexcept { return selected_.view(); }

  /// The one of better rank among two different tokens, and the probability with which it is selected.
  struct contest {
    token favourite;
    mass wins;
  };
  /// O(row size). Precondition: the row gives both tokens weight.
  [[nodiscard]] contest between(token a, token b) const {
    const distribution_view<Real> law = selected_.view();
    const auto found = std::find_if(ranked_.begin(), ranked_.end(),
                                    [&](std::uint32_t place) { return law.id(place) == a || law.id(place) == b; });
    DECANT_PRECONDITION(found != ranked_.end());
    return {law.id(*found), wins_[*found]};
  }

 private:
  /// Buckets of p / q: the first one from 2 up, where a token always wins; then 64 for every halving.
  static constexpr std::size_t buckets = 1024;
  static constexpr int dropped_bits = 17;
  static constexpr std::uint32_t first_key = std::bit_cast<std::uint32_t>(2.0f) >> dropped_bits;
  static constexpr std::size_t fine = 32;  ///< buckets of up to so many tokens are sorted

  /// p / q by place in the row; negative for tokens that cannot be drawn.
  void read_ratios(distribution_view<Real> target, distribution_view<Real> proposal) {
    ratios_.resize(proposal.size());
    std::size_t i = 0;
    for (std::size_t place = 0; place < proposal.size(); ++place) {
      const token id = proposal.id(place);
      while (target.sparse() && i < target.size() && target.id(i) < id) ++i;
      const bool shared = !target.sparse() || (i < target.size() && target.id(i) == id);
      const Real p = !shared ? Real(0) : target.sparse() ? target.weight(i) : target.weight_of(id);
      const auto q = static_cast<mass>(proposal.weight(place));
      ratios_[place] = q > mass(0) ? mass(static_cast<mass>(p) * proposal.mass() / (target.mass() * q)) : mass(-1);
    }
  }

  /// The order decides how good the rule is, not whether it is exact, so a coarse one will do for many tokens: by
  /// bucket, and inside small buckets by ratio; equals by id.
  void rank() {
    begins_.fill(0);
    for (const mass& ratio : ratios_) {
      if (!(ratio < mass(0))) ++begins_[bucket_of(ratio) + 1];
    }
    for (std::size_t b = 0; b < buckets; ++b) begins_[b + 1] += begins_[b];
    ranked_.resize(begins_[buckets]);
    ends_ = begins_;
    for (std::size_t place = 0; place < ratios_.size(); ++place) {
      if (!(ratios_[place] < mass(0))) ranked_[ends_[bucket_of(ratios_[place])]++] = static_cast<std::uint32_t>(place);
    }
    for (std::size_t b = 0; b < buckets; ++b) {
      if (begins_[b + 1] - begins_[b] > fine) continue;
      std::sort(ranked_.begin() + begins_[b], ranked_.begin() + begins_[b + 1], [&](std::uint32_t x, std::uint32_t y) {
        return ratios_[x] == ratios_[y] ? x < y : ratios_[y] < ratios_[x];
      });
    }
  }

  /// By the exponent of the ratio as float and the first bits of its mantissa.
  [[nodiscard]] static std::size_t bucket_of(const mass& ratio) {
    const auto key = std::bit_cast<std::uint32_t>(static_cast<float>(std::min(as_double(ratio), 2.0))) >> dropped_bits;
    return key >= first_key ? 0 : std::min<std::size_t>(first_key - key, buckets - 1);
  }

  void write_law(distribution_view<Real> proposal) {
    if (proposal.sparse()) {
      selected_.begin_sparse(proposal.vocab_size());
      for (std::size_t i = 0; i < proposal.size(); ++i) selected_.push(proposal.id(i), weights_[i]);
    } else {
      const std::span<Real> weights = selected_.begin_dense(proposal.vocab_size());
      std::copy(weights_.begin(), weights_.end(), weights.begin());
    }
    [[maybe_unused]] const error_code status = selected_.finish();
    DECANT_PRECONDITION(status == error_code::none);
  }

  std::vector<mass> ratios_;           ///< p / q, by place in the row
  std::vector<mass> wins_;             ///< f, by place
  std::vector<Real> weights_;          ///< of the selected token's law, by place
  std::vector<std::uint32_t> ranked_;  ///< places, best rank first
  std::array<std::uint32_t, buckets + 1> begins_{};
  std::array<std::uint32_t, buckets + 1> ends_{};
  distribution<Real> selected_;
};

struct canonical_decomposition {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::counted_laws;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  struct work {
    running_residual<Real> residual;
    detail::draw_list<Real> draws;
    pair_selection<Real> selection;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    return detail::verify_in_groups(draft, target, chance, root_position, scratch, out, 2,
                                    [&](auto pair) { return test_pair(chance, root_position, pair, scratch); });
  }

  friend constexpr bool operator==(canonical_decomposition, canonical_decomposition) { return true; }

 private:
  template <class Real, class Chance>
  [[nodiscard]] static node_id test_pair(Chance& chance, std::uint64_t root_position,
                                         std::span<const detail::listed_draw<Real>> pair, work<Real>& scratch) {
    scratch.selection.prepare(scratch.residual.law(), pair[0].drawn.row);
    detail::listed_draw<Real> selected = pair[select(chance, root_position, pair, scratch.selection)];
    const distribution_view<Real> law = scratch.selection.law();
    selected.drawn.row = law;
    selected.drawn.weight = law.weight_of(selected.drawn.id);
    selected.drawn.mass = law.mass();
    if (selected.drawn.impossible()) return no_node;  // only by underflow
    return detail::test_draw(chance, root_position, selected, scratch.residual);
  }

  /// Which of the two is selected, 0 or 1.
  template <class Real, class Chance>
  [[nodiscard]] static std::size_t select(Chance& chance, std::uint64_t root_position,
                                          std::span<const detail::listed_draw<Real>> pair,
                                          const pair_selection<Real>& selection) {
    using mass = mass_t<Real>;
    const token first = pair[0].drawn.id;
    const token second = pair[1].drawn.id;
    if (first == second) return 0;
    const auto contest = selection.between(first, second);
    const chance_key key{root_position, chance_purpose::other, static_cast<std::uint32_t>(pair[1].draw.coin)};
    const bool favourite_is_second = contest.favourite == second;
    return chance.accept(key, contest.wins, mass(1)) == favourite_is_second ? 1 : 0;
  }
};

static_assert(Verifier<canonical_decomposition>);

}  // namespace decant::inline DECANT_ABI

#endif
