// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The second part of a guided drafter is a sampler.
#include <decant/draft/guided_drafter.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/tree/chain.hpp>

using namespace decant;

using drafter = guided_drafter<chain<ranked>, sampler_chain<temperature>>;
static_assert(drafter::chains_only);

int main() {}
