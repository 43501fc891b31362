// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A type-erased drafter vouches for nothing at compile time.
#include <decant/draft/any_drafter.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

// Erased on both sides, the pairing is checked when a sequence begins.
static_assert(pairing<any_drafter<>, any_verifier<>>::ok);

int main() {}
