// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: any_builder: this is not a tree builder for this scalar
//
// Type erasure asks for the concept all the same.
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>

using namespace decant;

struct something_else {};

any_builder<> make() { return something_else{}; }

int main() {}
