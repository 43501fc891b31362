// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/tail_free.hpp>

#include <decant/sample/logit_bias.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::tail_free;
using decant_test::kept_of;
using decant_test::refused;
using decant_test::rescues;
using decant_test::sorted_row;
using ids = std::vector<decant::token>;

// First differences .2 .16 .06 .02, second .04 .1 .04, of which 2/9, 7/9 and 1 are the running shares.
const std::vector<double> law{0.46, 0.26, 0.1, 0.04, 0.02};

void cut(sorted_row& slow, double z, std::size_t min_keep) {
  if (slow.size() < 3) return;
  const std::vector<double> p = slow.law_by_rank();
  std::vector<double> curvature;
  double sum = 0;
  for (std::size_t i = 0; i + 2 < p.size(); ++i) {
    curvature.push_back(std::abs((p[i] - p[i + 1]) - (p[i + 1] - p[i + 2])));
    sum += curvature.back();
  }
  if (sum == 0) return;
  double running = 0;
  for (std::size_t i = 0; i < curvature.size(); ++i) {
    running += curvature[i] / sum;
    if (running > z) return slow.keep_first(std::max({i, min_keep, std::size_t{1}}));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("tail-free sampling cuts where the curvature is spent", "", float, double) {
  decant_test::for_rows<TestType>(331, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto z = static_cast<float>(random.uniform(0.05, 0.999));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    cut(slow, static_cast<double>(z), min_keep);
    decant_test::check_step(tail_free{z, min_keep}, row, slow);
  });
}

TEST_CASE("tail-free sampling at hand-computed cuts") {
  CHECK(kept_of(tail_free{0.5f}, law) == ids{0});
  CHECK(kept_of(tail_free{0.8f}, law) == ids{0, 1});
  CHECK(kept_of(tail_free{0.5f, 3}, law) == ids{0, 1, 2});
  CHECK_FALSE(rescues(tail_free{0.5f}, law));
}

TEST_CASE("tail-free sampling keeps the best when its rule would keep none, and says so") {
  CHECK(kept_of(tail_free{0.1f}, law) == ids{0});
  CHECK(rescues(tail_free{0.1f}, law));
}

TEST_CASE("tail-free sampling leaves fewer than three candidates and equal ones alone") {
  CHECK(kept_of(tail_free{0.0f}, {1}) == ids{0});
  CHECK(kept_of(tail_free{0.0f}, {0.9, 0.1}) == ids{0, 1});
  CHECK(kept_of(tail_free{0.0f}, {0.25, 0.25, 0.25, 0.25}) == ids{0, 1, 2, 3});
}

TEST_CASE("what was banned after a truncation is no tail of tail-free sampling") {
  const auto row = decant_test::logits_of(law);
  const decant::logit_bias ban{{{3, -std::numeric_limits<float>::infinity()}}};
  for (const float z : {0.3f, 0.5f, 0.8f}) {
    CHECK(decant_test::probabilities(decant::make_sampler(decant::top_k{5}, ban, tail_free{z}), row) ==
          decant_test::probabilities(decant::make_sampler(ban, tail_free{z}), row));
  }
}

TEST_CASE("tail-free sampling at 1 is off") { decant_test::check_neutral(332, tail_free{}); }

TEST_CASE("tail-free sampling explains what is out of range") {
  CHECK(tail_free{0.95f}.check().has_value());
  for (const float z : {-0.1f, 1.1f, std::nanf("")}) CHECK(refused(tail_free{z}));
  CHECK(refused(tail_free{0.5f, 0}));
}
