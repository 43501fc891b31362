// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Relaxed verification by window: whether a token of a chain is accepted may depend on the target's view of the tokens
// drafted after it. All laws of the chain are looked at before the first decision; then the leading run of accepted
// tokens is kept. Loose speculation (loose_window.hpp) is the first such rule.
// Guarantee: lossy; the output follows the rule given the draft, with the most probable token of the target as
// correction and as bonus. Needs nothing of the edges, a chain; cannot stream. Complexity: one processed row per
// drafted token.
// Worked example: loose_window.hpp.
#ifndef DECANT_VERIFY_WINDOW_VERIFIER_HPP
#define DECANT_VERIFY_WINDOW_VERIFIER_HPP

#include <decant/verify/relaxation.hpp>

namespace decant::inline DECANT_ABI {

/// A whole chain as the target sees it. Entry i belongs to the i-th drafted token.
template <class Real>
struct chain_view {
  std::span<const distribution<Real>* const> laws;  ///< the law the token is judged by
  std::span<const std::uint8_t> is_greedy;          ///< 1 where it is the most probable token of that law

  [[nodiscard]] std::size_t size() const noexcept { return laws.size(); }
};

/// `may_pass(chain, i)`: whether token i, which is not the most probable one, is accepted all the same.
template <class R>
concept WindowRule = requires(const R& rule, const chain_view<double>& chain, std::size_t i) {
  { rule.may_pass(chain, i) } -> std::convertible_to<bool>;
};

template <class Rule>
struct window_verifier {
  static_assert(WindowRule<Rule>, "window_verifier: the parameter must be a window rule");
  static constexpr guarantee promises = guarantee::lossy;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::chain;

  Rule rule{};
  end_tokens ends{};          ///< accepted only where they are the most probable token
  bool measures_loss = true;  ///< fill `verdict::loss` beyond its counters

  /// What is out of range, in one sentence.
  [[nodiscard]] result<void> check() const { return check_of(rule); }

  template <class Real>
  struct work {
    std::vector<const distribution<Real>*> laws;
    std::vector<std::uint8_t> is_greedy;
  };

  template <class Real, class Laws, class Chance>
  [[nodiscard]] error_code verify(const token_draft<Real>& draft, Laws& target, Chance&, std::uint64_t,
                                  work<Real>& scratch, verdict& out) const {
    DECANT_PRECONDITION(draft.tree.is_chain());
    out.reset();
    if (const error_code failed = view_chain(draft.tree, target, scratch); failed != error_code::none) return failed;
    const chain_view<Real> chain{scratch.laws, scratch.is_greedy};
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const node_id next = draft.tree.first_child(out.end());
      const bool greedy = chain.is_greedy[i] != 0;
      if (!greedy && (ends.guards(draft.tree.token_of(next)) || !rule.may_pass(chain, i))) break;
      out.path.push_back(next);
      if (!greedy) out.relaxed.push_back(next);
    }
    const distribution<Real>* law = target.law(out.end());
    if (law == nullptr) return target.status();
    finish(out, argmax(law->view()), draft.tree, last_token_kind::sample);
    return detail::measure_tokens(draft.tree, target, measures_loss, out);
  }

  friend bool operator==(const window_verifier&, const window_verifier&) = default;

 private:
  template <class Laws, class Work>
  [[nodiscard]] static error_code view_chain(const token_tree& tree, Laws& target, Work& scratch) {
    scratch.laws.clear();
    scratch.is_greedy.clear();
    node_id above = 0;
    for (node_id n = tree.first_child(0); n != no_node; above = n, n = tree.first_child(n)) {
      const auto* law = target.law(above);
      if (law == nullptr) return target.status();
      scratch.laws.push_back(law);
      scratch.is_greedy.push_back(argmax(law->view()) == tree.token_of(n) ? 1 : 0);
    }
    return error_code::none;
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
