// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: its edge laws cannot be relied on; verify it with match
//
// A relaxed verifier needs what its base needs: lenience tests p/q.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using drafter = guided_drafter<pruned<static_widths<without_replacement>, min_acceptance>>;

static_assert(pairing<drafter, lenient_verification<>>::ok);

int main() {}
