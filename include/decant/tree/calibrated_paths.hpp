// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The static tree a calibration asks for (Medusa, arXiv 2401.10774): choice r at depth d is right with probability
// acc[d][r] where its parent is, whatever the path, so a node is worth the product along its path; the N most valuable
// nodes are the best tree of N nodes, and the sum of their values is the expected number of accepted tokens. Values
// fall along a path, so what is chosen is a tree. With ranked children acc[d][r] is how often the token of rank r is
// the target's (top-(r+1) accuracy minus top-r accuracy); with drawn children, how often draw r is the one accepted,
// and as every lower draw must be there too, the choice is the best only where acc[d] never rises (else:
// tree/sequoia.hpp).
//
// Guarantee: the verifier's. Needs: a calibration (tree/acceptance_by_rank.hpp counts one). Offline:
// O(N log N + ranks log ranks per depth).
//
// Example, acc = {{.6 .3} {.5 .2}}: {0} .6, {1} .3, {0 0} .3, {1 0} .15, {0 1} .12, {1 1} .06. N = 3 takes the first
// three, E = 1.2.
#ifndef DECANT_TREE_CALIBRATED_PATHS_HPP
#define DECANT_TREE_CALIBRATED_PATHS_HPP

#include <decant/tree/static_paths.hpp>

#include <numeric>

namespace decant::inline DECANT_ABI {

/// By depth below the root (entry 0: the root's children) and rank: probability that this child is the accepted one
/// where its parent is. Entries in [0, 1].
using rank_acceptance = std::vector<std::vector<double>>;

/// Rank paths, as `static_paths` takes them.
using rank_paths = std::vector<std::vector<std::int32_t>>;

/// Paths chosen for their worth.
struct valued_paths {
  rank_paths paths{};   ///< most valuable first, so parents before their children
  double accepted = 0;  ///< expected number of accepted tokens, the sum of the values
};

namespace detail {

/// Best-first choice of nodes of largest value. Below each node, children are considered one after the other in the
/// order `choices(depth)`, a span of ranks whose acceptance does not rise; `acceptance(depth, rank)` in [0, 1].
template <class Acceptance, class Choices>
[[nodiscard]] valued_paths best_first_paths(std::size_t nodes, std::size_t max_depth, const Acceptance& acceptance,
                                            const Choices& choices) {
  struct entry {
    double value;        ///< of the node itself
    double above;        ///< of its parent
    std::size_t parent;  ///< 1 + the parent's place in the result, 0 for the root
    std::size_t depth;   ///< of the parent
    std::size_t choice;  ///< place among the choices of that depth
    std::size_t order;   ///< of being considered: the earlier among equals
  };
  const auto worse = [](const entry& a, const entry& b) {
    return a.value != b.value ? a.value < b.value : a.order > b.order;
  };
  valued_paths found;
  std::vector<entry> heap;
  std::size_t considered = 0;
  const auto consider = [&](double above, std::size_t parent, std::size_t depth, std::size_t choice) {
    if (depth >= max_depth || choice >= choices(depth).size()) return;
    const double value = above * acceptance(depth, choices(depth)[choice]);
    if (!(value > 0)) return;
    heap.push_back({value, above, parent, depth, choice, considered++});
    std::push_heap(heap.begin(), heap.end(), worse);
  };
  consider(1, 0, 0, 0);
  while (found.paths.size() < nodes && !heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), worse);
    const entry best = heap.back();
    heap.pop_back();
    std::vector<std::int32_t> path;
    if (best.parent > 0) path = found.paths[best.parent - 1];
    path.push_back(static_cast<std::int32_t>(choices(best.depth)[best.choice]));
    found.paths.push_back(std::move(path));
    found.accepted += best.value;
    consider(best.above, best.parent, best.depth, best.choice + 1);
    consider(best.value, found.paths.size(), best.depth + 1, 0);
  }
  return found;
}

/// Ranks 0, 1, ..., count - 1.
[[nodiscard]] inline std::vector<std::size_t> ranks_in_order(std::size_t count) {
  std::vector<std::size_t> ranks(count);
  std::iota(ranks.begin(), ranks.end(), std::size_t{0});
  return ranks;
}

}  // namespace detail

/// The `nodes` most valuable paths, fewer where the others are worth nothing; among equals first the one that was
/// considered first. `drawn` says that a path may only be chosen together with all lower ranks beside it.
[[nodiscard]] inline valued_paths most_valuable_paths(const rank_acceptance& acceptance, std::size_t nodes,
                                                      bool drawn = false) {
  std::vector<std::vector<std::size_t>> choices;
  for (const std::vector<double>& by_rank : acceptance) {
    choices.push_back(detail::ranks_in_order(std::min(by_rank.size(), max_children)));
    if (drawn) continue;
    std::stable_sort(choices.back().begin(), choices.back().end(),
                     [&by_rank](std::size_t a, std::size_t b) { return by_rank[a] > by_rank[b]; });
  }
  return detail::best_first_paths(
      nodes, acceptance.size(), [&](std::size_t depth, std::size_t rank) { return acceptance[depth][rank]; },
      [&](std::size_t depth) -> const std::vector<std::size_t>& { return choices[depth]; });
}

/// The tree of those paths.
template <class Draw = ranked>
[[nodiscard]] static_paths<Draw> calibrated_paths(const rank_acceptance& acceptance, std::size_t nodes,
                                                  Draw children = {}) {
  constexpr bool drawn = Draw::produces != tree_class::deterministic;
  return static_paths<Draw>(most_valuable_paths(acceptance, nodes, drawn).paths, std::move(children));
}

}  // namespace decant::inline DECANT_ABI

#endif
