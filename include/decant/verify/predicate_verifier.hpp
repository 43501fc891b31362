// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Relaxed verification by predicate: from the root, the draws below a node are tested in draw order; a draw is accepted
// when the standard test of exact decoding accepts it or a predicate does, and the walk goes on below it. When all have
// failed a correction follows, after a leaf a bonus token. Typical acceptance on chains, top-k acceptance, margin
// acceptance and judges are predicates.
// Guarantee: lossy. For one drawn child per node the emitted law is
//   pi(v) = q(v) a(v) + c(v) sum q (1 - a),
// a(v) the probability that v is accepted (1 where the predicate holds, else that of the standard test), c the law of
// the correction; for a chosen child q is a point mass. Which acceptances were relaxed is recorded: those that the
// standard test has refused or, without one, those that exact verification might have refused.
// Needs: target laws of visited nodes; true edge laws when the standard test is rejection. Complexity: one predicate
// per tested draw beside the walk of that test; measuring costs two more passes per accepted node with a single draw.
// Worked example: typical_acceptance.hpp, judge.hpp.
#ifndef DECANT_VERIFY_PREDICATE_VERIFIER_HPP
#define DECANT_VERIFY_PREDICATE_VERIFIER_HPP

#include <decant/verify/rejection_walk.hpp>
#include <decant/verify/relaxation.hpp>

#include <optional>

namespace decant::inline DECANT_ABI {

/// The test of exact decoding that a predicate is OR-ed with.
enum class standard_test : std::uint8_t {
  none,
  greedy,    ///< the token is the target's most probable one
  rejection  ///< the coin of recursive rejection, against the running residual
};

/// Where the token comes from when all draws below a node have failed.
enum class correction_rule : std::uint8_t {
  residual,  ///< drawn from what the rejection test leaves of the target's law (all of it without that test)
  draw,      ///< drawn from the target's law
  argmax     ///< the target's most probable token, also as bonus
};

/// What a predicate sees of a node when its draws are about to be tested.
template <class Real>
struct predicate_site {
  const token_draft<Real>& draft;
  node_id node;
  distribution_view<Real> target;
};

/// Requirements:
/// - `law_only`: whether it decides by the target's law and the token alone; the loss of others is measured by tokens
///   only;
/// - `work<Real>`: reusable scratch memory;
/// - `at(site, work)`: a function (token, child) -> bool, or std::optional<bool>, empty when what it looks at cannot be
///   had: then the step fails. It may refer to the site's law and to `work`, and must not depend on chance.
template <class T>
concept AcceptPredicate = requires(const T& test, const predicate_site<double>& site,
                                   typename T::template work<double>& work, token id, node_id child) {
  { T::law_only } -> std::convertible_to<bool>;
  { test.at(site, work)(id, child) } -> std::convertible_to<std::optional<bool>>;
};

template <class Test, standard_test Standard = standard_test::none>
struct predicate_verifier {
  static_assert(AcceptPredicate<Test>, "predicate_verifier: the first parameter must be an acceptance predicate");
  static constexpr bool has_coin = Standard == standard_test::rejection;
  static constexpr guarantee promises = guarantee::lossy;
  static constexpr edge_needs needs = has_coin ? edge_needs::true_laws : edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;

  Test test{};
  correction_rule correction = has_coin ? correction_rule::residual : correction_rule::argmax;
  end_tokens ends{};          ///< accepted by the standard test only
  bool measures_loss = true;  ///< fill `verdict::loss` beyond its counters

  /// What is out of range, in one sentence.
  [[nodiscard]] result<void> check() const { return check_of(test); }

  template <class Real>
  struct work {
    running_residual<Real> residual;
    edge_laws<Real> edges;
    typename Test::template work<Real> test;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    out.reset();
    for (;;) {
      const distribution<Real>* law = target.law(out.end());
      if (law == nullptr) return target.status();
      const visited<Real> here{out.end(), law->view(), needs_top() ? argmax(law->view()) : no_token};
      const bool is_leaf = draft.tree.first_child(here.id) == no_node;
      const outcome tested =
          is_leaf ? after_leaf(here, out.loss) : test_draws(draft, here, chance, root_position, scratch, out.loss);
      if (tested.status != error_code::none) return tested.status;
      if (tested.is_relaxed) out.relaxed.push_back(tested.accepted);
      if (tested.accepted != no_node) {
        out.path.push_back(tested.accepted);
        continue;
      }
      const bool from_residual = !is_leaf && uses_residual();
      const token last = correction == correction_rule::argmax
                             ? here.top
                             : chance.pick(sample_key(root_position + out.path.size()),
                                           from_residual ? scratch.residual.law() : here.law);
      finish(out, last, draft.tree, from_residual ? last_token_kind::correction : last_token_kind::sample);
      return detail::measure_tokens(draft.tree, target, measures_loss, out);
    }
  }

  friend bool operator==(const predicate_verifier&, const predicate_verifier&) = default;

 private:
  /// The node whose draws are tested.
  template <class Real>
  struct visited {
    node_id id;
    distribution_view<Real> law;
    token top;  // its most probable token, where that is asked for
  };

  struct outcome {
    node_id accepted = no_node;
    bool is_relaxed = false;
    error_code status = error_code::none;
  };

  [[nodiscard]] bool needs_top() const noexcept {
    return Standard == standard_test::greedy || correction == correction_rule::argmax;
  }
  [[nodiscard]] bool uses_residual() const noexcept { return has_coin && correction == correction_rule::residual; }

