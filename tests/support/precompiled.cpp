// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Owner of the precompiled header that the test programs share: CMake wants a source file to hang it on.
#include "tests/support/test_kit.hpp"
