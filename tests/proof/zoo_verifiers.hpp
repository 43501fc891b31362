// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Wrong verifiers, one mistake each, as found in released code or easily made. They are written on one plain rejection
// loop with a hook for every decision; the loop without a flaw is itself proved exact, so what a law check rejects is
// the flaw. All of them say that they need nothing of the tree, so that they can be put into a decoder at all.
#ifndef DECANT_TESTS_PROOF_ZOO_VERIFIERS_HPP
#define DECANT_TESTS_PROOF_ZOO_VERIFIERS_HPP

#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include <cmath>
#include <utility>

namespace decant_test::zoo {

using namespace decant;  // NOLINT: test support

template <class Real>
using row_of = std::vector<Real>;

template <class Real>
[[nodiscard]] Real sum(const row_of<Real>& row) {
  Real total(0);
  for (const Real& w : row) total += w;
  return total;
}
template <class Real>
[[nodiscard]] row_of<Real> normalised(row_of<Real> row) {
  const Real total = sum(row);
  for (Real& w : row) w = w / total;
  return row;
}
/// A law as a row of probabilities.
template <class Real>
[[nodiscard]] row_of<Real> dense(distribution_view<Real> law) {
  row_of<Real> row(law.vocab_size(), Real(0));
  for (std::size_t i = 0; i < law.size(); ++i) row[index(law.id(i))] = law.weight(i);
  return normalised(std::move(row));
}
template <class Real>
[[nodiscard]] row_of<Real> without_tokens(row_of<Real> row, token_span tokens) {
  for (const token t : tokens) row[index(t)] = Real(0);
  return row;
}
template <class Real>
[[nodiscard]] row_of<Real> positive_difference(const row_of<Real>& a, const row_of<Real>& b) {
  row_of<Real> rest(a.size(), Real(0));
  for (std::size_t v = 0; v < a.size(); ++v) {
    if (b[v] < a[v]) rest[v] = a[v] - b[v];
  }
  return rest;
}
/// Draws from a row; one without mass gives token 0.
template <class Real, class Chance>
[[nodiscard]] token draw(Chance& chance, chance_key key, const row_of<Real>& row) {
  const Real mass = sum(row);
  return mass > Real(0) ? chance.pick(key, distribution_view<Real>(row, mass)) : 0;
}

/// What a flaw may look at when the last token is drawn.
template <class Real>
struct ending {
  row_of<Real> residual;       ///< after all rejections at the last node
  row_of<Real> target;         ///< the target's law there
  row_of<Real> target_above;   ///< and at its parent
  row_of<Real> last_proposal;  ///< law of the last draw that was tested
  std::uint64_t root_position;
  std::size_t depth;  ///< of the last node
  node_id last_coin;  ///< of the last draw that was tested
};

/// The decisions of sound rejection. A flaw derives from it and hides one.
struct sound {
  static void order(std::vector<tree_draw>&, const token_tree&, const row_of<double>&) {}

