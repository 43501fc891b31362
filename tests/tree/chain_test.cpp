// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>
#include <decant/tree/chain.hpp>

#include "tests/support/draft_building.hpp"

using namespace decant;
using namespace decant_test;

TEMPLATE_TEST_CASE("a chain has its length within every limit", "", ranked, independent, without_replacement) {
  philox_chance chance{2};
  const path_law law{4};
  for (std::int32_t length = 0; length < 6; ++length) {
    for (std::int32_t nodes = -1; nodes < 6; ++nodes) {
      for (std::int32_t depth = 0; depth < 6; ++depth) {
        const auto built = build(chain<TestType>{.length = length}, {nodes, depth}, law, chance);
        const auto expected = std::max(0, std::min({length, nodes, depth}));
        CHECK(built.draft.tree.size() == index(expected) + 1);
        CHECK(built.draft.tree.is_chain());
        CHECK(built.rows_wanted() == index(expected));
        check_draft(built.draft, {expected, expected}, law.vocab_size);
      }
    }
  }
}

TEST_CASE("an argmax chain takes the most probable token each time") {
  philox_chance chance{2};
  const path_law law{5};
  const auto built = build(chain<ranked>{.length = 8}, {8, 8}, law, chance);
  for (node_id n = 0; n < 8; ++n) {
    const std::vector<double> weights = law(tokens_to(built.draft.tree, n));
    const auto best = std::max_element(weights.begin(), weights.end()) - weights.begin();
    CHECK(built.draft.tree.token_of(n + 1) == static_cast<token>(best));
  }
}

TEST_CASE("a chain stops at an unsure row, before drawing from it") {
  philox_chance chance{2};
  // Depth 0: top 0.7; depth 1: top 0.5; depth 2: top 0.25 of four.
  const auto law = [](const std::vector<token>& path) -> std::vector<double> {
    if (path.size() == 1) return {7, 1, 1, 1};
    if (path.size() == 2) return {0, 5, 5, 0};
    return {1, 1, 1, 1};
  };
  const auto length = [&](const chain<independent>& builder) {
    return build(builder, {8, 8}, law, chance).draft.tree.size() - 1;
  };
  CHECK(length({.length = 5}) == 5);
  CHECK(length({.length = 5, .min_top_probability = 0.8f}) == 0);
  CHECK(length({.length = 5, .min_top_probability = 0.6f}) == 1);
  CHECK(length({.length = 5, .min_top_probability = 0.5f}) == 2);
  CHECK(length({.length = 5, .min_top_probability = 0.25f}) == 5);
  CHECK(length({.length = 5, .max_entropy = 0.5f}) == 0);
  CHECK(length({.length = 5, .max_entropy = 0.95f}) == 2);
  CHECK(length({.length = 5, .max_entropy = 1.4f}) == 5);
  CHECK(length({.length = 5, .min_top_probability = 0.6f, .max_entropy = 0.95f}) == 1);
}

TEST_CASE("whether a chain goes on never depends on the token it drew last") {
  // At every seed the first row alone decides about the first token.
  const auto law = [](const std::vector<token>& path) -> std::vector<double> {
    return path.size() == 1 ? std::vector<double>{6, 3, 1} : std::vector<double>{1, 1, 1};
  };
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    philox_chance chance{seed};
    const auto built = build(chain<independent>{.min_top_probability = 0.5f}, {8, 8}, law, chance);
    CHECK(built.draft.tree.size() == 2);
  }
}

TEST_CASE("chain settings are checked and compared") {
  CHECK(chain<ranked>{}.check().has_value());
  CHECK(chain<ranked>{.length = -1}.check().code() == error_code::invalid_argument);
  CHECK(chain<ranked>{.min_top_probability = 1.5f}.check().code() == error_code::invalid_argument);
  CHECK(chain<ranked>{.max_entropy = -1}.check().code() == error_code::invalid_argument);
  CHECK(chain<ranked>{.length = 3} == chain<ranked>{.length = 3});
  CHECK(chain<ranked>{.length = 3} != chain<ranked>{.length = 4});
}
