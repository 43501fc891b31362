// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fuzz/gguf_target.hpp"

using fuzz_target = decant_fuzz::gguf_target;

#include "fuzz/libfuzzer_main.hpp"
