// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: speculation: the fourth parameter must be a chance source
//
// A chance source has all three primitives.
#include <decant/decode/speculation.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

struct coins_only {
  bool accept(chance_key, double, double) { return true; }
};

using machine = speculation<no_drafter, match, sampler_chain<>, coins_only>;
static_assert(sizeof(machine) > 0);

int main() {}
