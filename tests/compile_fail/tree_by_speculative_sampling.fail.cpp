// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: this verifier walks a chain but the builder makes a tree; use recursive_rejection or match
//
// Speculative sampling walks a chain.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<static_widths<independent>>;

static_assert(pairing<drafter, speculative_sampling>::ok);

int main() {}
