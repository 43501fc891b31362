// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Canonical decomposition of two-draft sampling (arXiv 2410.18234): of two independent draws one is selected by a rule
// that looks at p, q and the pair only ("importance sampling"); the selected token then passes one single-draft test
// against the law q' that selection gives it, with residual norm(relu(p - q')). Exact for any rule; the rule decides
// how often it accepts, sum of min(p, q').
// The rule here is ours, reconstructed from that idea (the paper solves a linear program): tokens are ranked by p / q
// decreasing; of two different ones the one of better rank r is selected with probability f(r), else the other, and the
// first draw where they share a rank. With Q(r) the q-mass of a rank,
//   q'(v) = q(v) ( Q(r) + 2 D(r) + 2 f(r) (q-mass of worse ranks) ),   D(r) = sum over better s of Q(s) (1 - f(s)),
// and from the best rank down f(r) is what makes the q'-mass of the rank its p-mass, kept in [0, 1]: each takes what it
// needs and leaves the rest to those below. f = 1/2 would be one draft alone. In rows of up to 1,024 tokens each has a
// rank of its own; in longer ones those share it whose ratios differ by less than 1/256 of a halving.
// No rule accepts more than `optimal_acceptance_independent` says. On random rows this one comes, on average, within
// 0.002 of that bound at 4 tokens and within 0.0001 at 60, where K-SEQ stays 0.03 to 0.07 and recursive rejection 0.04
// to 0.09 below it; there it was never worse than one draft alone.
// Below a node every two consecutive independent draws of one row form a pair, tested against what the draws before
// left of the target's law; all other draws are tested as in recursive rejection.
// Guarantee: exact in law for counted trees with true edge laws.
// Needs: target law of visited nodes, edge laws, a number of draws that is settled before the first of them.
// Complexity: three passes over the draft row for each pair on the accepted path (a sort of short rows), and one for
// each rejected pair.
// Worked example (V = 4, p = (.4,.3,.2,.1), q = (.1,.4,.2,.3), two draws): 1.79 tokens a step, the best possible.
#ifndef DECANT_VERIFY_CANONICAL_DECOMPOSITION_HPP
#define DECANT_VERIFY_CANONICAL_DECOMPOSITION_HPP

#include <decant/verify/ratio_buckets.hpp>
#include <decant/verify/rejection_walk.hpp>

namespace decant::inline DECANT_ABI {

/// Selects one of two independent draws of a row. Reused from pair to pair.
template <class Real>
class pair_selection {
 public:
  using mass = mass_t<Real>;

  /// Rows of up to so many tokens give each a rank of its own.
  std::size_t fully_ranked = 1024;

  /// Prepares the rule for one target law and one row. O(row size).
  void prepare(distribution_view<Real> target, distribution_view<Real> proposal) {
    read_ratios(target, proposal);
    if (proposal.size() <= fully_ranked) {
      rank_one_by_one(target, proposal);
    } else {
      rank_by_bucket(proposal);
    }
    solve(proposal.mass());
    write_law(proposal);
  }

  /// The law of the selected token.
  [[nodiscard]] distribution_view<Real> law() const noexcept { return selected_.view(); }

  /// The one of better rank among two different tokens, the first if they share one, and the probability with which it
  /// is selected.
  struct contest {
    token favourite;
    mass wins;
  };
  /// O(log row size). Precondition: the row gives both tokens weight.
  [[nodiscard]] contest between(token a, token b) const {
    const std::size_t of_a = rank_of(a);
    const std::size_t of_b = rank_of(b);
    if (of_a == of_b) return {a, mass(1)};
    return {of_a < of_b ? a : b, ranks_[std::min(of_a, of_b)].wins};
  }

 private:
  /// From 2 up a token always wins.
  using buckets = detail::ratio_buckets<-15, 1>;
  static constexpr float most = 2;
  static constexpr int resolution = 1 << 24;  ///< of the ratios that stand for buckets

  /// Tokens of one rank together.
  struct rank {
    mass ratio{0};  ///< p / q
    mass q{0};
    mass wins{0};  ///< f
  };

  /// p / q by place in the row, at most 2; negative for tokens that cannot be drawn.
  void read_ratios(distribution_view<Real> target, distribution_view<Real> proposal) {
    if constexpr (std::is_same_v<Real, float>) {
      if (detail::are_for_kernels(target, proposal)) return detail::write_ratios(target, proposal, most, ratios_);
    }
    ratios_.resize(proposal.size());
    const mass in_p = proposal.mass() / target.mass();
    std::size_t place = 0;
    for_each_entry(proposal, target, [&](token, const Real& q, const Real& p) {
      ratios_[place++] =
          q > Real(0)
              ? std::min(static_cast<float>(as_double(mass(in_p * static_cast<mass>(p) / static_cast<mass>(q)))), most)
              : -1.0F;
    });
  }

