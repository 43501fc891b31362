// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speculative sampling walks a chain.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<static_widths<independent>>;

static_assert(pairing<drafter, recursive_rejection>::ok);

int main() {}
