// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a drafter is. It follows one sequence (extend, truncate) and, step by step, fills a token tree below its root.
// Drafting is resumable: a drafter names the nodes whose draft rows it wants, is given them, and goes on; one that
// needs no rows, or has a model of its own, finishes by itself.
#ifndef DECANT_DRAFT_DRAFTER_HPP
#define DECANT_DRAFT_DRAFTER_HPP

#include <decant/core/chance.hpp>
#include <decant/core/guarantee.hpp>
#include <decant/core/token_draft.hpp>
#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

/// How much may be drafted below the root.
struct draft_limits {
  std::int32_t nodes = 0;  ///< number of drafted nodes
  std::int32_t depth = 0;  ///< longest path below the root

  friend constexpr bool operator==(const draft_limits&, const draft_limits&) = default;
};

/// Where a draft starts.
struct draft_site {
  token_span context{};  ///< all committed tokens; the last one is the root of the tree
  draft_limits limits{};
  std::size_t vocab_size = 0;
  std::size_t output_begin = 0;  ///< position of the first token after the last prompt

  [[nodiscard]] std::uint64_t root_position() const noexcept { return context.size() - 1; }
};

/// Requirements for draft scalar `Real`:
/// - `produces`, `chains_only`: what its trees are;
/// - `length()`, `extend(tokens)`, `truncate(length)`: the committed tokens it knows. The loop calls extend before each
///   start with what is missing, so a drafter that failed half-way is simply caught up;
/// - `start(draft, site, chance)`: begins a draft; `draft` holds the root alone. Starting anew drops an unfinished one;
/// - `wanted()`: the nodes whose draft rows are needed before it can go on, empty when the draft is ready;
/// - `observe(tree, kept)`: how the step ended; `kept` is the kept path, root included.
/// A draft never holds more nodes than `limits.nodes`, deeper ones than `limits.depth`, or tokens outside the
/// vocabulary.
template <class D, class Real = float>
concept Drafter = requires(D& drafter, const D& seen, token_span tokens, std::size_t length, token_draft<Real>& draft,
                           const draft_site& site, detail::any_chance& chance, node_span kept) {
  { D::produces } -> std::convertible_to<tree_class>;
  { D::chains_only } -> std::convertible_to<bool>;
  { seen.length() } -> std::convertible_to<std::size_t>;
  { drafter.extend(tokens) } -> std::same_as<result<void>>;
  { drafter.truncate(length) } -> std::same_as<result<void>>;
  { drafter.start(draft, site, chance) } -> std::same_as<result<void>>;
  { seen.wanted() } -> std::convertible_to<node_span>;
  drafter.observe(draft.tree, kept);
};

/// Finishes its draft by itself: after `run`, nothing is wanted.
template <class D, class Real = float>
concept SelfDrivenDrafter = Drafter<D, Real> &&
    requires(D& drafter, token_draft<Real>& draft, detail::any_chance& chance) {
  { drafter.run(draft, chance) } -> std::same_as<result<void>>;
};

namespace detail {

template <class Real>
struct any_rows {
  using value_type = Real;
  std::span<const Real> row(node_id);
};

}  // namespace detail

/// Is given the wanted rows by its host: `supply(draft, rows, chance)`.
template <class D, class Real = float>
concept HostDrivenDrafter = Drafter<D, Real> &&
    requires(D& drafter, token_draft<Real>& draft, detail::any_rows<Real>& rows, detail::any_chance& chance) {
  { drafter.supply(draft, rows, chance) } -> std::same_as<result<void>>;
};

}  // namespace decant::inline DECANT_ABI

#endif
