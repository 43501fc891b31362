// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include "tests/support/test_kit.hpp"

using namespace decant;

static_assert(SelfDrivenDrafter<no_drafter, float> && SelfDrivenDrafter<no_drafter, double>);
static_assert(pairing<no_drafter, greedy>::ok && pairing<no_drafter, match>::ok &&
              pairing<no_drafter, recursive_rejection>::ok && pairing<no_drafter, speculative_sampling>::ok);

TEST_CASE("plain decoding drafts nothing and follows the text") {
  no_drafter drafter;
  const std::vector<token> text{1, 2, 3, 4};
  REQUIRE(drafter.extend(text).has_value());
  CHECK(drafter.length() == 4);
  token_draft<float> draft;
  draft.reset(4);
  philox_chance chance;
  REQUIRE(drafter.start(draft, draft_site{text, {8, 8}, 10}, chance).has_value());
  REQUIRE(drafter.run(draft, chance).has_value());
  CHECK(drafter.wanted().empty());
  CHECK(draft.tree == token_tree(4));
  REQUIRE(drafter.truncate(9).has_value());
  CHECK(drafter.length() == 4);
  REQUIRE(drafter.truncate(1).has_value());
  CHECK(drafter.length() == 1);
}
