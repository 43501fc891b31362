// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: the sampled tree was pruned, re-ranked or type-erased: its edge laws cannot be relied on; verify it with
// match
//
// Membership tests one draw against its law.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/membership.hpp>

using namespace decant;

using drafter = guided_drafter<pruned<static_widths<independent>, min_acceptance>>;

static_assert(pairing<drafter, membership>::ok);

int main() {}
