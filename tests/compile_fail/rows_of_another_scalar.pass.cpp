// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows handed to absorb have the machine's scalar.
#include <decant/decode/speculation.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using machine = speculation<no_drafter, match, given_law>;

bool run(machine& m, matrix_rows<float>& rows) { return m.absorb(rows).has_value(); }

int main() {}
