// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A draft model without tree evaluation cannot serve a tree builder.
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>

#include "engine.hpp"

using namespace decant;

using drafter = model_drafter<engine<false>, chain<ranked>>;
static_assert(drafter::chains_only);

int main() {}
