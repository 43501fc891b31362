// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Configurations of the exact suite with the builders whose next draw depends on the draws before.
#ifndef DECANT_TESTS_PROOF_SAMPLED_BUILDER_CASES_HPP
#define DECANT_TESTS_PROOF_SAMPLED_BUILDER_CASES_HPP

#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/stochastic_beam.hpp>

#include "tests/proof/configurations.hpp"

namespace decant_test {

/// DySpec in both forms and the stochastic beam under one verifier.
template <class Real, class V>
[[nodiscard]] std::vector<exact_case> sampled_builder_cases(const char* name) {
  auto list = list_for<Real, V>(name);
  list.add("DySpec, 2 nodes", dyspec_heap{.nodes = 2}, long_reach);
  list.add("DySpec, 3 nodes", dyspec_heap{.nodes = 3}, middle_reach);
  list.add("DySpec, 3 nodes, blocks of 2", dyspec_heap{.nodes = 3, .row_block = 2}, middle_reach);
  list.add("DySpec, 4 nodes, row by row", dyspec_heap{.nodes = 4, .batch = 1}, short_reach);
  list.add("DySpec, 8 nodes, at most 3 and depth 2", dyspec_heap{.nodes = 8}, middle_reach, {3, 2});
  list.add("DySpec, threshold .35", dyspec_threshold{.threshold = 0.35}, middle_reach, {64, 2});
  list.add("DySpec, threshold .25, blocks of 1", dyspec_threshold{.threshold = 0.25, .row_block = 1}, short_reach,
           {64, 2});
  list.add("DySpec, threshold .2, at most 3 nodes", dyspec_threshold{.threshold = 0.2, .nodes = 3}, middle_reach);
  list.add("stochastic beam 2 x 1", stochastic_beam{.width = 2, .depth = 1}, middle_reach);
  list.add("stochastic beam 2 x 2", stochastic_beam{.width = 2, .depth = 2, .row_block = 2}, short_reach);
  list.add("stochastic beam 3 x 2, at most 4 nodes", stochastic_beam{.width = 3, .depth = 2}, short_reach, {4, 16});
  list.add("stochastic beam 1 x 3", stochastic_beam{.width = 1, .depth = 3}, middle_reach);
  list.add_tokens("DySpec, 3 nodes", dyspec_heap{.nodes = 3}, 3, 3);
  list.add_tokens("stochastic beam 2 x 2", stochastic_beam{.width = 2, .depth = 2}, 2, 3);
  return list.take();
}

}  // namespace decant_test

#endif
