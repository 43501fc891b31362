// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tree of drawn tokens is not cut by a rule that sees them; its budget is chosen before it is drafted.
#include <decant/tree/size_by_cost.hpp>
#include <decant/tree/static_widths.hpp>

using namespace decant;

cut_to_cost<static_widths<ranked>> cut;
budget_by_cost<static_widths<without_replacement>> builder;

int main() {}
