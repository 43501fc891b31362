// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/typical.hpp>

#include <decant/sample/logit_bias.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <numeric>

namespace {

using decant::make_sampler;
using decant::token;
using decant::typical;
using decant_test::probabilities;
using decant_test::random_source;
using decant_test::support;
using ids = std::vector<token>;

/// The rule by sorting, in double; empty where the border is closer than rounding.
template <class Real>
ids expected_support(const std::vector<Real>& row, double temperature, double p) {
  double top = -decant_test::infinity;
  for (const Real x : row) top = std::max(top, static_cast<double>(x) / temperature);
  double mass = 0;
  for (const Real x : row) mass += std::exp(static_cast<double>(x) / temperature - top);
  std::vector<double> law;
  double entropy = 0;
  for (const Real x : row) {
    law.push_back(std::exp(static_cast<double>(x) / temperature - top) / mass);
    if (law.back() > 0) entropy -= law.back() * std::log(law.back());
  }
  std::vector<token> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](token i) { return law[decant::index(i)] == 0; });
  const auto distance = [&](token i) { return std::abs(-std::log(law[decant::index(i)]) - entropy); };
  std::stable_sort(order.begin(), order.end(), [&](token a, token b) { return distance(a) < distance(b); });
  double before = 0;
  std::size_t kept = 0;
  while (kept < order.size() && (kept == 0 || before < p)) {
    before += law[decant::index(order[kept])];
    const bool close_masses = std::abs(before - p) < 1e-5;
    const bool close_distances =
        kept + 1 < order.size() && std::abs(distance(order[kept]) - distance(order[kept + 1])) < 1e-5;
    if (close_masses || (close_distances && before >= p)) return {};
    ++kept;
  }
  order.resize(kept);
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

TEMPLATE_TEST_CASE("typical keeps the candidates whose surprise is nearest to the entropy", "", float, double) {
  random_source random(81);
  int compared = 0;
  for (int round = 0; round < 300; ++round) {
    auto row = random.logits<TestType>(random.between(1, 1200), random.uniform(0.1, 4));
    for (std::size_t i = 1; i < row.size(); ++i) {
      if (random.coin(0.1)) row[i] = -std::numeric_limits<TestType>::infinity();
    }
    const auto p = static_cast<float>(random.uniform());
    const ids expected = expected_support(row, 1.0, static_cast<double>(p));
    if (expected.empty()) continue;
    ++compared;
    CAPTURE(row.size(), p);
    CHECK(support(probabilities(make_sampler(typical{p}), row)) == expected);
  }
  CHECK(compared > 200);
}

TEMPLATE_TEST_CASE("typical sees the temperature before it, and keeps the logits of a dense set", "", float, double) {
  random_source random(82);
  for (int round = 0; round < 60; ++round) {
    const auto row = random.logits<TestType>(random.between(2, 900));
    const ids expected = expected_support(row, 1.5, 0.6);
    if (expected.empty()) continue;
    const auto law = probabilities(make_sampler(decant::temperature{1.5f}, typical{0.6f}), row);
    REQUIRE(support(law) == expected);
    const auto at = [&](token i) { return static_cast<double>(row[decant::index(i)]); };
    const double ratio = law[decant::index(expected.front())] / law[decant::index(expected.back())];
    CHECK(ratio == Approx(std::exp((at(expected.front()) - at(expected.back())) / 1.5)).epsilon(1e-5));
  }
}

TEMPLATE_TEST_CASE("typical may drop the best candidate", "", float, double) {
  // Probabilities 0.4 and 60 times 0.01: the mean surprise is 3.1, near that of the many (4.6), far from 0.9.
  std::vector<TestType> row(61, static_cast<TestType>(std::log(0.01)));
  row[30] = static_cast<TestType>(std::log(0.4));
  const auto law = probabilities(make_sampler(typical{0.295f}), row);
  CHECK(law[30] == 0.0);
  CHECK(support(law).size() == 30);
  CHECK(support(law).front() == 0);  // equals go to lower ids
}

TEMPLATE_TEST_CASE("banned tokens take no part in the entropy", "", float, double) {
  constexpr TestType inf = std::numeric_limits<TestType>::infinity();
  random_source random(83);
  const auto row = random.logits<TestType>(200);
  auto with_bans = row;
  for (int i = 0; i < 50; ++i) with_bans.push_back(-inf);
  const auto law = probabilities(make_sampler(typical{0.5f}), row);
  CHECK(support(probabilities(make_sampler(typical{0.5f}), with_bans)) == support(law));
}

TEMPLATE_TEST_CASE("typical of 1 is off, of 0 keeps the nearest", "", float, double) {
  random_source random(84);
  const auto row = random.logits<TestType>(300);
  CHECK(probabilities(make_sampler(typical{1.0f}), row) == probabilities(make_sampler(), row));
  CHECK(support(probabilities(make_sampler(typical{0.0f}), row)).size() == 1);
  CHECK(support(probabilities(make_sampler(typical{0.5f}), std::vector<TestType>{3})) == ids{0});
}

TEMPLATE_TEST_CASE("the candidates that min_keep adds are the next nearest, of a dense set and of a sparse one", "",
                   float, double) {
  random_source random(85);
  for (int round = 0; round < 50; ++round) {
    const auto row = random.logits<TestType>(random.between(20, 300), random.uniform(0.5, 4));
    const std::size_t min_keep = random.between(1, 20);
    // The prefix of every length is that of some p: the shortest that is long enough.
    float p = 0;
    while (support(probabilities(make_sampler(typical{p}), row)).size() < min_keep) p += 1e-3f;
    const ids nearest = support(probabilities(make_sampler(typical{p}), row));
    const ids kept = support(probabilities(make_sampler(typical{0.0f, min_keep}), row));
    CHECK(kept.size() == min_keep);
    CHECK(std::includes(nearest.begin(), nearest.end(), kept.begin(), kept.end()));
    const decant::top_k all{static_cast<std::int32_t>(row.size())};
    CHECK(support(probabilities(make_sampler(all, typical{0.0f, min_keep}), row)) == kept);
  }
}

TEST_CASE("typical explains what is out of range") {
  CHECK(typical{0.0f}.check().has_value());
  for (const float p : {-0.1f, 1.1f, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(typical{p}.check().code() == decant::error_code::invalid_argument);
  }
  CHECK(typical{0.5f, 0}.check().code() == decant::error_code::invalid_argument);
}
