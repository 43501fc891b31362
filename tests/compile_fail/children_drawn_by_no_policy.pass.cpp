// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The parameter of a tree shape says how children are drawn.
#include <decant/tree/chain.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

static_assert(chain<ranked>::chains_only);

int main() {}
