// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/mentored.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] double divergence(const std::vector<double>& a, const std::vector<double>& b) {
  return kl_divergence(view_of(a), view_of(b));
}

}  // namespace

TEST_CASE("mentored decoding has its golden bounds, law and acceptance") {
  mentored::work<double> scratch;
  const auto found = mentored{.05}.solve(view_of(golden_p), view_of(golden_q), scratch);
  CHECK(near(found.lower, .607044, 1e-6));
  CHECK(near(found.upper, 1.349402, 1e-6));
  const auto law = emitted_by(mentored{.05});
  CHECK(close_rows(law, {.370534, .3, .329466}, 1e-6));
  CHECK(near(acceptance_of(law), .829466, 1e-6));
}

TEST_CASE("mentored decoding spends its budget and no more") {
  std::uint64_t state = 3;
  for (int i = 0; i < 300; ++i) {
    const auto p = random_row(state, 8, false);
    const auto q = random_row(state, 8, i % 3 == 1);
    for (const double budget : {.001, .05, .5}) {
      const auto law = emitted_by(mentored{budget}, p, q);
      if (divergence(p, q) <= budget) {
        REQUIRE(close_rows(law, q, 1e-15));
      } else {
        // What lies above a large b is a difference of sums near 1.
        mentored::work<double> scratch;
        const double upper = mentored{budget}.solve(view_of(p), view_of(q), scratch).upper;
        REQUIRE(near(divergence(p, law), budget, 1e-9 + 1e-15 * upper));
      }
    }
  }
}

TEST_CASE("no random law within the budget accepts more than mentored decoding") {
  std::uint64_t state = 17;
  std::size_t compared = 0;
  double narrowest = 1;
  for (int i = 0; i < 30; ++i) {
    const auto p = random_row(state, 4, false);
    const auto q = random_row(state, 4, i % 3 == 1);
    const double best = acceptance_of(emitted_by(mentored{.1}, p, q), q);
    for (int j = 0; j < 2000; ++j) {
      // Mixtures of p, q and a random law: many of them lie close to the optimum.
      const auto other = random_row(state, 4, false);
      const double to_q = static_cast<double>(j % 50) / 50;
      const double to_other = j % 2 == 0 ? 0.0 : 0.1 * other[0];
      std::vector<double> law(4);
      for (std::size_t v = 0; v < 4; ++v) {
        law[v] = (1 - to_other) * ((1 - to_q) * p[v] + to_q * q[v]) + to_other * other[v];
      }
      if (divergence(p, law) > .1) continue;
      ++compared;
      narrowest = std::min(narrowest, best - acceptance_of(law, q));
      REQUIRE(acceptance_of(law, q) <= best + 1e-9);
    }
  }
  CHECK(compared > 10000);
  CHECK(narrowest < .02);
}

TEST_CASE("mentored decoding keeps the target's row for a budget of zero and takes the draft's for a large one") {
  CHECK(emitted_by(mentored{0}) == golden_p);
  CHECK(emitted_by(mentored{.2749}) == golden_q);
}

TEST_CASE("mentored decoding takes zeros, equal and disjoint laws") {
  CHECK(same_row(emitted_by(mentored{.1}, golden_p, golden_p), golden_p));
  // Nothing the draft proposes is possible: only p itself is a law within p / b and p / a.
  CHECK(same_row(emitted_by(mentored{.1}, {1, 1, 0}, {0, 0, 1}), {.5, .5, 0}));
  // A token the draft excludes keeps p / b of its probability; one the target excludes gets none, and where no other
  // token is capped a part of the budget stays unused.
  const std::vector<double> p{.4, .6, 0};
  const auto tight = emitted_by(mentored{.01}, p, {0, .7, .3});
  CHECK(tight[2] == 0);
  CHECK(tight[0] < .4);
  CHECK(near(divergence(p, tight), .01, 1e-9));
  CHECK(same_row(emitted_by(mentored{.1}, p, {0, .7, .3}), {.3, .7, 0}));
}

TEST_CASE("mentored decoding agrees in float and in sparse form") {
  std::uint64_t state = 23;
  for (int i = 0; i < 50; ++i) {
    const auto p = random_row(state, 6, false);
    const auto q = random_row(state, 6, true);
    distribution<float> narrow_p;
    distribution<float> narrow_q;
    narrow_p.begin_sparse(6);
    narrow_q.begin_sparse(6);
    for (token v = 0; v < 6; ++v) {
      narrow_p.push(v, static_cast<float>(p[index(v)]));
      if (q[index(v)] > 0) narrow_q.push(v, static_cast<float>(q[index(v)]));
    }
    REQUIRE(narrow_p.finish() == error_code::none);
    REQUIRE(narrow_q.finish() == error_code::none);
    if (divergence(p, q) <= .02) continue;
    mentored::work<float> in_float;
    mentored::work<double> in_double;
    const auto a = mentored{.02}.solve(narrow_p.view(), narrow_q.view(), in_float);
    const auto b = mentored{.02}.solve(view_of(p), view_of(q), in_double);
    REQUIRE(near(a.lower, b.lower, 1e-4));
    REQUIRE(near(a.upper, b.upper, 1e-4));
  }
}

TEST_CASE("a negative budget is refused") {
  CHECK(mentored{0}.check().has_value());
  CHECK_FALSE(mentored{-.1}.check().has_value());
  CHECK_FALSE(mentored{std::nan("")}.check().has_value());
}

}  // namespace decant_test
