// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Siblings whose existence depends on earlier ones must be tested in draw order.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/verify/random_order.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

using drafter = guided_drafter<dyspec_threshold>;

static_assert(pairing<drafter, recursive_rejection>::ok);

int main() {}
