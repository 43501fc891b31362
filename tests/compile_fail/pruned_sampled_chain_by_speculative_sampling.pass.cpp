// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
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

// Stopping on the row before drawing keeps the laws: a field of the chain itself.
static_assert(pairing<guided_drafter<chain<independent>>, speculative_sampling>::ok);

int main() {}
