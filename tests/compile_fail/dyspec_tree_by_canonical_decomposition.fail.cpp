// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: how many tokens the builder draws below a node depends on those drawn before, and this verifier takes them
//
// Which of two draws is selected must not depend on whether there is a second.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/canonical_decomposition.hpp>

using namespace decant;

using drafter = guided_drafter<dyspec_heap>;

static_assert(pairing<drafter, canonical_decomposition>::ok);

int main() {}
