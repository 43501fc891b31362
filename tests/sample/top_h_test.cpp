// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/top_h.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::top_h;
using decant_test::kept_of;
using decant_test::refused;
using decant_test::sorted_row;
using ids = std::vector<decant::token>;

const std::vector<double> powers_of_two{0.5, 0.25, 0.125, 0.125};  // terms of 1/2, 1/2, 3/8 and 3/8 bits

}  // namespace

TEMPLATE_TEST_CASE("top-H keeps the best up to a share of their entropy", "", float, double) {
  decant_test::for_rows<TestType>(351, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto share = static_cast<float>(random.uniform(0.01, 0.999));
    const std::size_t considered = random.coin() ? 100 : random.between(1, 120);
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row best(row);
    best.keep_first(considered);
    const double allowed = static_cast<double>(share) * best.entropy();
    double sum = 0;
    std::size_t kept = 0;
    for (const double p : best.law_by_rank()) {
      sum += p > 0 ? -p * std::log(p) : 0;
      if (kept == 0 || sum <= allowed) ++kept;
    }
    sorted_row slow(row);
    slow.keep_first(std::max(kept, min_keep));
    decant_test::check_step(top_h{share, considered, min_keep}, row, slow);
  });
}

TEST_CASE("top-H at hand-computed shares of 7/4 bits") {
  CHECK(kept_of(top_h{0.1f}, powers_of_two) == ids{0});
  CHECK(kept_of(top_h{0.5f}, powers_of_two) == ids{0});
  CHECK(kept_of(top_h{0.6f}, powers_of_two) == ids{0, 1});
  CHECK(kept_of(top_h{0.8f}, powers_of_two) == ids{0, 1, 2});
  CHECK(kept_of(top_h{1.0f}, powers_of_two) == ids{0, 1, 2, 3});
  CHECK(kept_of(top_h{0.1f, 100, 3}, powers_of_two) == ids{0, 1, 2});
}

TEST_CASE("top-H looks at the best candidates only, renormalised") {
  CHECK(kept_of(top_h{1.0f, 2}, powers_of_two) == ids{0, 1});
  CHECK(kept_of(top_h{0.5f, 2}, {0.5, 0.5, 0.5, 0.5}) == ids{0});
  CHECK(kept_of(top_h{1.0f}, std::vector<double>(101, 1.0)).size() == 100);
  CHECK(kept_of(top_h{0.5f}, {0.0, 1.0}) == ids{1});
}

TEST_CASE("top-H at or below 0 is off") {
  decant_test::check_neutral(352, top_h{});
  decant_test::check_neutral(353, top_h{-1.0f});
}

TEST_CASE("top-H explains what is out of range") {
  CHECK(top_h{0.4f}.check().has_value());
  for (const float share : {-0.1f, 1.1f, std::nanf("")}) CHECK(refused(top_h{share}));
  CHECK(refused(top_h{0.4f, 0}));
  CHECK(refused(top_h{0.4f, 100, 0}));
}
