// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "other.hpp"

std::vector<std::vector<float>> laws_in_third_unit() { return laws_here(); }
