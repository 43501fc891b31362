// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: its edge laws cannot be relied on; verify it with match
//
// Re-ranking a drawn tree breaks its laws, whoever drew it.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/prune.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/traversal.hpp>

using namespace decant;

using drafter = guided_drafter<reranked<dyspec_heap>>;

static_assert(pairing<drafter, traversal>::ok);

int main() {}
