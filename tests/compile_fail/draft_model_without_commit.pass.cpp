// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A draft model lacks one of the operations of a Model.
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>

#include "engine.hpp"

using namespace decant;

using drafter = model_drafter<engine<true>, chain<ranked>>;
static_assert(drafter::chains_only);

int main() {}
