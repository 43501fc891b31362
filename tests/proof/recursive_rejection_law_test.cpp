// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/proof/exact_law_checks.hpp"

namespace decant_test {

TEST_CASE("recursive rejection has the target's law with every tree of true edge laws") {
  check_exact(recursive_rejection_cases<double>(), 300);
}

}  // namespace decant_test