  /// The law of a draw: `q` is its row, `earlier` the tokens drawn from it before below the same node.
  template <class Real>
  [[nodiscard]] static row_of<Real> proposal(const row_of<Real>& q, edge_law law, token_span earlier) {
    if (law == edge_law::independent) return q;
    row_of<Real> rest = without_tokens(q, earlier);
    return sum(rest) > Real(0) ? normalised(std::move(rest)) : rest;
  }
  /// Acceptance probability as numerator and denominator.
  template <class Real>
  [[nodiscard]] static std::pair<Real, Real> ratio(const row_of<Real>& running, const row_of<Real>& q, token x) {
    return {running[index(x)], q[index(x)]};
  }
  template <class Real>
  [[nodiscard]] static row_of<Real> residual(const row_of<Real>& running, const row_of<Real>& q, token,
                                             const row_of<Real>&) {
    row_of<Real> rest = positive_difference(running, q);
    return sum(rest) > Real(0) ? normalised(std::move(rest)) : running;
  }
  /// Whether an edge whose law could not have produced its token is accepted.
  static constexpr bool accepts_filler = false;
  [[nodiscard]] static chance_key coin(std::uint64_t root_position, node_id number) {
    return accept_key(root_position, number);
  }
  template <class Real>
  [[nodiscard]] static row_of<Real> correction(const ending<Real>& at) {
    return at.residual;
  }
  template <class Real>
  [[nodiscard]] static row_of<Real> bonus(const ending<Real>& at) {
    return at.target;
  }
  template <class Real>
  [[nodiscard]] static chance_key last_key(const ending<Real>& at) {
    return sample_key(at.root_position + at.depth + 1);
  }
};

/// Rejection with a flaw.
template <class Flaw>
struct rejection {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    ending<Real> at{{}, {}, {}, {}, root_position, 0, 0};
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      at.target_above = std::exchange(at.target, dense(law->view()));
      at.depth = out.path.size() - 1;
      const node_id accepted = test_draws(draft, chance, out.end(), at);
      if (accepted == no_node) break;
      out.path.push_back(accepted);
    }
    const bool leaf = draft.tree.first_child(out.end()) == no_node;
    const row_of<Real> last = leaf ? Flaw::bonus(at) : Flaw::correction(at);
    finish(out, draw(chance, Flaw::last_key(at), last), draft.tree, last_token_kind::correction);
    return error_code::none;
  }

 private:
  template <class Real, class Chance>
  [[nodiscard]] static node_id test_draws(const token_draft<Real>& draft, Chance& chance, node_id n, ending<Real>& at) {
    std::vector<tree_draw> draws;
    draft.tree.for_each_draw(n, [&](const tree_draw& one) {
      draws.push_back(one);
      return false;
    });
    at.residual = at.target;
    if (draws.empty()) return no_node;
    if (draws.front().edge.law != edge_law::deterministic) {
      row_of<double> q;
      for (const Real& w : dense(draft.row_of(draws.front().edge))) q.push_back(as_double(w));
      Flaw::order(draws, draft.tree, q);
    }
    std::vector<token> earlier;
    for (const tree_draw& one : draws) {
      const token x = draft.tree.token_of(one.child);
      at.last_proposal = law_of(draft, one, x, at.target.size(), earlier);
      at.last_coin = one.coin;
      if (!(at.last_proposal[index(x)] > Real(0))) {
        if (Flaw::accepts_filler) return one.child;
        continue;
      }
      const auto [a, b] = Flaw::ratio(at.residual, at.last_proposal, x);
      if (chance.accept(Flaw::coin(at.root_position, one.coin), a, b)) return one.child;
      at.residual = Flaw::residual(at.residual, at.last_proposal, x, at.target);
      if (one.edge.law == edge_law::without_replacement) earlier.push_back(x);
    }
    return no_node;
  }

  template <class Real>
  [[nodiscard]] static row_of<Real> law_of(const token_draft<Real>& draft, const tree_draw& one, token x,
                                           std::size_t vocab_size, token_span earlier) {
    if (one.edge.law != edge_law::deterministic) {
      return Flaw::proposal(dense(draft.row_of(one.edge)), one.edge.law, earlier);
    }
    row_of<Real> point(vocab_size, Real(0));
    point[index(x)] = Real(1);
    return point;
  }
};

// --- Flaws of the laws -----------------------------------------------------------------------------------------------

/// The correction is drawn from p instead of the residual.
struct correction_from_target : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> correction(const ending<Real>& at) {
    return at.target;
  }
};

/// Ratio acceptance, but the residual is p without the rejected tokens, as for chosen tokens.
struct residual_by_removal : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> residual(const row_of<Real>& running, const row_of<Real>&, token x,
                                             const row_of<Real>&) {
    const token removed[] = {x};
    row_of<Real> rest = without_tokens(running, removed);
    return sum(rest) > Real(0) ? normalised(std::move(rest)) : running;
  }
};

/// Accepts with probability q / p.
struct ratio_upside_down : sound {
  template <class Real>
  [[nodiscard]] static std::pair<Real, Real> ratio(const row_of<Real>& running, const row_of<Real>& q, token x) {
    return {q[index(x)], running[index(x)]};
  }
};

/// The bonus is drawn at temperature 1 where the target runs at 1/2 (its weights are squares).
struct bonus_at_temperature_one : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> bonus(const ending<Real>& at) {
    row_of<Real> flat;
    for (const Real& p : at.target) flat.push_back(std::sqrt(p));
    return flat;
  }
};

/// The bonus is drawn from the row before the last.
struct bonus_from_previous_row : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> bonus(const ending<Real>& at) {
    return at.target_above.empty() ? at.target : at.target_above;
  }
};

/// The bonus is drawn from the draft row that was at hand.
struct bonus_from_draft : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> bonus(const ending<Real>& at) {
    return at.last_proposal.empty() ? at.target : at.last_proposal;
  }
};

// --- Flaws of siblings -----------------------------------------------------------------------------------------------

