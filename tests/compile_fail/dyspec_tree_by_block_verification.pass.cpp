// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Block verification judges one chain.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/traversal.hpp>

using namespace decant;

using drafter = guided_drafter<dyspec_heap>;

static_assert(pairing<drafter, traversal>::ok);

int main() {}
