// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/divergence_gate.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {

TEST_CASE("the gate opens where the two laws diverge by less than the threshold") {
  CHECK(near(jensen_shannon(view_of(golden_p), view_of(golden_q)), .066414, 5e-7));
  CHECK(same_row(emitted_by(divergence_gate{.07}), golden_q));
  CHECK(same_row(emitted_by(divergence_gate{.066}), golden_p));
}

TEST_CASE("each kind of divergence has its golden value") {
  const auto p = view_of(golden_p);
  const auto q = view_of(golden_q);
  CHECK(near(divergence_gate{0, divergence_kind::target_from_draft}.divergence(p, q), .274887, 5e-7));
  CHECK(near(divergence_gate{0, divergence_kind::draft_from_target}.divergence(p, q), .274887, 5e-7));
  CHECK(near(divergence_gate{0, divergence_kind::total_variation}.divergence(p, q), .3, 1e-12));
  // The two directions differ in general, and only one of them minds a token the draft excludes.
  const std::vector<double> narrow{.5, .5, 0};
  CHECK(divergence_gate{0, divergence_kind::target_from_draft}.divergence(p, view_of(narrow)) ==
        std::numeric_limits<double>::infinity());
  CHECK(near(divergence_gate{0, divergence_kind::draft_from_target}.divergence(p, view_of(narrow)),
             .5 * std::log(.5 / .3), 1e-12));
}

TEST_CASE("Jensen-Shannon divergence is symmetric, bounded by log 2 and 0 for equal laws") {
  std::uint64_t state = 11;
  for (int i = 0; i < 200; ++i) {
    const auto p = random_row(state, 5, true);
    const auto q = random_row(state, 5, true);
    const double there = jensen_shannon(view_of(p), view_of(q));
    REQUIRE(near(there, jensen_shannon(view_of(q), view_of(p)), 1e-14));
    REQUIRE(there >= -1e-15);
    REQUIRE(there <= std::log(2.0) + 1e-14);
    REQUIRE(near(jensen_shannon(view_of(p), view_of(p)), 0, 1e-14));
  }
  const std::vector<double> a{1, 0};
  const std::vector<double> b{0, 1};
  CHECK(near(jensen_shannon(view_of(a), view_of(b)), std::log(2.0), 1e-15));
}

TEST_CASE("a threshold of zero keeps the target's row even for equal laws") {
  CHECK(emitted_by(divergence_gate{0}, golden_p, golden_p) == golden_p);
  CHECK_FALSE(divergence_gate{std::nan("")}.check().has_value());
}

}  // namespace decant_test
