// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: speculation: the second parameter must be a verifier
//
// The second part of a machine is a verifier.
#include <decant/decode/speculation.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

struct not_a_verifier {
  static constexpr auto promises = guarantee::exact_in_law;
  static constexpr auto needs = edge_needs::nothing;
  static constexpr auto shape = shape_needs::any_tree;
};
using machine = speculation<no_drafter, not_a_verifier>;
static_assert(sizeof(machine) > 0);

int main() {}
