// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: any_drafter: this is not a drafter for this scalar
//
// Type erasure asks for the concept all the same.
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/no_drafter.hpp>

using namespace decant;

struct something_else {};

any_drafter<> make() { return something_else{}; }

int main() {}
