// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/distances.hpp>
#include <decant/verify/loose_window.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// Number of tokens accepted of a chain whose agreement with the target is `pattern`, a text of ones and zeros.
[[nodiscard]] std::size_t accepted(const std::string& pattern, const loose_window& rule,
                                   const std::vector<double>& mismatch_law = {5, 3, 2}) {
  verify_case given;
  node_id end = 0;
  for (const char c : pattern) {
    end = given.add(end, 1);
    given.rows.push_back(c == '1' ? std::vector<double>{1, 4, 2} : mismatch_law);
  }
  given.rows.push_back({1, 1, 1});
  told_chance chance;
  return run_verifier(loose_speculation{rule}, given, chance).made.path.size() - 1;
}

}  // namespace

TEST_CASE("loose speculation has its golden pattern") { CHECK(accepted("1011110111", {4}) == 6); }

TEST_CASE("a mismatch passes when the rest of its window agrees and lies within the chain") {
  CHECK(accepted("0111111111", {4}) == 10);
  CHECK(accepted("0110111111", {4}) == 0);
  CHECK(accepted("1111101111", {4}) == 10);  // position 5 < 10 - 4
  CHECK(accepted("1111110111", {4}) == 6);   // position 6 is not
  CHECK(accepted("0111011111", {4}) == 10);  // two mismatches a window apart
  CHECK(accepted("0110", {2}) == 3);
  CHECK(accepted("0000", {1}) == 3);  // a window of one asks for nothing, but not of the last token
  CHECK(accepted("011", {6}) == 0);
  CHECK(accepted("", {6}) == 0);
}

TEST_CASE("the entropy gate stops mismatches where the target is sure") {
  const std::vector<double> sure{97, 1, 2};
  const double entropy_of_three = -(.97 * std::log(.97) + .01 * std::log(.01) + .02 * std::log(.02));
  CHECK(near(loose_window::entropy_of_top(view_of(sure)), entropy_of_three, 1e-12));
  CHECK(accepted("0111111", {4, entropy_of_three - 1e-9}, sure) == 7);
  CHECK(accepted("0111111", {4, entropy_of_three + 1e-9}, sure) == 0);
  // At or below .01 the gate is off, even for a target without doubt.
  CHECK(accepted("0111111", {4, .01}, {1, 0, 0}) == 7);
  CHECK(accepted("0111111", {4, .0101}, {1, 0, 0}) == 0);
}

TEST_CASE("the entropy of the top is that of the three largest entries, in any order") {
  const std::vector<double> row{.05, .4, .1, .3, .15};
  const double expected = -(.4 * std::log(.4) + .3 * std::log(.3) + .15 * std::log(.15));
  CHECK(near(loose_window::entropy_of_top(view_of(row)), expected, 1e-12));
  const std::vector<double> two{3, 1};
  CHECK(near(loose_window::entropy_of_top(view_of(two)), entropy(view_of(two)), 1e-12));
}

TEST_CASE("a window of zero and a negative gate are refused") {
  CHECK(loose_window{}.check().has_value());
  CHECK_FALSE(loose_window{0}.check().has_value());
  CHECK_FALSE(loose_speculation{{4, -1}}.check().has_value());
}

}  // namespace decant_test
