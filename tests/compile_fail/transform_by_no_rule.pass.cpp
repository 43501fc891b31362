// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A builder is no rule.
#include <decant/tree/chain.hpp>
#include <decant/verify/lenience.hpp>

using namespace decant;

static_assert(Verifier<transform_verifier<lenience>>);

int main() {}
