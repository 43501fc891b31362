// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Typical acceptance (Medusa, arXiv 2401.10774): a child is acceptable when the target gives its token more than
// min(epsilon, delta * exp(-H)), H the entropy of the law, sum of p log(p + 1e-5) as in the official code. The longest
// acceptable path wins, ties by the larger sum of log-probabilities, then by draw order.
// Last token: the most probable one (`greedy_last`, the official "fast" form), else a draw from the law restricted to
// tokens above the threshold.
// Guarantee: lossy; the output follows exactly this documented rule, which no bound ties to the target's law.
// Two published constant pairs exist and are not interchangeable; both are named below. With the second, drafts are
// accepted far more freely. Needs nothing of the tree. Complexity: one processed row per acceptable node.
// `typical_test` is the same threshold as a predicate (the typical sampler of vLLM): a walk in draw order that stops at
// the first draw below it and emits the target's most probable token, or another correction. On a chain of one token it
// is the rule above up to the correction.
// Worked example (p = (.5,.3,.2), the documented pair): threshold .09, so any draft is accepted and the emitted law is
// q.
#ifndef DECANT_VERIFY_TYPICAL_ACCEPTANCE_HPP
#define DECANT_VERIFY_TYPICAL_ACCEPTANCE_HPP

#include <decant/core/distances.hpp>
#include <decant/verify/predicate_verifier.hpp>

namespace decant::inline DECANT_ABI {

/// The probability a token must exceed: min(epsilon, delta exp(-H)), H = -sum p log(p + 1e-5).
template <class Real>
[[nodiscard]] double typical_threshold(distribution_view<Real> law, double epsilon, double delta) {
  return std::min(epsilon, delta * std::exp(detail::log_sum(law, 1e-5)));
}

struct typical_acceptance {
  static constexpr guarantee promises = guarantee::lossy;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;

  double epsilon = 0.09;     ///< hard threshold, in (0, 1)
  double delta = 0.3;        ///< entropy-dependent factor, in (0, 1); the paper recommends sqrt(epsilon)
  bool greedy_last = false;  ///< emit the most probable token instead of drawing the last one

  /// The pair that Medusa's generation entry point documents.
  [[nodiscard]] static constexpr typical_acceptance documented() { return {0.09, 0.3, false}; }
  /// The swapped pair that its helper functions declare.
  [[nodiscard]] static constexpr typical_acceptance swapped() { return {0.3, 0.09, false}; }

  template <class Real>
  struct work {
    struct open_node {
      node_id node;
      double log_probability;  // of the tokens on the way
    };
    std::vector<open_node> stack;
    distribution<Real> restricted;
  };

  /// The probability a token must exceed to be acceptable under a law.
  template <class Real>
  [[nodiscard]] double threshold(distribution_view<Real> law) const {
    return typical_threshold(law, epsilon, delta);
  }

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance& chance,
                                  std::uint64_t root_position, work<Real>& scratch, verdict& out) const {
    out.reset();
    node_id best = 0;
    const error_code walked = find_best(draft.tree, target, scratch, best);
    if (walked != error_code::none) return walked;
    write_path(draft.tree, best, out);
    const distribution<Real>* law = target.law(best);
    if (law == nullptr) return target.status();
    const token last = greedy_last ? argmax(law->view())
                                   : chance.pick(sample_key(root_position + out.path.size()),
                                                 restrict_to_typical(law->view(), scratch.restricted));
    finish(out, last, draft.tree, last_token_kind::sample);
    return error_code::none;
  }

  friend bool operator==(const typical_acceptance&, const typical_acceptance&) = default;

 private:
  template <class Laws, class Work>
  [[nodiscard]] error_code find_best(const token_tree& tree, Laws& target, Work& scratch, node_id& best) const {
    double best_log_probability = 0;
    scratch.stack.assign(1, {0, 0.0});
    while (!scratch.stack.empty()) {
      const auto [node, log_probability] = scratch.stack.back();
      scratch.stack.pop_back();
      const bool deeper = tree.depth(node) > tree.depth(best);
      const bool likelier = tree.depth(node) == tree.depth(best) && log_probability > best_log_probability;
      if (deeper || likelier) {
        best = node;
        best_log_probability = log_probability;
      }
      const node_id first = tree.first_child(node);
      if (first == no_node) continue;
      const auto* law = target.law(node);
      if (law == nullptr) return target.status();
      const double limit = threshold(law->view());
      const std::size_t bottom = scratch.stack.size();
      for (node_id child = first; child != no_node; child = tree.next_sibling(child)) {
        const double p = law->view().probability(tree.token_of(child));
        if (p > limit) scratch.stack.push_back({child, log_probability + std::log(p)});
      }
      // The stack pops last in first out: reversed, the children come in draw order.
      std::reverse(scratch.stack.begin() + static_cast<std::ptrdiff_t>(bottom), scratch.stack.end());
    }
    return error_code::none;
  }

  static void write_path(const token_tree& tree, node_id end, verdict& out) {
    out.path.resize(index(tree.depth(end)) + 1);
    for (std::size_t i = out.path.size(); i > 0; end = tree.parent(end)) out.path[--i] = end;
    out.relaxed.assign(out.path.begin() + 1, out.path.end());
  }

  template <class Real>
  [[nodiscard]] distribution_view<Real> restrict_to_typical(distribution_view<Real> law,
                                                            distribution<Real>& out) const {
    const double limit = threshold(law);
    out.begin_sparse(law.vocab_size());
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (as_double(law.weight(i)) / as_double(law.mass()) > limit) out.push(law.id(i), law.weight(i));
    }
    return out.finish() == error_code::none ? out.view() : law;
  }
};

static_assert(Verifier<typical_acceptance>);

/// The threshold as a predicate.
struct typical_test {
  static constexpr bool law_only = true;
  template <class Real>
  using work = no_work<Real>;

  double epsilon = 0.09;
  double delta = 0.3;

  /// The two published pairs, see above.
  [[nodiscard]] static constexpr typical_test documented() { return {0.09, 0.3}; }
  [[nodiscard]] static constexpr typical_test swapped() { return {0.3, 0.09}; }

  [[nodiscard]] result<void> check() const {
    if (!(epsilon > 0 && epsilon < 1)) return error{error_code::invalid_argument, "typical_test: epsilon"};
    if (!(delta > 0 && delta < 1)) return error{error_code::invalid_argument, "typical_test: delta"};
    return {};
  }

  template <class Real>
  [[nodiscard]] auto at(const predicate_site<Real>& site, no_work<Real>&) const {
    return [law = site.target, limit = typical_threshold(site.target, epsilon, delta)](token id, node_id) {
      return law.probability(id) > limit;
    };
  }

  friend constexpr bool operator==(const typical_test&, const typical_test&) = default;
};

/// Typical acceptance in draw order, on chains and trees.
template <standard_test Standard = standard_test::none>
using typical_walk = predicate_verifier<typical_test, Standard>;

static_assert(Verifier<typical_walk<>>);

}  // namespace decant::inline DECANT_ABI

#endif
