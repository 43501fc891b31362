// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Configurations of the exact suite with the builders that choose their tokens, and with those that draw into a shape
// settled beforehand (Falcon's block tree, Sequoia's tree).
#ifndef DECANT_TESTS_PROOF_CHOSEN_BUILDER_CASES_HPP
#define DECANT_TESTS_PROOF_CHOSEN_BUILDER_CASES_HPP

#include <decant/tree/block_tree.hpp>
#include <decant/tree/calibrated_paths.hpp>
#include <decant/tree/expand_and_rerank.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/tree/published_paths.hpp>
#include <decant/tree/sequoia.hpp>
#include <decant/tree/size_by_cost.hpp>

#include "tests/proof/configurations.hpp"

namespace decant_test {

/// Builders that choose their tokens; the trees are enumerated by the verifier's choices alone.
template <class List>
void add_chosen_trees(List& list) {
  list.add("opt_tree of 4 nodes", opt_tree{4, 0.1, 3}, long_reach);
  list.add("opt_tree of 6 nodes, stops early", opt_tree{6, 0.6, 4}, middle_reach);
  list.add("opt_tree of 9 nodes, at most 3", opt_tree{9, 0.05, 4}, middle_reach, {3, 2});
  list.add("expand_and_rerank 5 2 2", expand_and_rerank{5, 2, 2}, long_reach);
  list.add("expand_and_rerank 7 3 1", expand_and_rerank{7, 3, 1}, middle_reach);
  list.add("expand_and_rerank by default", expand_and_rerank{}, short_reach, {8, 3});
  const auto blocks = static_paths<ranked>(paths_from("0 1 00 10 000 001"));
  list.add("block_tree of two", block_tree<ranked>{blocks, 2, 0}, long_reach);
  list.add("block_tree of three", block_tree<ranked>{blocks, 3, 1}, middle_reach);
  list.add("cut to cost", cut_to_cost<expand_and_rerank>{{9, 3, 2}, cost_curve{{{1, 1.0}, {4, 1.5}}}, 0.1},
           middle_reach);
  list.add("budget by cost",
           budget_by_cost<opt_tree>{{6, 0.1, 3}, {{2, 1.5, 2}, {5, 2.0, 3}}, cost_curve::offload(), 0.1}, middle_reach);
  list.add("calibrated paths", calibrated_paths({{0.5, 0.3}, {0.6, 0.1}, {0.4}}, 4), long_reach);
}

/// Builders that draw their tokens, by an offline construction or from shared rows.
template <class List>
void add_drawn_shapes(List& list) {
  const auto blocks = static_paths<without_replacement>(paths_from("0 1 00 10"));
  list.add("block_tree of two, without replacement", block_tree<without_replacement>{blocks, 2, 0}, short_reach);
  const auto deep = static_paths<without_replacement>(paths_from("0 00 01 000"));
  list.add("block_tree of two, three levels", block_tree<without_replacement>{deep, 2, 1}, short_reach);
  const sequoia_trees best({0.5, 0.3, 0.1}, 5, 3);
  list.add("sequoia of 4 nodes", best.tree(4, 2), middle_reach);
  list.add("sequoia of 5 nodes", best.tree(5, 3), short_reach);
  list.add("budget by cost, drawn",
           budget_by_cost<static_widths<without_replacement>>{
               {{2, 1}}, {{1, 1.5, 1}, {3, 1.9, 2}}, cost_curve::offload(), 0.1},
           middle_reach);
}

}  // namespace decant_test

#endif
