// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the draft tokens were chosen, not drawn, so a p/q test would be biased or wasteful; verify them with match
//
// OPT-Tree keeps the likeliest nodes: nothing is drawn.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/opt_tree.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<opt_tree>;

static_assert(pairing<drafter, speculative_sampling>::ok);

int main() {}
