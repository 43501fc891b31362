// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "other.hpp"

decant::result<decant::token> checked_token(decant::token id, decant::token vocab_size) {
  if (id < 0 || id >= vocab_size) return decant::error_code::invalid_token;
  return id;
}

std::vector<std::vector<float>> laws_elsewhere() { return laws_here(); }
