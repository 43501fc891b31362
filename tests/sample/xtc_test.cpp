// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/xtc.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::text_position;
using decant::token;
using decant::xtc;
using decant_test::infinity;
using decant_test::kept_of;
using decant_test::refused;
using decant_test::sorted_row;
using ids = std::vector<token>;

const std::vector<double> law{0.5, 0.3, 0.15, 0.05};

xtc always(float threshold, std::size_t min_keep = 1) { return {1.0f, threshold, min_keep}; }

std::vector<bool> coins(const xtc& step, std::size_t count = 64) {
  std::vector<bool> out;
  text_position at = step.initial_state();
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(step.fires(at));
    step.advance(at, static_cast<token>(7 * i));
  }
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("XTC removes all candidates at the threshold but the least likely", "", float, double) {
  decant_test::for_rows<TestType>(381, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto threshold = static_cast<float>(std::exp(random.uniform(-6, -0.7)));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    const std::vector<double> p = slow.law_by_rank();
    std::size_t above = 0;
    while (above < p.size() && p[above] >= static_cast<double>(threshold)) ++above;
    if (above >= 2 && p.size() - (above - 1) >= min_keep) slow.remove(0, above - 1);
    decant_test::check_step(always(threshold, min_keep), row, slow);
  });
}

TEST_CASE("XTC at hand-computed thresholds") {
  CHECK(kept_of(always(0.1f), law) == ids{2, 3});
  CHECK(kept_of(always(0.2f), law) == ids{1, 2, 3});
  CHECK(kept_of(always(0.4f), law) == ids{0, 1, 2, 3});
  CHECK(kept_of(always(0.0f), law) == ids{3});
  CHECK(kept_of(always(0.1f, 2), law) == ids{2, 3});
  CHECK(kept_of(always(0.1f, 3), law) == ids{0, 1, 2, 3});
  CHECK(kept_of(always(0.3f), {0.4, 0.4, 0.2}) == ids{1, 2});  // of equals, the highest id is the least likely
  CHECK(kept_of(always(0.1f), {1}) == ids{0});
}

TEST_CASE("XTC is off at probability 0 and at thresholds that two candidates cannot reach") {
  decant_test::check_neutral(382, xtc{});
  decant_test::check_neutral(383, always(0.51f));
  CHECK(kept_of(always(0.4999f), {0.5, 0.5}) == ids{1});
}

TEST_CASE("XTC compacts what it leaves") {
  const auto row = decant_test::logits_of(law);
  decant::candidates<double> set;
  REQUIRE(set.load(std::span<const double>(row)) == decant::error_code::none);
  always(0.1f).apply(set, {});
  REQUIRE(set.sparse());
  REQUIRE(set.survivors().size() == 2);
  CHECK(set.survivors()[0].id == 2);
  CHECK(set.survivors()[1].id == 3);
  CHECK(set.best().id == 2);
}

TEST_CASE("the coins of XTC are a function of seed, sequence and position") {
  const xtc step{0.5f, 0.1f, 1, 11, 2};
  const std::vector<bool> expected = coins(step);
  CHECK(coins(step) == expected);
  const xtc copy = step;
  CHECK(coins(copy) == expected);
  CHECK(coins(xtc{0.5f, 0.1f, 1, 12, 2}) != expected);
  CHECK(coins(xtc{0.5f, 0.1f, 1, 11, 3}) != expected);
  CHECK(coins(xtc{0.5f, 0.3f, 1, 11, 2}) == expected);   // the threshold is no part of it
  CHECK(step.fires(text_position{40}) == expected[40]);  // and neither is the past
}

TEST_CASE("a larger probability of XTC keeps the coins that fired") {
  const std::vector<bool> rare = coins(xtc{0.3f, 0.1f, 1, 5}, 4000);
  const std::vector<bool> often = coins(xtc{0.6f, 0.1f, 1, 5}, 4000);
  std::size_t fired = 0;
  bool nested = true;
  for (std::size_t i = 0; i < rare.size(); ++i) {
    fired += rare[i];
    nested = nested && (!rare[i] || often[i]);
  }
  CHECK(nested);
  CHECK(decant_test::near(static_cast<double>(fired), 1200, 150));  // five deviations
}

TEST_CASE("the law of XTC changes from position to position as its coins fall") {
  const xtc step{0.5f, 0.1f, 1, 3};
  const auto sampler = decant::make_sampler(step);
  const std::vector<bool> fires = coins(step, 40);
  ids history;
  for (const bool fire : fires) {
    CHECK(decant_test::support(decant_test::probabilities(sampler, decant_test::logits_of(law), history)) ==
          (fire ? ids{2, 3} : ids{0, 1, 2, 3}));
    history.push_back(static_cast<token>(history.size()));
  }
}

TEST_CASE("XTC explains what is out of range") {
  CHECK(xtc{0.5f, 0.1f}.check().has_value());
  for (const float wrong : {-0.1f, 1.1f, std::nanf("")}) {
    CHECK(refused(xtc{wrong}));
    CHECK(refused(xtc{0.5f, wrong}));
  }
  CHECK(refused(xtc{0.5f, 0.1f, 0}));
}