  /// By ratio; equals by id. The last rank holds what cannot be drawn.
  void rank_one_by_one(distribution_view<Real> target, distribution_view<Real> proposal) {
    ranked_.clear();
    for (std::size_t place = 0; place < ratios_.size(); ++place) {
      if (ratios_[place] >= 0) ranked_.push_back(static_cast<std::uint32_t>(place));
    }
    std::sort(ranked_.begin(), ranked_.end(), [&](std::uint32_t x, std::uint32_t y) {
      return ratios_[x] == ratios_[y] ? x < y : ratios_[y] < ratios_[x];
    });
    ranks_.clear();
    rank_of_.assign(ratios_.size(), static_cast<std::uint32_t>(ranked_.size()));
    for (const std::uint32_t place : ranked_) {
      rank_of_[place] = static_cast<std::uint32_t>(ranks_.size());
      const auto p = static_cast<mass>(target.weight_of(proposal.id(place)));
      const auto q = static_cast<mass>(proposal.weight(place));
      ranks_.push_back({mass(p * proposal.mass() / (target.mass() * q)), q});
    }
    ranks_.push_back({});
  }

  /// The middle of a bucket stands for its ratios: it decides how good the rule is, not whether it is exact.
  void rank_by_bucket(distribution_view<Real> proposal) {
    ranks_.clear();
    for (std::uint32_t b = buckets::count; b-- > 0;) {
      const bool is_last = b + 1 == buckets::count;
      const float middle = is_last ? most : (buckets::start(b) + buckets::start(b + 1)) / 2;
      ranks_.push_back({mass(static_cast<int>(middle * resolution)) / mass(resolution)});
    }
    ranks_.push_back({});
    rank_of_.resize(ratios_.size());
    for (std::size_t place = 0; place < ratios_.size(); ++place) {
      const float ratio = ratios_[place];
      const std::uint32_t mine = ratio < 0 ? buckets::count : buckets::count - 1 - buckets::of(ratio);
      rank_of_[place] = mine;
      ranks_[mine].q += static_cast<mass>(proposal.weight(place));
    }
  }

  /// From the best rank down: f is what makes q' = p, kept in [0, 1].
  void solve(const mass& all) {
    factors_.assign(ranks_.size(), mass(0));
    mass passed_down(0);
    mass worse(0);
    for (const rank& one : ranks_) worse += one.q / all;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      if (!(ranks_[r].q > mass(0))) continue;
      const mass q = ranks_[r].q / all;
      worse -= q;
      const mass least = q + mass(2) * passed_down;
      const mass more = mass(2) * worse;
      const mass missing = ranks_[r].ratio - least;
      const mass wins = !(missing > mass(0)) ? mass(0) : missing < more ? mass(missing / more) : mass(1);
      ranks_[r].wins = wins;
      factors_[r] = (least + wins * more) / all;
      passed_down += q * (mass(1) - wins);
    }
  }

  /// The place's rank; rows are sorted by id.
  [[nodiscard]] std::size_t rank_of(token id) const {
    const token_span ids = selected_.view().ids();
    const auto place =
        ids.empty() ? index(id) : static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), id) - ids.begin());
    DECANT_PRECONDITION(place < rank_of_.size());
    return rank_of_[place];
  }

  void write_law(distribution_view<Real> proposal) {
    const auto weight = [&](std::size_t place) {
      return static_cast<Real>(static_cast<mass>(proposal.weight(place)) * factors_[rank_of_[place]]);
    };
    if (proposal.sparse()) {
      selected_.begin_sparse(proposal.vocab_size());
      for (std::size_t i = 0; i < proposal.size(); ++i) selected_.push(proposal.id(i), weight(i));
    } else {
      const std::span<Real> weights = selected_.begin_dense(proposal.vocab_size());
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = weight(i);
    }
    [[maybe_unused]] const error_code status = selected_.finish();
    DECANT_PRECONDITION(status == error_code::none);
  }

  std::vector<float> ratios_;           ///< p / q, by place in the row
  std::vector<std::uint32_t> rank_of_;  ///< by place
  std::vector<std::uint32_t> ranked_;   ///< places, best rank first
  std::vector<rank> ranks_;             ///< best first
  std::vector<mass> factors_;           ///< q' / q by rank
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
