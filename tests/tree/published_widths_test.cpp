// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/published_widths.hpp>

#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

TEST_CASE("published widths have their published depth and number of nodes") {
  philox_chance chance{1};
  const path_law law{3, 200, 0};
  const auto check = [&](const auto& shape, std::int32_t draws, std::int32_t depth) {
    CHECK(shape.check().has_value());
    const auto built = build(shape, {1000, 100}, law, chance);
    check_draft(built.draft, {draws, depth}, law.vocab_size);
    const token_tree& tree = built.draft.tree;
    CHECK(static_cast<std::int32_t>(tree.size() - 1 + tree.repeats().size()) <= draws);
    std::int32_t deepest = 0;
    for (const node_id n : tree.all()) deepest = std::max(deepest, tree.depth(n));
    CHECK(deepest == depth);
    return tree.size() - 1 + tree.repeats().size();
  };
  // A repeated draw has no subtree of its own, so independent draws may make fewer than all.
  CHECK(check(specinfer_widths, 20, 8) >= 10);
  CHECK(check(rsd_c_widths, 14, 3) == 14);
}
