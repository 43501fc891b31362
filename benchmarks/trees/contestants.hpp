// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Who takes part in the shoot-out: builders at a budget of nodes, and verifiers.
#ifndef DECANT_BENCHMARKS_TREES_CONTESTANTS_HPP
#define DECANT_BENCHMARKS_TREES_CONTESTANTS_HPP

#include <decant/tree/any_builder.hpp>
#include <decant/tree/calibrated_paths.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/sequoia.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/traversal.hpp>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace trees {

using namespace decant;  // NOLINT: a program's own namespace

/// How the expected tokens of a given draft are computed; `none`: by trials, `one_trial`: by a single one, since the
/// draft and the verifier share their noise.
enum class closed_form { none, one_trial, match, rejection, block, traversal };

struct judge {
  std::string name;
  any_verifier<> verifier;
  closed_form form = closed_form::none;
  bool independent_only = false;  ///< differs from rejection on independent draws only
};

/// What is known of a drafter at one temperature; empty when nothing is.
struct rank_calibration {
  std::vector<double> ranked{};                  ///< P(the target's choice is the draft's r-th token)
  std::shared_ptr<const sequoia_trees> drawn{};  ///< optimal trees for siblings drawn without replacement
};

struct contestant {
  std::string name;
  any_builder<> builder;
  bool draws_independently = false;
  double draft_temperature = 0;  ///< of its own; 0: as everybody's

  [[nodiscard]] tree_class made() const { return builder.produces_value(); }
  [[nodiscard]] bool is_deterministic() const { return made() == tree_class::deterministic; }
  /// A deterministic tree is judged by match alone: no exact verifier does better there. Coupled draws belong to the
  /// verifier that shares their noise.
  [[nodiscard]] bool fits(const judge& by) const {
    if (is_deterministic()) return by.form == closed_form::match;
    if (made() == tree_class::arbitrary) return by.form == closed_form::one_trial;
    return by.form != closed_form::one_trial && (draws_independently || !by.independent_only) &&
           check_pairing(made(), builder.chains_only_value(), by.verifier.needs_value(), by.verifier.shape_value()) ==
               pairing_verdict::fits;
  }
};

[[nodiscard]] inline std::vector<judge> all_judges() {
  return {{"match", match{}, closed_form::match},
          {"rejection", recursive_rejection{}, closed_form::rejection},
          {"traversal", traversal{}, closed_form::traversal},
          {"block", block_verification{}, closed_form::block},
          {"membership", membership{}},
          {"K-SEQ", k_seq{}, closed_form::none, true},
          {"random order", random_order{}, closed_form::none, true},
          {"canonical", canonical_decomposition{}, closed_form::none, true},
          {"drafter-invariant", drafter_invariant{}, closed_form::one_trial}};
}

/// `chains` independent paths of equal length that use up the budget: about as many as they are long.
[[nodiscard]] inline std::array<std::int32_t, 16> bundle(std::int32_t budget) {
  std::array<std::int32_t, 16> widths{};
  const auto side = static_cast<std::int32_t>(std::lround(std::sqrt(budget)));
  const std::int32_t length = std::min(16, std::max(2, side));
  widths[0] = budget / length;
  for (std::int32_t i = 1; i < length; ++i) widths[index(i)] = 1;
  return widths;
}

/// Two children per node as deep as the budget goes.
[[nodiscard]] inline std::array<std::int32_t, 16> binary(std::int32_t budget) {
  std::array<std::int32_t, 16> widths{};
  std::int32_t nodes = 0;
  std::int32_t level = 1;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    level *= 2;
    if (nodes + level > budget) break;
    nodes += level;
    widths[i] = 2;
  }
  return widths;
}

[[nodiscard]] inline std::int32_t length_of(const std::array<std::int32_t, 16>& widths) {
  return static_cast<std::int32_t>(std::find(widths.begin(), widths.end(), 0) - widths.begin());
}

/// Trees that are built from what is known of the drafter.
inline void add_calibrated(std::vector<contestant>& all, std::int32_t budget, const rank_calibration& known) {
  constexpr std::size_t depth = 16;
  if (known.drawn) all.push_back({"Sequoia", known.drawn->tree(index(budget) + 1, depth)});
  if (known.ranked.empty()) return;
  const rank_acceptance acceptance(depth, known.ranked);
  all.push_back({"calibrated paths", calibrated_paths(acceptance, index(budget))});
}

[[nodiscard]] inline std::vector<contestant> all_contestants(std::int32_t budget, const rank_calibration& known) {
  std::vector<contestant> all;
  const auto widths = bundle(budget);
  const std::int32_t levels = length_of(widths);
  all.push_back({"chain", chain<independent>{std::min(budget, 16)}});
  all.push_back({"SpecInfer", static_widths<independent>{widths}, true});
  all.push_back({"RSD-C", static_widths<without_replacement>{widths}});
  all.push_back({"RSD-S", stochastic_beam{budget / levels, levels}});
  all.push_back({"coupled draws", static_widths<coupled_draws>{widths}});
  all.push_back({"binary, independent", static_widths<independent>{binary(budget)}, true});
  all.push_back({"binary, without replacement", static_widths<without_replacement>{binary(budget)}});
  all.push_back({"binary, top-k", static_widths<ranked>{binary(budget)}});
  // The paper drafts at 0.6 whatever the target's temperature; the heap takes part at the others' temperature, too.
  all.push_back({"DySpec heap", dyspec_heap{budget}, false, 0.6});
  all.push_back({"DySpec threshold", dyspec_threshold{1.0 / budget, budget}, false, 0.6});
  all.push_back({"DySpec heap, hot drafts", dyspec_heap{budget}});
  all.push_back({"OPT-Tree", opt_tree{budget, 0.1, 16}});
  all.push_back({"EAGLE-2", expand_and_rerank{budget + 1, budget > 256 ? 16 : 10}});
  add_calibrated(all, budget, known);
  return all;
}

}  // namespace trees

#endif
