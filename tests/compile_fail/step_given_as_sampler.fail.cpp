// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: speculation: the third parameter must be a sampler for this scalar
//
// A step of a chain is not a sampler; a chain of one is.
#include <decant/decode/speculation.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using machine = speculation<no_drafter, match, temperature>;
static_assert(sizeof(machine) > 0);

int main() {}
