// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeping the most probable nodes of a sampled tree breaks its edge laws.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

// A deterministic tree may be re-ranked: nothing was drawn.
static_assert(pairing<guided_drafter<reranked<static_widths<ranked>>>, recursive_rejection>::ok);

int main() {}
