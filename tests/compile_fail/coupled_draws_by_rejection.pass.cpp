// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Draws that share the verifier's noise have no law of their own given that noise.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/drafter_invariant.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

using drafter = guided_drafter<static_widths<coupled_draws>>;

static_assert(pairing<drafter, drafter_invariant>::ok);

int main() {}
