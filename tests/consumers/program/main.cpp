// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "other.hpp"

#include <decant/decant.hpp>

#include <cstdio>

int main() {
  const decant::result<decant::token> good = checked_token(3, 10);
  const decant::result<decant::token> bad = checked_token(10, 10);
  if (!good || *good != 3 || bad || bad.code() != decant::error_code::invalid_token) return 1;
  const std::vector<std::vector<float>> laws = laws_here();
  if (laws.front().empty() || laws != laws_elsewhere()) return 2;
#if defined(HAS_THIRD_UNIT)
  if (laws != laws_in_third_unit()) return 3;
#endif
  std::printf("decant %d.%d.%d\n", DECANT_VERSION_MAJOR, DECANT_VERSION_MINOR, DECANT_VERSION_PATCH);
  return 0;
}