/// Draws without replacement are tested as if they were independent (M1, M14's rule).
struct ignores_replacement : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> proposal(const row_of<Real>& q, edge_law, token_span) {
    return q;
  }
};

/// Tokens already drawn are removed from q, the rest is not normalised (M2).
struct proposal_not_normalised : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> proposal(const row_of<Real>& q, edge_law law, token_span earlier) {
    return law == edge_law::independent ? q : without_tokens(q, earlier);
  }
};

/// The residual is not normalised before the next sibling is tested; when nothing is left of it, p is drawn from (M3).
struct residual_not_normalised : sound {
  template <class Real>
  [[nodiscard]] static row_of<Real> correction(const ending<Real>& at) {
    return sum(at.residual) > Real(0) ? at.residual : at.target;
  }
  template <class Real>
  [[nodiscard]] static row_of<Real> residual(const row_of<Real>& running, const row_of<Real>& q, token,
                                             const row_of<Real>&) {
    return positive_difference(running, q);
  }
};

/// Siblings are tested by decreasing draft probability instead of in draw order (M4).
struct siblings_sorted : sound {
  static void order(std::vector<tree_draw>& draws, const token_tree& tree, const row_of<double>& q) {
    std::stable_sort(draws.begin(), draws.end(), [&](const tree_draw& a, const tree_draw& b) {
      return q[index(tree.token_of(a.child))] > q[index(tree.token_of(b.child))];
    });
  }
};

/// A node whose law could not have produced it is accepted instead of dropped.
struct filler_accepted : sound {
  static constexpr bool accepts_filler = true;
};

// --- Flaws of the coins ----------------------------------------------------------------------------------------------

/// One coin decides about all nodes of a step.
struct one_coin_per_step : sound {
  [[nodiscard]] static chance_key coin(std::uint64_t root_position, node_id) { return accept_key(root_position, 0); }
};

/// The correction is drawn with the coin that rejected.
struct correction_with_rejecting_coin : sound {
  template <class Real>
  [[nodiscard]] static chance_key last_key(const ending<Real>& at) {
    return at.last_coin == 0 ? sound::last_key(at) : accept_key(at.root_position, at.last_coin);
  }
};

/// The coin takes the values 0, 1/100, ..., 1 and accepts when it is <= the ratio.
struct coin_on_a_grid : sound {
  template <class Real>
  [[nodiscard]] static std::pair<Real, Real> ratio(const row_of<Real>& running, const row_of<Real>& q, token x) {
    const double exact = std::min(1.0, as_double(running[index(x)]) / as_double(q[index(x)]));
    // Of the 101 values, those of index <= 100 * ratio accept; the small term undoes the rounding of the quotient.
    return {Real(static_cast<int>(std::floor(100 * exact + 1e-9)) + 1), Real(101)};
  }
};

/// Every step draws its acceptance coins from the same places (Sequoia's released code).
struct coins_shared_by_steps : sound {
  [[nodiscard]] static chance_key coin(std::uint64_t, node_id number) { return accept_key(0, number); }
};

// --- Verifiers that are wrong in other ways --------------------------------------------------------------------------

/// Common members of wrong verifiers that are no rejection.
struct liar {
  static constexpr guarantee promises = guarantee::exact_in_law;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class Real>
  using work = no_work<Real>;
};

/// Matches a target sample with the children, but at the mismatch emits a fresh one (M7).
struct match_then_fresh : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      const std::uint64_t position = root_position + out.path.size();
      const token sample = chance.pick({position, chance_purpose::other, 0}, law->view());
      const node_id child = draft.tree.child_with(out.end(), sample);
      if (child == no_node) {
        finish(out, chance.pick(sample_key(position), law->view()), draft.tree, last_token_kind::sample);
        return error_code::none;
      }
      out.path.push_back(child);
    }
  }
};

/// Accepts siblings by the running sum of their target probabilities, counting a token that was drawn twice twice; if
/// none, emits from p without the tested tokens.
struct duplicates_counted_twice : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      const row_of<Real> p = dense(law->view());
      row_of<Real> slots;  // one for each draw, then one for "none"
      std::vector<node_id> children;
      std::vector<token> tested;
      Real left(1);
      draft.tree.for_each_draw(out.end(), [&](const tree_draw& one) {
        const token x = draft.tree.token_of(one.child);
        slots.push_back(p[index(x)] < left ? p[index(x)] : left);
        left -= slots.back();
        children.push_back(one.child);
        tested.push_back(x);
        return false;
      });
      slots.push_back(left);
      const std::uint64_t position = root_position + out.path.size();
      const auto slot = index(draw(chance, {position, chance_purpose::other, 0}, slots));
      if (slot == children.size()) {
        finish(out, draw(chance, sample_key(position), without_tokens(p, tested)), draft.tree,
               last_token_kind::correction);
        return error_code::none;
      }
      out.path.push_back(children[slot]);
    }
  }
};

