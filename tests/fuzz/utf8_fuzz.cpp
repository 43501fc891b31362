// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuzz/utf8_target.hpp"

using fuzz_target = decant_fuzz::utf8_target;

#include "fuzz/libfuzzer_main.hpp"
