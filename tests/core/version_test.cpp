// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/config.hpp>
#include <decant/version.hpp>

#include "tests/support/test_kit.hpp"

TEST_CASE("the version comparison knows older, same and newer versions") {
  CHECK(DECANT_VERSION_GE(DECANT_VERSION_MAJOR, DECANT_VERSION_MINOR, DECANT_VERSION_PATCH));
  CHECK(DECANT_VERSION_GE(0, 0, 1));
  CHECK_FALSE(DECANT_VERSION_GE(DECANT_VERSION_MAJOR, DECANT_VERSION_MINOR, DECANT_VERSION_PATCH + 1));
  CHECK_FALSE(DECANT_VERSION_GE(DECANT_VERSION_MAJOR + 1, 0, 0));
}

TEST_CASE("the feature switches describe this program") {
  CHECK(DECANT_HAS_EXCEPTIONS() == 1);
  CHECK(DECANT_HAS_RTTI() == 1);
}
