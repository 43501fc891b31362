// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: guided_drafter: the first parameter must be a tree builder
//
// The first part of a guided drafter is a tree builder.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using drafter = guided_drafter<match>;
static_assert(drafter::chains_only);

int main() {}
