// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Type erasure asks for the concept all the same.
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

struct something_else {};

any_verifier<> make() { return match{}; }

int main() {}
