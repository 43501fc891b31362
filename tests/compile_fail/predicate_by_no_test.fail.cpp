// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: predicate_verifier: the first parameter must be an acceptance predicate
//
// A number is no predicate.
#include <decant/verify/top_k_acceptance.hpp>

using namespace decant;

static_assert(Verifier<predicate_verifier<int>>);

int main() {}
