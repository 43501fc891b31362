// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pruning asks what the tree is, and refuses a sampled one.
#include <decant/tree/prune.hpp>

using namespace decant;

void cut(token_draft<float>& draft) {
  prune<tree_class::deterministic>(draft, [](node_id n) { return n != 1; });
}

int main() {}
