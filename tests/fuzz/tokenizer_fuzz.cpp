// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuzz/tokenizer_target.hpp"

using fuzz_target = decant_fuzz::tokenizer_target;

#include "fuzz/libfuzzer_main.hpp"
