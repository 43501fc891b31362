// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/token_draft.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/laws.hpp"
#include "tests/support/test_kit.hpp"

namespace {

using decant::edge_law;
using decant::node_id;
using decant::token;
using decant::token_draft;
using decant_test::dense_law;

void fill(token_draft<double>& draft, token marker) {
  draft.reset(1);
  draft.add_row_after(0).assign_one_hot(marker, 10);
  const node_id child = draft.tree.append(0, marker, {edge_law::independent, draft.row_after(0)});
  draft.add_row_after(child).assign(dense_law(std::vector<double>{1, 3}));
}

}  // namespace

TEST_CASE("draft rows are kept beside the tree") {
  token_draft<double> draft;
  fill(draft, 7);
  CHECK(draft.rows.size() == 2);
  CHECK(draft.row_after(0) == 0);
  CHECK(draft.row_after(1) == 1);
  CHECK(draft.row_after(2) == -1);
  CHECK(draft.row_of(draft.tree.edge(1)).probability(7) == 1);
  CHECK(draft.rows.row(1).probability(1) == 0.75);
  CHECK_FALSE(draft.rows.row(1).sparse());
}

TEST_CASE("nodes may share a row") {
  token_draft<double> draft;
  fill(draft, 7);
  const node_id other = draft.tree.append(0, 3);
  CHECK(draft.row_after(other) == -1);
  draft.set_row_after(other, 0);
  CHECK(draft.row_after(other) == 0);
  CHECK(draft.rows.size() == 2);
}

TEST_CASE("a reset draft remembers nothing of the last one") {
  token_draft<double> draft;
  fill(draft, 7);
  draft.reset(4);
  CHECK(draft.tree.size() == 1);
  CHECK(draft.tree.token_of(0) == 4);
  CHECK(draft.rows.size() == 0);
  CHECK(draft.row_after(0) == -1);
  CHECK(draft.drafted_as(0) == 0);
}

TEST_CASE("a draft allocates nothing after warm-up") {
  token_draft<double> draft;
  const auto law = dense_law(std::vector<double>{1, 3});
  const auto build = [&] {
    draft.reset(1);
    draft.add_row_after(0).assign(law);
    for (node_id n = 0; n < 8; ++n) {
      const node_id child = draft.tree.append(n, n, {edge_law::independent, draft.row_after(n)});
      draft.add_row_after(child).assign_one_hot(n, 10);
    }
    draft.tree.repeat(3, {edge_law::independent, 0});
  };
  CHECK(decant_test::allocations_of(build) > 0);
  CHECK(decant_test::allocations_of(build) == 0);
}
