// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bound against its definition over all sets and all ordered tuples.
#include <decant/verify/optimal_acceptance.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

using decant::optimal_acceptance_independent;
using decant::optimal_acceptance_without_replacement;

[[nodiscard]] std::vector<double> normalised(std::vector<double> row) {
  double total = 0;
  for (const double w : row) total += w;
  for (double& w : row) w /= total;
  return row;
}

/// Pr[n draws without replacement from the tokens of `left` all lie in `inside`]; both are sets of bits.
[[nodiscard]] double all_inside(const std::vector<double>& q, unsigned left, unsigned inside, std::size_t n) {
  if (n == 0) return 1;
  double mass = 0;
  for (std::size_t v = 0; v < q.size(); ++v) mass += (left >> v & 1u) != 0 ? q[v] : 0;
  double total = 0;
  for (std::size_t v = 0; v < q.size(); ++v) {
    if ((left & inside) >> v & 1u) total += q[v] / mass * all_inside(q, left & ~(1u << v), inside, n - 1);
  }
  return total;
}

/// 1 + the least p(H) - Pr[all drafts in H] over all sets H.
template <class Inside>
[[nodiscard]] double over_all_sets(const std::vector<double>& p, const Inside& probability_inside) {
  double least = 0;
  for (unsigned set = 0; set < 1u << p.size(); ++set) {
    double mass = 0;
    for (std::size_t v = 0; v < p.size(); ++v) mass += (set >> v & 1u) != 0 ? p[v] : 0;
    least = std::min(least, mass - probability_inside(set));
  }
  return 1 + least;
}

[[nodiscard]] double slow_independent(const std::vector<double>& p, const std::vector<double>& q, std::size_t n) {
  return over_all_sets(p, [&](unsigned set) {
    double mass = 0;
    for (std::size_t v = 0; v < q.size(); ++v) mass += (set >> v & 1u) != 0 ? q[v] : 0;
    return std::pow(mass, static_cast<double>(n));
  });
}

[[nodiscard]] double slow_distinct(const std::vector<double>& p, const std::vector<double>& q, std::size_t n) {
  unsigned support = 0;
  std::size_t count = 0;
  for (std::size_t v = 0; v < q.size(); ++v) {
    if (!(q[v] > 0)) continue;
    support |= 1u << v;
    ++count;
  }
  n = std::min(n, count);
  return over_all_sets(p, [&](unsigned set) { return all_inside(q, support, set, n); });
}

}  // namespace

TEST_CASE("the golden values of the best acceptance") {
  const auto p = dense_law(std::vector<double>{4, 3, 2, 1});
  const auto q = dense_law(std::vector<double>{1, 4, 2, 3});
  CHECK(near(optimal_acceptance_independent(p.view(), q.view(), 1), 0.7, 1e-12));
  CHECK(near(optimal_acceptance_independent(p.view(), q.view(), 2), 0.79, 1e-12));
  CHECK(near(optimal_acceptance_independent(p.view(), q.view(), 3), 0.871, 1e-12));
  CHECK(near(optimal_acceptance_without_replacement(p.view(), q.view(), 1), 0.7, 1e-12));
  CHECK(near(optimal_acceptance_without_replacement(p.view(), q.view(), 2), 0.834523809524, 1e-12));
  CHECK(near(optimal_acceptance_without_replacement(p.view(), q.view(), 3), 1, 1e-12));
}

TEST_CASE("the best acceptance is that over all sets and all tuples") {
  random_source random(341);
  for (int round = 0; round < 150; ++round) {
    const std::size_t size = random.between(1, 5);
    const auto p = random.weights<double>(size, random.uniform(0, 0.5));
    const auto q = random.weights<double>(size, random.uniform(0, 0.5));
    const auto target = law_in_form(p, random.coin());
    const auto proposal = law_in_form(q, random.coin());
    for (std::size_t n = 1; n <= 5; ++n) {
      CAPTURE(size, n, p, q);
      CHECK(near(optimal_acceptance_independent(target.view(), proposal.view(), n),
                 slow_independent(normalised(p), normalised(q), n), 1e-12));
      CHECK(near(optimal_acceptance_without_replacement(target.view(), proposal.view(), n),
                 slow_distinct(normalised(p), normalised(q), n), 1e-10));
    }
  }
}

TEST_CASE("the integral over the clocks gives the closed form of two draws") {
  random_source random(342);
  for (int round = 0; round < 20; ++round) {
    const std::size_t size = random.between(3, 60);
    auto q = random.weights<double>(size, 0.2);
    if (round % 3 == 0) q[0] = 1e-9;
    if (round % 4 == 0) q[1] = 1e4;
    const auto target = dense_law(random.weights<double>(size, 0.2));
    const auto proposal = dense_law(q);
    const auto tokens = decant::detail::by_excess(target.view(), proposal.view());
    if (tokens.size() < 2) continue;
    const auto closed = decant::detail::two_distinct_inside(tokens);
    const auto integral = decant::detail::clock_integral(tokens, 2).take();
    REQUIRE(closed.size() == integral.size());
    for (std::size_t i = 0; i < closed.size(); ++i) CHECK(near(closed[i], integral[i], 1e-9));
  }
}

TEST_CASE("more drafts never make the best acceptance worse, and distinct ones are at least as good") {
  random_source random(343);
  for (int round = 0; round < 20; ++round) {
    const auto p = law_in_form(random.weights<float>(20, 0.3), random.coin());
    const auto q = law_in_form(random.weights<float>(20, 0.3), random.coin());
    double independent = 0;
    double distinct = 0;
    for (std::size_t n = 1; n <= 4; ++n) {
      const double a = optimal_acceptance_independent(p.view(), q.view(), n);
      const double b = optimal_acceptance_without_replacement(p.view(), q.view(), n);
      CHECK(a >= independent - 1e-9);
      CHECK(b >= distinct - 1e-9);
      CHECK(b >= a - 1e-9);
      CHECK((a >= 0 && b <= 1 + 1e-9));
      independent = a;
      distinct = b;
    }
  }
}

TEST_CASE("the best acceptance of extreme rows") {
  const auto one = dense_law(std::vector<double>{0, 1, 0});
  const auto other = dense_law(std::vector<double>{1, 0, 1});
  for (std::size_t n = 1; n <= 3; ++n) {
    CHECK(near(optimal_acceptance_independent(one.view(), other.view(), n), 0, 1e-12));
    CHECK(near(optimal_acceptance_without_replacement(one.view(), other.view(), n), 0, 1e-12));
    CHECK(near(optimal_acceptance_independent(one.view(), one.view(), n), 1, 1e-12));
    CHECK(near(optimal_acceptance_without_replacement(other.view(), other.view(), n), 1, 1e-12));
  }
}

}  // namespace decant_test
