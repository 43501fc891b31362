// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Type erasure asks for the concept all the same.
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>

using namespace decant;

struct something_else {};

any_builder<> make() { return chain<ranked>{}; }

int main() {}
