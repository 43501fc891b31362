// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Only a host-driven drafter takes draft rows.
#include <decant/decode/speculation.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

using machine = speculation<guided_drafter<chain<ranked>>, match>;
bool run(machine& m, matrix_rows<float>& rows) { return m.supply_draft_rows(rows).has_value(); }

int main() {}