/// The rule of a released chain verifier as read: accept when a coin on a grid is <= q(draft) / p(the target's own
/// sample); after a rejection, draw from the row after the rejected token.
struct ratio_of_two_tokens : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      const std::uint64_t position = root_position + out.path.size();
      const node_id child = draft.tree.first_child(out.end());
      if (child == no_node) {
        finish(out, chance.pick(sample_key(position), law->view()), draft.tree, last_token_kind::bonus);
        return error_code::none;
      }
      const token own = chance.pick({position, chance_purpose::other, 0}, law->view());
      const row_of<Real> q = dense(draft.row_of(draft.tree.edge(child)));
      const row_of<Real> p = dense(law->view());
      const auto x = index(draft.tree.token_of(child));
      row_of<Real> tested(1, q[x]);
      const auto [a, b] = coin_on_a_grid::ratio(tested, row_of<Real>(1, p[index(own)]), 0);
      if (!chance.accept(accept_key(root_position, child), a, b)) {
        const distribution<Real>* after = target.law(child);
        if (after == nullptr) return target.status();
        finish(out, chance.pick(sample_key(position), after->view()), draft.tree, last_token_kind::correction);
        return error_code::none;
      }
      out.path.push_back(child);
    }
  }
};

// --- Blocks and traversals -------------------------------------------------------------------------------------------

/// The decisions of sound block verification.
struct sound_block {
  /// Acceptance probability of a prefix that is not the whole chain: `left` is the sum of relu(b P - Q).
  template <class Real>
  [[nodiscard]] static Real prefix_accepted(const Real& b, const Real& left) {
    const Real all = left + Real(1) - b;
    return all > Real(0) ? left / all : Real(1);
  }
  /// The factor of P in the residual.
  template <class Real>
  [[nodiscard]] static Real residual_scale(const Real& b) {
    return b;
  }
};
/// Accepts a prefix with b instead of h (M8).
struct block_accepts_by_ratio : sound_block {
  template <class Real>
  [[nodiscard]] static Real prefix_accepted(const Real& b, const Real&) {
    return b;
  }
};
/// Forms the residual relu(P - Q) as a chain verifier would (M9).
struct block_residual_without_ratio : sound_block {
  template <class Real>
  [[nodiscard]] static Real residual_scale(const Real&) {
    return Real(1);
  }
};

template <class Real>
[[nodiscard]] row_of<Real> scaled(row_of<Real> row, const Real& factor) {
  for (Real& w : row) w = w * factor;
  return row;
}

/// Block verification of a chain of independent draws, with a flaw.
template <class Flaw>
struct block : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    std::vector<node_id> chain{0};
    std::vector<row_of<Real>> p;
    std::vector<row_of<Real>> q;
    std::vector<Real> b{Real(1)};
    for (;;) {
      const distribution<Real>* law = target.law(chain.back());
      if (law == nullptr) return target.status();
      p.push_back(dense(law->view()));
      const node_id next = draft.tree.first_child(chain.back());
      if (next == no_node) break;
      q.push_back(dense(draft.row_of(draft.tree.edge(next))));
      const auto x = index(draft.tree.token_of(next));
      const Real ratio = b.back() * p.back()[x] / q.back()[x];
      b.push_back(ratio < Real(1) ? ratio : Real(1));
      chain.push_back(next);
    }
    std::size_t length = q.size();
    const auto left = [&](std::size_t i, const Real& scale) { return positive_difference(scaled(p[i], scale), q[i]); };
    for (; length > 0; --length) {
      const Real accepted =
          length == q.size() ? b[length] : Flaw::prefix_accepted(b[length], sum(left(length, b[length])));
      if (chance.accept(accept_key(root_position, chain[length]), accepted, Real(1))) break;
    }
    row_of<Real> last = length == q.size() ? p[length] : left(length, Flaw::residual_scale(b[length]));
    if (!(sum(last) > Real(0))) last = p[length];
    out.path.assign(chain.begin(), chain.begin() + static_cast<std::ptrdiff_t>(length) + 1);
    finish(out, draw(chance, sample_key(root_position + out.path.size()), last), draft.tree,
           last_token_kind::correction);
    return error_code::none;
  }
};

