// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A re-ranked draft has no known laws, chain or not.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<reranked<chain<independent>>>;

static_assert(pairing<drafter, match>::ok);

int main() {}
