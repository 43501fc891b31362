// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/epsilon_cutoff.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::epsilon_cutoff;
using decant_test::kept_of;
using decant_test::refused;
using decant_test::rescues;
using decant_test::sorted_row;
using ids = std::vector<decant::token>;

const std::vector<double> law{0.15, 0.5, 0.25, 0.1};

}  // namespace

TEMPLATE_TEST_CASE("the epsilon cutoff keeps what has at least probability epsilon", "", float, double) {
  decant_test::for_rows<TestType>(311, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto epsilon = static_cast<float>(std::exp(random.uniform(-8, 0)));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    slow.keep_while(min_keep, [&](std::size_t, double p) { return p >= static_cast<double>(epsilon); });
    decant_test::check_step(epsilon_cutoff{epsilon, min_keep}, row, slow);
  });
}

TEST_CASE("the epsilon cutoff at hand-computed borders") {
  CHECK(kept_of(epsilon_cutoff{0.05f}, law) == ids{0, 1, 2, 3});
  CHECK(kept_of(epsilon_cutoff{0.12f}, law) == ids{0, 1, 2});
  CHECK(kept_of(epsilon_cutoff{0.2f}, law) == ids{1, 2});
  CHECK(kept_of(epsilon_cutoff{0.2f, 3}, law) == ids{0, 1, 2});
  CHECK_FALSE(rescues(epsilon_cutoff{0.2f, 3}, law));
}

TEST_CASE("the epsilon cutoff keeps the best when nothing is likely enough, and says so") {
  CHECK(kept_of(epsilon_cutoff{0.6f}, law) == ids{1});
  CHECK(kept_of(epsilon_cutoff{0.6f, 2}, law) == ids{1, 2});
  CHECK(rescues(epsilon_cutoff{0.6f}, law));
}

TEST_CASE("the epsilon cutoff at or below 0 is off") {
  decant_test::check_neutral(312, epsilon_cutoff{});
  decant_test::check_neutral(313, epsilon_cutoff{-1.0f});
}

TEST_CASE("the epsilon cutoff explains what is out of range") {
  CHECK(epsilon_cutoff{3e-4f}.check().has_value());
  for (const float epsilon : {-0.1f, 1.0f, std::nanf("")}) CHECK(refused(epsilon_cutoff{epsilon}));
  CHECK(refused(epsilon_cutoff{0.1f, 0}));
}
