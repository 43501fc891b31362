// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a verifier is: it looks at a draft and at the target's laws, and decides which path is accepted and which token
// follows it. It holds parameters only; scratch memory is its `work`, randomness its chance source.
#ifndef DECANT_VERIFY_VERIFIER_HPP
#define DECANT_VERIFY_VERIFIER_HPP

#include <decant/core/chance.hpp>
#include <decant/core/guarantee.hpp>
#include <decant/core/relaxed_loss.hpp>
#include <decant/core/token_draft.hpp>

namespace decant::inline DECANT_ABI {

/// Where the last token of a step came from.
enum class last_token_kind : std::uint8_t {
  bonus,       ///< drawn after full acceptance: the path ends at a leaf (a step without draft is one such)
  correction,  ///< drawn from the residual after the children of a node were rejected
  sample,      ///< the target's own choice, which no child carried
};

/// Outcome of a step. Reused from step to step.
struct verdict {
  std::vector<node_id> path;  ///< accepted nodes from the root (included) downwards
  token last = no_token;      ///< the token after the path
  last_token_kind kind = last_token_kind::bonus;
  std::vector<node_id> relaxed;  ///< accepted nodes an exact verifier might have refused (lossy verifiers only)
  relaxed_loss loss{};           ///< what the step gave away (relaxed verifiers that measure it)

  /// Node whose row the last token came from.
  [[nodiscard]] node_id end() const noexcept { return path.back(); }

  void reset() {
    path.assign(1, 0);
    relaxed.clear();
    loss = {};
    last = no_token;
    kind = last_token_kind::bonus;
  }
};

/// Ends a verdict at its path's end: a bonus at a leaf, otherwise what `inside` says.
inline void finish(verdict& out, token last, const token_tree& tree, last_token_kind inside) {
  out.last = last;
  out.kind = tree.first_child(out.end()) == no_node ? last_token_kind::bonus : inside;
}

namespace detail {

/// Laws of nothing, to ask for a verifier's signature.
struct any_laws {
  using value_type = double;
  const distribution<double>* law(node_id);
  [[nodiscard]] error_code status() const;
};

struct any_chance {
  bool accept(chance_key, double, double);
  token pick(chance_key, distribution_view<double>);
  std::size_t ordered_sample(chance_key, distribution_view<double>, std::span<token>);
};

}  // namespace detail

/// Requirements:
/// - `promises`: its guarantee; `needs`, `shape`: what it asks of trees;
/// - `work<Real>`: reusable scratch memory;
/// - `verify(draft, laws, chance, root_position, work, verdict)`: `none`, or why a row could not be used; on error the
///   verdict is meaningless and nothing else has changed. `laws.law(n)` is the target law after node n, or nullptr.
///   `root_position` is the absolute position of the root: the token after a node of depth d sits at
///   root_position + d + 1.
template <class V>
concept Verifier = requires(const V& verifier, const token_draft<double>& draft, detail::any_laws& laws,
                            detail::any_chance& chance, typename V::template work<double>& work, verdict& out) {
  { V::promises } -> std::convertible_to<guarantee>;
  { V::needs } -> std::convertible_to<edge_needs>;
  { V::shape } -> std::convertible_to<shape_needs>;
  { verifier.verify(draft, laws, chance, std::uint64_t{}, work, out) } -> std::same_as<error_code>;
};

/// `work` of a verifier that needs none.
template <class Real>
struct no_work {};

}  // namespace decant::inline DECANT_ABI

#endif
