// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a decoder promises, as a type-level value, and what its parts ask of each other. docs/guarantees.md says what
// each promise means, how it is proved, and its limits.
#ifndef DECANT_CORE_GUARANTEE_HPP
#define DECANT_CORE_GUARANTEE_HPP

#include <decant/config.hpp>

#include <cstdint>

namespace decant::inline DECANT_ABI {

/// Promises, from weakest to strongest.
enum class guarantee : std::uint8_t {
  lossy,             ///< the output follows a documented law that differs from the target's
  exact_in_law,      ///< the output has the target's law, whatever the drafter does
  greedy_identical,  ///< the output is, token by token, that of plain greedy decoding
  seed_identical     ///< the output is, token by token, that of plain sampling with the same seed
};

[[nodiscard]] constexpr const char* name(guarantee g) noexcept {
  switch (g) {
    case guarantee::lossy: return "lossy";
    case guarantee::exact_in_law: return "exact in law";
    case guarantee::greedy_identical: return "greedy identical";
    case guarantee::seed_identical: return "seed identical";
  }
  return "unknown";
}

/// The guarantee of a whole is the weakest of its parts.
[[nodiscard]] constexpr guarantee weakest(guarantee a, guarantee b) noexcept { return a < b ? a : b; }

/// How a tree came about, hence what a verifier may assume about its edges.
enum class tree_class : std::uint8_t {
  deterministic,  ///< no token was drawn: every edge is a point mass
  counted,        ///< as sampled, and how many draws a node gets is settled before the first of them
  sampled,        ///< tokens were drawn from the recorded laws, and no decision looked at a token before keeping it
  arbitrary       ///< anything else: a sampled tree that was pruned, re-ranked or filtered afterwards
};

[[nodiscard]] constexpr const char* name(tree_class c) noexcept {
  switch (c) {
    case tree_class::deterministic: return "deterministic";
    case tree_class::counted: return "counted";
    case tree_class::sampled: return "sampled";
    case tree_class::arbitrary: return "arbitrary";
  }
  return "unknown";
}

/// What a verifier asks of the tree's edges.
enum class edge_needs : std::uint8_t {
  nothing,       ///< any tree
  true_laws,     ///< every edge carries the law its token was drawn from (point masses allowed)
  sampled_laws,  ///< as true_laws, and the tokens were drawn: a point mass would only lose
  counted_laws   ///< as true_laws, and the draws below a node may be taken together or in another order
};

/// What a verifier asks of the tree's shape.
enum class shape_needs : std::uint8_t { any_tree, chain };

/// Why a drafter's tree and a verifier do not fit; `fits` when they do. Shared by the compile-time check and the check
/// at run time, so that both say the same.
enum class pairing_verdict : std::uint8_t {
  fits,
  law_was_broken,
  tokens_were_not_drawn,
  counts_depend_on_tokens,
  tree_is_no_chain
};

[[nodiscard]] constexpr pairing_verdict check_pairing(tree_class tree, bool is_chain, edge_needs needs,
                                                      shape_needs shape) noexcept {
  if (needs != edge_needs::nothing && tree == tree_class::arbitrary) return pairing_verdict::law_was_broken;
  if (needs == edge_needs::sampled_laws && tree == tree_class::deterministic) {
    return pairing_verdict::tokens_were_not_drawn;
  }
  if (needs == edge_needs::counted_laws && tree == tree_class::sampled) {
    return pairing_verdict::counts_depend_on_tokens;
  }
  if (shape == shape_needs::chain && !is_chain) return pairing_verdict::tree_is_no_chain;
  return pairing_verdict::fits;
}

#define DECANT_SAYS_LAW_WAS_BROKEN                                                                       \
  "the sampled tree was pruned, re-ranked or type-erased: its edge laws cannot be relied on; verify it " \
  "with match"
#define DECANT_SAYS_TOKENS_WERE_NOT_DRAWN \
  "the draft tokens were chosen, not drawn, so a p/q test would be biased or wasteful; verify them with match"
#define DECANT_SAYS_COUNTS_DEPEND_ON_TOKENS                                                          \
  "how many tokens the builder draws below a node depends on those drawn before, and this verifier " \
  "takes them together or in another order; use recursive_rejection, traversal or match"
#define DECANT_SAYS_TREE_IS_NO_CHAIN \
  "this verifier walks a chain but the builder makes a tree; use recursive_rejection or match"

[[nodiscard]] constexpr const char* sentence(pairing_verdict verdict) noexcept {
  switch (verdict) {
    case pairing_verdict::fits: return "the parts fit together";
    case pairing_verdict::law_was_broken: return DECANT_SAYS_LAW_WAS_BROKEN;
    case pairing_verdict::tokens_were_not_drawn: return DECANT_SAYS_TOKENS_WERE_NOT_DRAWN;
    case pairing_verdict::counts_depend_on_tokens: return DECANT_SAYS_COUNTS_DEPEND_ON_TOKENS;
    case pairing_verdict::tree_is_no_chain: return DECANT_SAYS_TREE_IS_NO_CHAIN;
  }
  return "unknown";
}

// Type-erased parts (`any_drafter`, `any_verifier`) know what they are only at run time. Their static members say the
// least that can be relied on; the members read below say the truth.

template <class Drafter>
[[nodiscard]] constexpr tree_class produces_of(const Drafter& drafter) {
  if constexpr (requires { drafter.produces_value(); }) {
    return drafter.produces_value();
  } else {
    return Drafter::produces;
  }
}

template <class Drafter>
[[nodiscard]] constexpr bool makes_chains_only(const Drafter& drafter) {
  if constexpr (requires { drafter.chains_only_value(); }) {
    return drafter.chains_only_value();
  } else {
    return Drafter::chains_only;
  }
}

template <class Verifier>
[[nodiscard]] constexpr guarantee promise_of(const Verifier& verifier) {
  if constexpr (requires { verifier.promise(); }) {
    return verifier.promise();
  } else {
    return Verifier::promises;
  }
}

/// Run-time form of `pairing`: a constant for typed parts.
template <class Drafter, class Verifier>
[[nodiscard]] constexpr pairing_verdict pairing_of(const Drafter& drafter, const Verifier& verifier) {
  if constexpr (requires { verifier.needs_value(); }) {
    return check_pairing(produces_of(drafter), makes_chains_only(drafter), verifier.needs_value(),
                         verifier.shape_value());
  } else {
    return check_pairing(produces_of(drafter), makes_chains_only(drafter), Verifier::needs, Verifier::shape);
  }
}

/// Whether a machine or verifier promises at least `Least`, for programs that insist:
/// `static_assert(promises_at_least<decltype(machine), guarantee::exact_in_law>)`.
template <class Part, guarantee Least>
inline constexpr bool promises_at_least = Part::promises >= Least;

/// Compile-time form: naming it is enough to check a drafter against a verifier.
template <class Drafter, class Verifier>
struct pairing {
  static constexpr pairing_verdict verdict =
      check_pairing(Drafter::produces, Drafter::chains_only, Verifier::needs, Verifier::shape);
  static_assert(verdict != pairing_verdict::law_was_broken, DECANT_SAYS_LAW_WAS_BROKEN);
  static_assert(verdict != pairing_verdict::tokens_were_not_drawn, DECANT_SAYS_TOKENS_WERE_NOT_DRAWN);
  static_assert(verdict != pairing_verdict::counts_depend_on_tokens, DECANT_SAYS_COUNTS_DEPEND_ON_TOKENS);
  static_assert(verdict != pairing_verdict::tree_is_no_chain, DECANT_SAYS_TREE_IS_NO_CHAIN);
  static constexpr bool ok = verdict == pairing_verdict::fits;
};

}  // namespace decant::inline DECANT_ABI

#endif
