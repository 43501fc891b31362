// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: prune: which tokens are left of a sampled tree depends on their values
//
// Pruning asks what the tree is, and refuses a sampled one.
#include <decant/tree/prune.hpp>

using namespace decant;

void cut(token_draft<float>& draft) {
  prune<tree_class::sampled>(draft, [](node_id n) { return n != 1; });
}

int main() {}
