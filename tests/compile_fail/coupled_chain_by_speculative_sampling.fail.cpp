// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the sampled tree was pruned, re-ranked or type-erased: its edge laws cannot be relied on; verify it with
// match
//
// As above, on a chain.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<chain<coupled_draws>>;

static_assert(pairing<drafter, speculative_sampling>::ok);

int main() {}
