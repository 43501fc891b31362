// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: its edge laws cannot be relied on; verify it with match
//
// Discarding unlikely draft tokens after drawing them breaks the chain's laws.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/verify/speculative_sampling.hpp>

using namespace decant;

struct likely_only {
  template <class Real>
  bool operator()(const token_draft<Real>& draft, node_id n) const {
    return draft.tree.acceptance(n) > 0.1f;
  }
};

static_assert(pairing<guided_drafter<pruned<chain<independent>, likely_only>>, speculative_sampling>::ok);

int main() {}
