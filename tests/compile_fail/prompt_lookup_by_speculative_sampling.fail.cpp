// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the draft tokens were chosen, not drawn
//
// Copied tokens were not drawn from any law.
#include <decant/draft/prompt_lookup.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

static_assert(pairing<prompt_lookup<>, speculative_sampling>::ok);

int main() {}
