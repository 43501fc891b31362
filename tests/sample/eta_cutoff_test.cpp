// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/eta_cutoff.hpp>

#include "tests/sample/step_oracle.hpp"

namespace {

using decant::eta_cutoff;
using decant_test::kept_of;
using decant_test::refused;
using decant_test::rescues;
using decant_test::sorted_row;
using ids = std::vector<decant::token>;

const std::vector<double> powers_of_two{0.5, 0.25, 0.125, 0.125};  // exp(-H) = 2^-1.75 = 0.2973

}  // namespace

TEMPLATE_TEST_CASE("the eta cutoff keeps what is above a bar that falls with the entropy", "", float, double) {
  decant_test::for_rows<TestType>(321, 300, [](auto& random, const std::vector<TestType>& row) {
    const auto epsilon = static_cast<float>(std::exp(random.uniform(-8, 0)));
    const std::size_t min_keep = random.coin() ? 1 : random.between(1, row.size() + 2);
    sorted_row slow(row);
    const auto bar = static_cast<double>(epsilon);
    const double eta = std::min(bar, std::sqrt(bar) * std::exp(-slow.entropy()));
    slow.keep_while(min_keep, [&](std::size_t, double p) { return p >= eta; });
    decant_test::check_step(eta_cutoff{epsilon, min_keep}, row, slow);
  });
}

TEST_CASE("the eta cutoff at hand-computed bars") {
  CHECK(kept_of(eta_cutoff{0.04f}, powers_of_two) == ids{0, 1, 2, 3});  // min(0.04, 0.0595)
  CHECK(kept_of(eta_cutoff{0.25f}, powers_of_two) == ids{0, 1});        // min(0.25, 0.1487)
  // min(0.16, 0.1189); the square root of the whole product would be 0.218 and leave the bar at 0.16.
  CHECK(kept_of(eta_cutoff{0.16f}, powers_of_two) == ids{0, 1, 2, 3});
  CHECK(kept_of(eta_cutoff{0.25f, 3}, powers_of_two) == ids{0, 1, 2});
  CHECK_FALSE(rescues(eta_cutoff{0.25f}, powers_of_two));
}

TEST_CASE("banned tokens count nothing towards the bar of the eta cutoff") {
  auto padded = powers_of_two;
  padded.resize(90, 0.0);
  for (const float epsilon : {0.04f, 0.25f, 0.16f}) {
    CHECK(kept_of(eta_cutoff{epsilon}, padded) == kept_of(eta_cutoff{epsilon}, powers_of_two));
  }
}

TEST_CASE("the best candidate reaches the bar of every eta cutoff") {
  decant_test::for_rows<double>(324, 200, [](auto&, const std::vector<double>& row) {
    CHECK_FALSE(rescues(eta_cutoff{0.999f}, decant_test::probabilities(decant::make_sampler(), row)));
  });
  CHECK(kept_of(eta_cutoff{0.99f}, {0.0625, 0.875, 0.0625}) == ids{1});
}

TEST_CASE("the eta cutoff at or below 0 is off") {
  decant_test::check_neutral(322, eta_cutoff{});
  decant_test::check_neutral(323, eta_cutoff{-1.0f});
}

TEST_CASE("the eta cutoff explains what is out of range") {
  CHECK(eta_cutoff{3e-4f}.check().has_value());
  for (const float epsilon : {-0.1f, 1.0f, std::nanf("")}) CHECK(refused(eta_cutoff{epsilon}));
  CHECK(refused(eta_cutoff{0.1f, 0}));
}
