// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/top_n_sigma.hpp>

#include <decant/sample/temperature.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::make_sampler;
using decant::temperature;
using decant::top_k;
using decant::top_n_sigma;
using decant_test::infinity;
using decant_test::probabilities;
using decant_test::refused;
using decant_test::sorted_row;
using decant_test::support;
using ids = std::vector<decant::token>;

ids kept(float n, const std::vector<double>& row, std::size_t min_keep = 1) {
  return support(probabilities(make_sampler(top_n_sigma{n, min_keep}), row));
}

}  // namespace

TEMPLATE_TEST_CASE("top-n-sigma keeps what lies within n deviations of the best", "", float, double) {
  decant_test::for_rows<TestType>(341, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto n = static_cast<float>(random.uniform(0.05, 3));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    const auto count = static_cast<double>(slow.size());
    double mean = 0;
    double variance = 0;
    for (const double logit : slow.logits) mean += logit / count;
    for (const double logit : slow.logits) variance += (logit - mean) * (logit - mean) / count;
    const double threshold = slow.logits[0] - static_cast<double>(n) * std::sqrt(variance) - 1e-12;
    slow.keep_while(min_keep, [&](std::size_t rank, double) { return slow.logits[rank] >= threshold; });
    decant_test::check_step(top_n_sigma{n, min_keep}, row, slow);
  });
}

TEST_CASE("top-n-sigma at hand-computed thresholds, banned tokens left aside") {
  // Mean 1, population deviation sqrt(2).
  for (const std::vector<double>& row : {std::vector<double>{3, 1, 1, -1}, {3, 1, 1, -1, -infinity, -infinity}}) {
    CHECK(kept(1.0f, row) == ids{0});
    CHECK(kept(1.5f, row) == ids{0, 1, 2});
    CHECK(kept(2.9f, row) == ids{0, 1, 2, 3});
    CHECK(kept(1.0f, row, 2) == ids{0, 1});
  }
  CHECK(kept(0.5f, {2, 2, 2}) == ids{0, 1, 2});
}

TEST_CASE("top-n-sigma is unmoved by temperature but not by a truncation before it") {
  decant_test::random_source random(342);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<double>(random.between(1, 200));
    const auto n = static_cast<float>(random.uniform(0.2, 2));
    const auto heat = static_cast<float>(random.uniform(0.2, 4));
    CHECK(support(probabilities(make_sampler(temperature{heat}, top_n_sigma{n}), row)) == kept(n, row));
  }
  const std::vector<double> row{3, 1, 1, -1};
  CHECK(support(probabilities(make_sampler(top_k{3}, top_n_sigma{1.5f}), row)) == ids{0});  // sigma of 3, 1, 1: 0.94
}

TEST_CASE("top-n-sigma removes what it rejects") {
  const std::vector<double> row{3, 1, 1, -1};
  decant::candidates<double> set;
  REQUIRE(set.load(std::span<const double>(row)) == decant::error_code::none);
  top_n_sigma{1.0f}.apply(set);
  CHECK(set.size() == 1);
  CHECK(set.soft_max(true).entropy == 0);
}

TEST_CASE("top-n-sigma at or below 0 is off") {
  decant_test::check_neutral(343, top_n_sigma{});
  decant_test::check_neutral(344, top_n_sigma{-1.0f});
}

TEST_CASE("top-n-sigma explains what is out of range") {
  CHECK(top_n_sigma{1.0f}.check().has_value());
  CHECK(top_n_sigma{-1.0f}.check().has_value());
  for (const float n : {std::nanf(""), std::numeric_limits<float>::infinity()}) CHECK(refused(top_n_sigma{n}));
  CHECK(refused(top_n_sigma{1.0f, 0}));
}
