// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows and machine share one scalar.
#include <decant/decode/generate.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

#include "engine.hpp"

using namespace decant;

using machine = speculation<no_drafter, match, given_law, philox_chance, float>;
result<finish_reason> run(engine<true>& target, machine& m) { return resume(target, m); }

int main() {}
