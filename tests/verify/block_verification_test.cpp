// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of block verification is proved in tests/proof; here is what it asks its chance source.
#include <decant/verify/block_verification.hpp>

#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

/// Tokens 1 and 0 drawn from q = (2/3, 1/3), where p = (1/3, 2/3) everywhere.
[[nodiscard]] verify_case two_tokens(token first, token second) {
  verify_case given;
  const std::int32_t row = given.add_row({2, 1});
  const node_id above = given.add(0, first, {edge_law::independent, row});
  (void)given.add(above, second, {edge_law::independent, row});
  given.rows = {{1, 2}, {1, 2}, {1, 2}};
  return given;
}

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

}  // namespace

TEST_CASE("a surplus of an earlier token pays for a later one") {
  verify_case given = two_tokens(1, 0);
  told_chance chance{{true}, {1}};
  const auto seen = run_verifier(block_verification{}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[0]), 0.5, 1e-12));  // min(1, 2) * 1/2
  CHECK(seen.made.path == path{0, 1, 2});
  CHECK(seen.made.kind == last_token_kind::bonus);
  CHECK(chance.draws[0].key == sample_key(13));
}

TEST_CASE("a rejected end is judged again as a shorter prefix, and corrected from what is left there") {
  verify_case given = two_tokens(0, 0);
  told_chance chance{{false, false}, {1}};
  const auto seen = run_verifier(block_verification{}, given, chance);
  REQUIRE(chance.coins.size() == 2);
  CHECK(near(ratio(chance.coins[0]), 0.25, 1e-12));  // b_2 = 1/2 * 1/2
  CHECK(chance.coins[1].key == accept_key(10, 1));
  // b_1 = 1/2: Z = relu(1/3 - 1/3) + relu(1/6 - 2/3) = 0, so the first token alone is never kept.
  CHECK(chance.coins[1].a == 0);
  CHECK(seen.made.path == path{0});
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(same_row(chance.draws[0].law, {0, 1}));
  CHECK(chance.draws[0].key == sample_key(11));
}

TEST_CASE("a token the target forbids ends what can be accepted") {
  verify_case given = two_tokens(1, 0);
  given.rows[1] = {0, 1};
  told_chance chance{{true}, {1}};
  const auto seen = run_verifier(block_verification{}, given, chance);
  REQUIRE(chance.coins.size() == 1);  // nothing is asked about the forbidden token
  CHECK(chance.coins[0].key == accept_key(10, 1));
  CHECK(seen.made.path == path{0, 1});
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(seen.asked_rows == path{0, 1});
}

TEST_CASE("a row that cannot be had is an error of block verification, and no draft is a plain step") {
  verify_case missing = two_tokens(1, 0);
  missing.rows[2].clear();
  told_chance none{{true}};
  CHECK(run_verifier(block_verification{}, missing, none).status == error_code::row_unavailable);
  verify_case plain;
  plain.rows = {{1, 3}};
  told_chance chance{{}, {1}};
  const auto seen = run_verifier(block_verification{}, plain, chance);
  CHECK(seen.made.last == 1);
  CHECK(seen.made.kind == last_token_kind::bonus);
  CHECK(same_row(chance.draws[0].law, {0.25, 0.75}));
}

}  // namespace decant_test
