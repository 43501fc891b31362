// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: how many tokens the builder draws below a node depends on those drawn before, and this verifier takes them
//
// A tree that grows where it is likely draws a sibling or not by the tokens before; K-SEQ needs their number first.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/verify/k_seq.hpp>
#include <decant/verify/traversal.hpp>

using namespace decant;

using drafter = guided_drafter<dyspec_heap>;

static_assert(pairing<drafter, k_seq>::ok);

int main() {}
