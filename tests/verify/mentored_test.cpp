// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/mentored.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

template <class Real>
[[nodiscard]] mentored::bounds bounds_of(double budget, distribution_view<Real> p, distribution_view<Real> q) {
  mentored::work<Real> scratch;
  return mentored{budget}.solve(p, q, kl_divergence(p, q), scratch);
}

[[nodiscard]] double divergence(const std::vector<double>& a, const std::vector<double>& b) {
  return kl_divergence(view_of(a), view_of(b));
}

}  // namespace

TEST_CASE("mentored decoding has its golden bounds, law and acceptance") {
  const auto found = bounds_of(.05, view_of(golden_p), view_of(golden_q));
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
        const double upper = bounds_of(budget, view_of(p), view_of(q)).upper;
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
    const auto a = bounds_of(.02, narrow_p.view(), narrow_q.view());
    const auto b = bounds_of(.02, view_of(p), view_of(q));
    REQUIRE(near(a.lower, b.lower, 1e-4));
    REQUIRE(near(a.upper, b.upper, 1e-4));
  }
}

TEST_CASE("long rows of float have the bounds that a sort in double finds") {
  random_source random(41);
  for (int i = 0; i < 40; ++i) {
    const std::size_t size = random.between(300, 5000);
    std::vector<float> p(size);
    std::vector<float> q(size);
    const double noise = random.uniform(0.3, 3);
    for (std::size_t v = 0; v < size; ++v) {
      p[v] = i % 4 == 1 && random.coin(0.1) ? 0.0F : static_cast<float>(std::exp(2 * random.normal()));
      q[v] = i % 4 == 2 && random.coin(0.1) ? 0.0F : p[v] * static_cast<float>(std::exp(noise * random.normal()));
      if (i % 4 == 1) q[v] += 0.01F;
    }
    if (i % 4 == 3) std::fill(q.begin() + 5, q.end(), 1e-6F);  // nearly everything of one ratio or beyond 2^16
    const auto a = dense_law(p);
    const auto b = dense_law(q);
    const auto exact_a = dense_law(std::vector<double>(p.begin(), p.end()));
    const auto exact_b = dense_law(std::vector<double>(q.begin(), q.end()));
    for (const double budget : {.001, .05, .5}) {
      if (kl_divergence(exact_a.view(), exact_b.view()) <= 1.01 * budget) continue;
      const auto found = bounds_of(budget, a.view(), b.view());
      const auto expected = bounds_of(budget, exact_a.view(), exact_b.view());
      CAPTURE(i, size, noise, budget);
      CHECK(near(found.lower, expected.lower, 2e-3 * expected.lower));
      CHECK((found.upper == expected.upper || near(found.upper, expected.upper, 5e-3 * expected.upper)));
      distribution<float> out;
      mentored::work<float> scratch;
      const law_blend<double> pi{1 / found.upper, 1, 1 / found.lower, -1, 1 / found.upper};
      REQUIRE(write_blend(a.view(), b.view(), pi, out) == error_code::none);
      CHECK(near(out.view().mass() / a.view().mass(), 1, 1e-4));
      const auto emitted = dense_law(std::vector<double>(out.view().weights().begin(), out.view().weights().end()));
      CHECK(kl_divergence(exact_a.view(), emitted.view()) <= budget + 1e-6);
      CHECK(kl_divergence(exact_a.view(), emitted.view()) >= budget - 1e-4);
    }
  }
}

TEST_CASE("a negative budget is refused") {
  CHECK(mentored{0}.check().has_value());
  CHECK_FALSE(mentored{-.1}.check().has_value());
  CHECK_FALSE(mentored{std::nan("")}.check().has_value());
}

}  // namespace decant_test
