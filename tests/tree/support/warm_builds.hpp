// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a builder allocates when it makes the same tree again.
#ifndef DECANT_TESTS_TREE_WARM_BUILDS_HPP
#define DECANT_TESTS_TREE_WARM_BUILDS_HPP

#include <decant/core/philox.hpp>
#include <decant/tree/builder.hpp>

#include "tests/support/allocation_counter.hpp"

#include <vector>

namespace decant_test {

struct warm_build {
  std::size_t nodes = 0;        ///< of the tree, root included
  std::size_t allocations = 0;  ///< while it was made for the second time
};

/// Makes a tree twice, from the same draft law after every node.
template <class Builder>
[[nodiscard]] warm_build build_twice(const Builder& builder, decant::draft_limits limits,
                                     const std::vector<double>& weights) {
  decant::philox_chance chance{1};
  typename Builder::template work<double> work{};
  decant::token_draft<double> draft;
  const auto step = [&] {
    draft.reset(0);
    builder.start(work, draft, limits);
    while (!decant::node_span(builder.wanted(work)).empty()) {
      for (const decant::node_id n : builder.wanted(work)) {
        decant::distribution<double>& law = draft.add_row_after(n);
        const std::span<double> room = law.begin_dense(weights.size());
        std::copy(weights.begin(), weights.end(), room.begin());
        (void)law.finish();
      }
      builder.grow(work, draft, 5, chance);
    }
  };
  step();
  return {draft.tree.size(), allocations_of(step)};
}

}  // namespace decant_test

#endif