/// Traversal of a tree drawn without replacement, written as the recursion; `Flaw::proposal` as in `sound`.
template <class Flaw>
struct plain_traversal : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    (void)attempt(draft, target, chance, root_position, 0, Real(1), out);
    return target.status();
  }

 private:
  template <class Real, class Laws, class Chance>
  [[nodiscard]] static bool attempt(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                    std::uint64_t root_position, node_id n, Real weight, verdict& out) {
    const distribution<Real>* law = target.law(n);
    if (law == nullptr) return false;
    row_of<Real> running = dense(law->view());
    std::vector<token> earlier;
    for (node_id child = draft.tree.first_child(n); child != no_node; child = draft.tree.next_sibling(child)) {
      const token x = draft.tree.token_of(child);
      const tree_edge edge = draft.tree.edge(child);
      const row_of<Real> q = Flaw::proposal(dense(draft.row_of(edge)), edge.law, earlier);
      if (!(q[index(x)] > Real(0))) continue;
      const Real ratio = weight * running[index(x)] / q[index(x)];
      out.path.push_back(child);
      if (ratio > Real(0) &&
          attempt(draft, target, chance, root_position, child, ratio < Real(1) ? ratio : Real(1), out)) {
        return true;
      }
      out.path.pop_back();
      const row_of<Real> left = positive_difference(scaled(running, weight), q);
      const Real all = sum(left) + Real(1) - weight;
      weight = all > Real(0) ? sum(left) / all : Real(1);
      if (sum(left) > Real(0)) running = normalised(left);
      earlier.push_back(x);
    }
    if (n != 0 && !chance.accept(accept_key(root_position, n), weight, Real(1))) return false;
    finish(out, draw(chance, sample_key(root_position + out.path.size()), running), draft.tree,
           last_token_kind::correction);
    return true;
  }
};

// --- Verifiers of several draws together -----------------------------------------------------------------------------

/// Tests the independent draws below the root together; a flaw says how. Everything is one level deep.
template <class Flaw>
struct together : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    decant::detail::draw_list<Real> list;
    list.read(draft, 0);
    const distribution<Real>* law = target.law(0);
    if (law == nullptr) return target.status();
    row_of<Real> left = dense(law->view());
    const node_id accepted = Flaw::test(list.all(), chance, root_position, left);
    if (accepted != no_node) {
      out.path.push_back(accepted);
      const distribution<Real>* after = target.law(accepted);
      if (after == nullptr) return target.status();
      left = dense(after->view());
    }
    finish(out, draw(chance, sample_key(root_position + out.path.size()), left), draft.tree,
           last_token_kind::correction);
    return error_code::none;
  }
};

template <class Real>
[[nodiscard]] row_of<Real> smaller_of(const row_of<Real>& a, const row_of<Real>& b) {
  row_of<Real> least = a;
  for (std::size_t v = 0; v < a.size(); ++v) least[v] = b[v] < a[v] ? b[v] : a[v];
  return least;
}

/// K-SEQ with a damping between none (0) and the right one (1); what is left is cut off at 0.
template <int Percent>
struct damped {
  template <class Real, class Chance>
  [[nodiscard]] static node_id test(std::span<const decant::detail::listed_draw<Real>> draws, Chance& chance,
                                    std::uint64_t root_position, row_of<Real>& p) {
    const distribution_view<Real> row = draws.front().drawn.row;
    const row_of<Real> q = dense(row);
    damping_search<Real> search;
    const Real right = search.find(distribution_view<Real>(p, sum(p)), row, draws.size()).rho;
    const Real rho = Real(1) + (right - Real(1)) * Real(Percent) / Real(100);
    for (const auto& one : draws) {
      const auto x = index(one.drawn.id);
      if (chance.accept(accept_key(root_position, one.draw.coin), p[x], rho * q[x])) return one.draw.child;
    }
    const row_of<Real> overlap = smaller_of(q, scaled(p, Real(1) / rho));
    const Real missed = Real(1) - sum(overlap);
    Real share(0);
    Real power(1);
    for (std::size_t i = 0; i < draws.size(); ++i, power = power * missed) share = share + power;
    p = positive_difference(p, scaled(overlap, share));
    return no_node;
  }
};

