// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A drafter is as unknown as its builder.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

static_assert(pairing<guided_drafter<chain<independent>>, recursive_rejection>::ok);

int main() {}
