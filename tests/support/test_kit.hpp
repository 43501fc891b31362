// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one place that knows the test framework: Catch2 3 where it is installed, else Catch2 2.13. Tests use TEST_CASE,
// TEMPLATE_TEST_CASE, SECTION, CHECK, REQUIRE, INFO, CAPTURE and GENERATE, which both spell alike, and the two helpers
// below.
#ifndef DECANT_TESTS_SUPPORT_TEST_KIT_HPP
#define DECANT_TESTS_SUPPORT_TEST_KIT_HPP

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <cmath>
#include <cstdio>

/// Leaves a test that lacks something optional (a model file, a library). ctest shows such a test as "Skipped",
/// together with the reason, because it looks for the words "test skipped:" in the output.
#define DECANT_SKIP(reason)                    \
  do {                                         \
    std::printf("test skipped: %s\n", reason); \
    return;                                    \
  } while (false)

namespace decant_test {

/// True when a and b differ by at most `tolerance`; false for NaN.
[[nodiscard]] inline bool near(double a, double b, double tolerance) noexcept { return std::abs(a - b) <= tolerance; }

}  // namespace decant_test

#endif
