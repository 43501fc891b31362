// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_TESTS_PROOF_EXACT_LAW_CHECKS_HPP
#define DECANT_TESTS_PROOF_EXACT_LAW_CHECKS_HPP

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

/// Runs the configurations, of which there must be at least `expected`.
inline void check_exact(const std::vector<exact_case>& cases, std::size_t expected) {
  CHECK(cases.size() >= expected);
  for (const exact_case& one : cases) {
    const case_result result = one.run();
    INFO(one.name() << ": " << result.description);
    CHECK(result.exact);
  }
}

}  // namespace decant_test

#endif
