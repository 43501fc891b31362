// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/infill.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/sampling.hpp"

#include <string>

namespace {

using decant::infill;
using decant::make_sampler;
using decant::token;
using decant_test::largest_difference;
using decant_test::probabilities;
using tokens = std::vector<token>;

struct words {
  std::vector<std::string> list;
  [[nodiscard]] std::span<const char> token_bytes(token t) const { return list[decant::index(t)]; }
};

std::vector<double> law(const words& texts, const std::vector<double>& shares, const tokens& ends, token end) {
  std::vector<double> row;
  for (const double p : shares) row.push_back(std::log(p));
  const infill rule{decant::token_bytes::from(texts), ends, end};
  return probabilities(make_sampler(rule), row);
}

}  // namespace

TEST_CASE("infill ends as soon as the ends are likely enough") {
  const words texts{{"a", "b", "", ""}};
  // 3 * 0.2 * 4 > 0.8: the ends alone.
  CHECK(largest_difference(law(texts, {0.5, 0.3, 0.15, 0.05}, {2, 3}, 2), {0, 0, 0.75, 0.25}) < 1e-12);
}

TEST_CASE("infill merges a text with those that begin with it, into the likelier one") {
  const words texts{{"fo", "foo", "x", ""}};
  // "fo" + "foo" = 0.7 in "foo"; 1/3 is what two texts need, so "x" at 0.298 goes.
  CHECK(largest_difference(law(texts, {0.3, 0.4, 0.298, 0.002}, {3}, 3), {0, 0.7 / 0.702, 0, 0.002 / 0.702}) < 1e-12);
  CHECK(largest_difference(law(texts, {0.4, 0.3, 0.298, 0.002}, {3}, 3), {0.7 / 0.702, 0, 0, 0.002 / 0.702}) < 1e-12);
  // Tokens without bytes are the beginning of nothing.
  const words empty{{"", "foo", "x", ""}};
  CHECK(largest_difference(law(empty, {0.3, 0.4, 0.298, 0.002}, {3}, 3), {0.3, 0.4, 0.298, 0.002}) < 1e-12);
}

TEST_CASE("infill ends when no text is likely") {
  const words texts{{"a", "b", "c", "d", "e", "f", ""}};
  CHECK(largest_difference(law(texts, {0.19, 0.18, 0.17, 0.16, 0.15, 0.14, 0.01}, {6}, 6), {0, 0, 0, 0, 0, 0, 1}) <
        1e-12);
  // The end need not be a candidate.
  const infill rule{decant::token_bytes::from(texts), {6}, 6};
  const std::vector<double> row{1, 1, 1, 1, 1, 1, -5};
  CHECK(decant_test::support(probabilities(make_sampler(decant::top_k{6}, rule), row)) == tokens{6});
}

TEST_CASE("a long text, which made the original buffer grow by a negative length, is merged like any other") {
  const words texts{{std::string(300, 'z'), std::string(299, 'z'), "q", ""}};
  CHECK(largest_difference(law(texts, {0.35, 0.4, 0.2499, 0.0001}, {3}, 3), {0, 0.75 / 0.7501, 0, 0.0001 / 0.7501}) <
        1e-9);
}

TEST_CASE("infill always keeps something, allocates nothing once warm, and explains what is out of range") {
  const words texts{{"a", "ab", "abc", ""}};
  const infill rule{decant::token_bytes::from(texts), {3}, 3};
  decant::candidates<float> set;
  const auto sizes = [&] {
    std::size_t fewest = 9;
    for (float last = -12; last < 3; last += 0.5f) {
      const float row[] = {0.3f, -0.2f, 0.1f, last};
      if (set.load(std::span<const float>(row)) != decant::error_code::none) return std::size_t{0};
      rule.apply(set);
      fewest = std::min(fewest, set.size());
    }
    return fewest;
  };
  CHECK(sizes() == 1);
  CHECK(decant_test::allocations_of([&] { (void)sizes(); }) == 0);
  CHECK(rule.check().has_value());
  CHECK(infill{{}, {3}, 3}.check().code() == decant::error_code::invalid_argument);
  CHECK(infill{decant::token_bytes::from(texts), {3}, 2}.check().code() == decant::error_code::invalid_argument);
  CHECK(infill{decant::token_bytes::from(texts), {}, decant::no_token}.check().code() ==
        decant::error_code::invalid_argument);
}
