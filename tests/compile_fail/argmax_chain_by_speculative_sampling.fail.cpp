// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the draft tokens were chosen, not drawn
//
// An argmax draft tested by p/q is the most common bias of released code.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

static_assert(pairing<guided_drafter<chain<ranked>>, speculative_sampling>::ok);

int main() {}
