// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: pruned, re-ranked or type-erased
// expect: its edge laws cannot be relied on; verify it with match
//
// A type-erased drafter vouches for nothing at compile time.
#include <decant/draft/any_drafter.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

static_assert(pairing<any_drafter<>, recursive_rejection>::ok);

int main() {}
