// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The first part of a machine is a drafter.
#include <decant/decode/speculation.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using machine = speculation<no_drafter, match>;
static_assert(sizeof(machine) > 0);

int main() {}
