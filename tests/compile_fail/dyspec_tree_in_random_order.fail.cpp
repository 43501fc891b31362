// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: how many tokens the builder draws below a node depends on those drawn before, and this verifier takes them
//
// Siblings whose existence depends on earlier ones must be tested in draw order.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

using drafter = guided_drafter<dyspec_threshold>;

static_assert(pairing<drafter, random_order>::ok);

int main() {}
