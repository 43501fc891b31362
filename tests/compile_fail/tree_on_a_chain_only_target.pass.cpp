// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A target without tree evaluation cannot verify trees.
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>

#include "engine.hpp"

using namespace decant;

using machine = speculation<model_drafter<engine<true>, static_widths<ranked>>, match>;
result<finish_reason> run(engine<true>& target, machine& m) { return resume(target, m); }

int main() {}
