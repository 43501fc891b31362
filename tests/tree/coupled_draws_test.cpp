// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/support/draft_building.hpp"
#include "tests/support/laws.hpp"

using namespace decant;
using namespace decant_test;

TEST_CASE("coupled children are the first of the race with which the verifier chooses at their position") {
  random_source random(381);
  for (int round = 0; round < 100; ++round) {
    const auto law = law_in_form(random.weights<double>(20, 0.4), random.coin());
    const philox_chance chance{random.bits()};
    token_draft<double> draft;
    draft.reset(0);
    const node_id child = draft.tree.append(0, 3);
    draft.add_row_after(0).assign(law);
    draft.add_row_after(child).assign(law);
    coupled_draws{}.draw(draft, 0, 3, 50, chance);
    coupled_draws{}.draw(draft, child, 3, 50, chance);
    std::vector<token> winners(3);
    winners.resize(chance.ordered_sample(sample_key(51), law.view(), winners));
    auto below_root = child_tokens(draft.tree, 0);
    below_root.erase(below_root.begin());  // the child that was there
    CHECK(below_root == winners);
    winners.resize(3);
    winners.resize(chance.ordered_sample(sample_key(52), law.view(), winners));
    CHECK(child_tokens(draft.tree, child) == winners);
  }
}

TEST_CASE("nodes of one depth share their noise") {
  const philox_chance chance{5};
  token_draft<double> draft;
  draft.reset(0);
  const auto law = dense_law(std::vector<double>{1, 2, 3, 4, 5, 6});
  for (const token t : {1, 2}) draft.add_row_after(draft.tree.append(0, t)).assign(law);
  coupled_draws{}.draw(draft, 1, 2, 50, chance);
  coupled_draws{}.draw(draft, 2, 2, 50, chance);
  CHECK(child_tokens(draft.tree, 1) == child_tokens(draft.tree, 2));
}

TEST_CASE("trees of coupled draws keep what every draft must keep") {
  philox_chance chance{7};
  for (const std::int32_t nodes : {0, 1, 4, 7, 64}) {
    const auto built = build(static_widths<coupled_draws>{{3, 2, 1}}, {nodes, 3}, path_law{}, chance);
    check_draft(built.draft, {nodes, 3}, 12);
    check_draft(build(chain<coupled_draws>{4}, {nodes, 3}, path_law{}, chance).draft, {nodes, 3}, 12);
  }
}

TEST_CASE("coupling verifiers refuse coupled draws") {
  const static_widths<coupled_draws> tree{{2, 1}};
  CHECK(pairing_of(tree, recursive_rejection{}) == pairing_verdict::law_was_broken);
  CHECK(pairing_of(tree, traversal{}) == pairing_verdict::law_was_broken);
  CHECK(pairing_of(tree, drafter_invariant{}) == pairing_verdict::fits);
}