  /// The first accepted draw below a node; without one the residual is ready to be drawn from.
  template <class Real, class Chance>
  [[nodiscard]] outcome test_draws(const token_draft<Real>& draft, const visited<Real>& here, Chance& chance,
                                   std::uint64_t root_position, work<Real>& scratch, relaxed_loss& loss) const {
    const auto says = test.at(predicate_site<Real>{draft, here.id, here.law}, scratch.test);
    if constexpr (has_coin) {
      scratch.residual.reset(here.law);
      scratch.edges.reset();
    }
    outcome found;
    draft.tree.for_each_draw(here.id, [&](const tree_draw& draw) {
      const token id = draft.tree.token_of(draw.child);
      const bool is_standard = meets_standard(draft, here, draw, chance, root_position, scratch);
      const std::optional<bool> said = is_standard || ends.guards(id) ? is_standard : says(id, draw.child);
      if (!said) found.status = error_code::row_unavailable;
      if (!said || !*said) return !said;
      found.accepted = draw.child;
      found.is_relaxed = !is_standard && !is_strict(draft, here, draw.child);
      return true;
    });
    if constexpr (Test::law_only) {
      if (measures_loss) measure_node(draft, here, says, loss);
    }
    return found;
  }

  /// Whether the standard test accepts a draw. When its coin refuses, the residual is brought up to date.
  template <class Real, class Chance>
  [[nodiscard]] static bool meets_standard(const token_draft<Real>& draft, const visited<Real>& here,
                                           const tree_draw& draw, Chance& chance, std::uint64_t root_position,
                                           work<Real>& scratch) {
    if constexpr (Standard == standard_test::none) return false;
    if constexpr (Standard == standard_test::greedy) return draft.tree.token_of(draw.child) == here.top;
    const proposal<Real> drawn = scratch.edges.next(draft, draw.child, draw.edge);
    if (drawn.impossible()) return false;
    if (detail::accept_draw(chance, accept_key(root_position, draw.coin), drawn, scratch.residual.law())) return true;
    detail::reject_draw(drawn, scratch.residual);
    return false;
  }

  /// Whether a token that only the predicate has accepted is one that exact verification could not have refused.
  template <class Real>
  [[nodiscard]] bool is_strict(const token_draft<Real>& draft, const visited<Real>& here, node_id child) const {
    if (Standard != standard_test::none) return false;
    if (correction == correction_rule::argmax) return draft.tree.token_of(child) == here.top;
    return !detail::may_be_refused(draft, child, here.law);
  }

  // --- The emitted law pi ---

  /// After a leaf the target's own law follows, or its most probable token.
  template <class Real>
  [[nodiscard]] outcome after_leaf(const visited<Real>& here, relaxed_loss& loss) const {
    if (!measures_loss) return {};
    if (correction != correction_rule::argmax) {
      loss.add_law(0, 0);
    } else {
      const double p = here.law.probability(here.top);
      loss.add_law(1 - p, p < 1 ? std::numeric_limits<double>::infinity() : 0.0);
    }
    return {};
  }

  /// Compares p and pi after a node with a single draw.
  template <class Real, class Says>
  void measure_node(const token_draft<Real>& draft, const visited<Real>& here, const Says& says,
                    relaxed_loss& loss) const {
    const node_id child = draft.tree.first_child(here.id);
    if (draft.tree.next_sibling(child) != no_node || !draft.tree.repeats().empty()) return;
    const token chosen = draft.tree.token_of(child);
    const Real all(1);
    const tree_edge edge = draft.tree.edge(child);
    const auto q = edge.law != edge_law::deterministic
                       ? draft.row_of(edge)
                       : distribution_view<Real>({&chosen, 1}, {&all, 1}, here.law.vocab_size(), mass_t<Real>(1));
    measure_mixture(here, q, loss, [&](token id, double x, double y) {
      if (!ends.guards(id) && std::optional<bool>(says(id, child)).value_or(false)) return 1.0;
      if (Standard == standard_test::greedy) return id == here.top ? 1.0 : 0.0;
      return has_coin ? std::min(1.0, x / y) : 0.0;
    });
  }

  /// Compares p with pi = q a + c sum q (1 - a), where `acceptance(v, p(v), q(v))` is a(v).
  template <class Real, class Acceptance>
  void measure_mixture(const visited<Real>& here, distribution_view<Real> q, relaxed_loss& loss,
                       const Acceptance& acceptance) const {
    const auto each = [&](auto&& visit) {
      for_each_pair(here.law, q, [&](token id, const Real& x, const Real& y) {
        visit(id, as_double(x) / as_double(here.law.mass()), as_double(y) / as_double(q.mass()));
      });
    };
    double refused = 0;
    double residue = 0;
    each([&](token id, double x, double y) {
      if (y > 0) refused += y * (1 - acceptance(id, x, y));
      residue += std::max(x - y, 0.0);
    });
    double variation = 0;
    double divergence = 0;
    each([&](token id, double x, double y) {
      const double corrected = correction == correction_rule::argmax ? (id == here.top ? 1.0 : 0.0)
                               : uses_residual() && residue > 0      ? std::max(x - y, 0.0) / residue
                                                                     : x;
      const double emitted = (y > 0 ? y * acceptance(id, x, y) : 0.0) + refused * corrected;
      variation += 0.5 * std::abs(x - emitted);
      if (x > 0) divergence += emitted > 0 ? x * std::log(x / emitted) : std::numeric_limits<double>::infinity();
    });
    loss.add_law(variation, divergence);
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
