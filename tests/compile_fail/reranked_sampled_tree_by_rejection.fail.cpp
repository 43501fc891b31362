// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: its edge laws cannot be relied on; verify it with match
//
// Keeping the most probable nodes of a sampled tree breaks its edge laws.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

static_assert(pairing<guided_drafter<reranked<static_widths<without_replacement>>>, recursive_rejection>::ok);

int main() {}
