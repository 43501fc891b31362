// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the three shapes of relaxed verifier share (transform, predicate, window): the rule for tokens that end a text,
// the record of relaxed acceptances, and the loss they report.
#ifndef DECANT_VERIFY_RELAXATION_HPP
#define DECANT_VERIFY_RELAXATION_HPP

#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

/// Tokens that end a text. To stop too early is the costliest mistake of a relaxation, so none of them is accepted more
/// freely than by the standard test unless that is asked for.
struct end_tokens {
  std::vector<token> ids{};
  bool may_be_relaxed = false;

  [[nodiscard]] bool guards(token id) const noexcept {
    return !may_be_relaxed && std::find(ids.begin(), ids.end(), id) != ids.end();
  }

  friend bool operator==(const end_tokens&, const end_tokens&) = default;
};

namespace detail {

/// Whether the sampling test of an exact verifier could refuse a first draw: one that its drafter likes better than the
/// target does.
template <class Real>
[[nodiscard]] bool may_be_refused(const token_draft<Real>& draft, node_id child, distribution_view<Real> target) {
  const token id = draft.tree.token_of(child);
  const tree_edge edge = draft.tree.edge(child);
  const double p = target.probability(id);
  return edge.law == edge_law::deterministic ? p < 1 : p < draft.row_of(edge).probability(id);
}

/// Counts the step and, when `measure` says so, the regret of its relaxed acceptances and how long it stays greedy.
template <class Laws>
[[nodiscard]] error_code measure_tokens(const token_tree& tree, Laws& target, bool measure, verdict& out) {
  out.loss.passes = 1;
  out.loss.tokens = out.path.size();
  out.loss.relaxed = out.relaxed.size();
  if (!measure) return error_code::none;
  std::size_t flagged = 0;
  for (std::size_t i = 0; i < out.path.size(); ++i) {
    const auto* law = target.law(out.path[i]);
    if (law == nullptr) return target.status();
    const bool is_last = i + 1 == out.path.size();
    const token emitted = is_last ? out.last : tree.token_of(out.path[i + 1]);
    const double regret = regret_of(law->view(), emitted);
    out.loss.add_choice(emitted == argmax(law->view()));
    if (is_last || flagged == out.relaxed.size() || out.relaxed[flagged] != out.path[i + 1]) continue;
    out.loss.add_regret(regret);
    ++flagged;
  }
  return error_code::none;
}

}  // namespace detail

}  // namespace decant::inline DECANT_ABI

#endif