/// The draw with the larger p / q of two is tested as if it were a draw from q.
struct better_of_two_tested_as_one {
  template <class Real, class Chance>
  [[nodiscard]] static node_id test(std::span<const decant::detail::listed_draw<Real>> draws, Chance& chance,
                                    std::uint64_t root_position, row_of<Real>& p) {
    const row_of<Real> q = dense(draws.front().drawn.row);
    const auto ratio = [&](std::size_t i) { return p[index(draws[i].drawn.id)] / q[index(draws[i].drawn.id)]; };
    const auto& one = draws[ratio(0) < ratio(1) ? 1 : 0];
    const auto x = index(one.drawn.id);
    if (chance.accept(accept_key(root_position, one.draw.coin), p[x], q[x])) return one.draw.child;
    const row_of<Real> left = positive_difference(p, q);
    if (sum(left) > Real(0)) p = left;
    return no_node;
  }
};

/// Any untested draw may come next, also one drawn without replacement whose earlier siblings have not been tested:
/// each is tested with the law it was drawn from.
struct draws_in_any_order {
  template <class Real, class Chance>
  [[nodiscard]] static node_id test(std::span<const decant::detail::listed_draw<Real>> draws, Chance& chance,
                                    std::uint64_t root_position, row_of<Real>& p) {
    std::vector<std::size_t> untested(draws.size());
    std::vector<row_of<Real>> laws;
    std::vector<token> earlier;
    for (std::size_t i = 0; i < draws.size(); ++i) {
      untested[i] = i;
      laws.push_back(normalised(without_tokens(dense(draws[i].drawn.row), earlier)));
      earlier.push_back(draws[i].drawn.id);
    }
    for (std::uint32_t pick = 0; !untested.empty(); ++pick) {
      const row_of<Real> uniform(untested.size(), Real(1));
      const auto place = draw(chance, {root_position, chance_purpose::other, pick}, uniform);
      const std::size_t i = untested[index(place)];
      const auto x = index(draws[i].drawn.id);
      if (chance.accept(accept_key(root_position, draws[i].draw.coin), p[x], laws[i][x])) return draws[i].draw.child;
      const row_of<Real> left = positive_difference(p, laws[i]);
      if (sum(left) > Real(0)) p = normalised(left);
      untested.erase(untested.begin() + place);
    }
    return no_node;
  }
};

/// Tests the first draw; after a rejection goes on at any child that carries a draw from p instead of the residual.
struct membership_from_target : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      const row_of<Real> p = dense(law->view());
      node_id next = draft.tree.first_child(out.end());
      token last = no_token;
      if (next != no_node) {
        const row_of<Real> q = dense(draft.row_of(draft.tree.edge(next)));
        const auto x = index(draft.tree.token_of(next));
        if (!chance.accept(accept_key(root_position, next), p[x], q[x])) next = no_node;
      }
      if (next == no_node) {
        last = draw(chance, sample_key(root_position + out.path.size()), p);
        next = draft.tree.child_with(out.end(), last);
      }
      if (next == no_node) {
        finish(out, last, draft.tree, last_token_kind::correction);
        return error_code::none;
      }
      out.path.push_back(next);
    }
  }
};

// --- Verifiers that break a contract of the loop ---------------------------------------------------------------------

/// Decides differently when it is asked again: it remembers how often it was called.
struct hidden_state : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>&, verdict& out) const {
    ++calls;
    no_work<Real> scratch;
    if (calls % 7 == 0) return match_then_fresh{}.verify(draft, target, chance, root_position, scratch, out);
    return rejection<sound>{}.verify(draft, target, chance, root_position, scratch, out);
  }
  mutable int calls = 0;
};

/// Emits the sound law, but keeps a node that is not below the root's accepted child: a wrong KV commit.
struct keeps_a_wrong_path : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>& scratch, verdict& out) const {
    const error_code status = rejection<sound>{}.verify(draft, target, chance, root_position, scratch, out);
    if (status == error_code::none && out.path.size() == 2) {
      const node_id sibling = draft.tree.next_sibling(out.path[1]);
      if (sibling != no_node) out.path.insert(out.path.begin() + 1, sibling);
    }
    return status;
  }
};

/// Emits a token outside the vocabulary when everything was rejected.
struct emits_an_invalid_token : liar {
  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, no_work<Real>& scratch, verdict& out) const {
    const error_code status = rejection<sound>{}.verify(draft, target, chance, root_position, scratch, out);
    if (out.path.size() == 1 && draft.tree.size() > 1) out.last = static_cast<token>(draft.rows.row(0).vocab_size());
    return status;
  }
};

}  // namespace decant_test::zoo

#endif
