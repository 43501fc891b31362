// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: its edge laws cannot be relied on; verify it with match
//
// Pruning a sampled tree by its tokens breaks its edge laws.
#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

struct likely_only {
  template <class Real>
  bool operator()(const token_draft<Real>& draft, node_id n) const {
    return draft.tree.acceptance(n) > 0.1f;
  }
};
using drafter = guided_drafter<pruned<static_widths<independent>, likely_only>>;

static_assert(pairing<drafter, recursive_rejection>::ok);

int main() {}
