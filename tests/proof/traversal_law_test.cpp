// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/proof/exact_law_checks.hpp"

namespace decant_test {

TEST_CASE("traversal has the target's law with every tree of true edge laws") {
  check_exact(traversal_cases<double>(), 300);
}
TEST_CASE("block verification has the target's law with chains of true edge laws") {
  check_exact(block_verification_cases<double>(), 170);
}

}  // namespace decant_test
