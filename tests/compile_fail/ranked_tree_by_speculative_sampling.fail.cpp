// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the draft tokens were chosen, not drawn
//
// Chosen tokens, whatever their shape, have no law to divide by.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/static_paths.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

using drafter = guided_drafter<static_paths<ranked>>;

static_assert(pairing<drafter, speculative_sampling>::ok);

int main() {}
