// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuzz/packed_weights_target.hpp"

using fuzz_target = decant_fuzz::packed_weights_target;

#include "fuzz/libfuzzer_main.hpp"
