// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A number is no predicate.
#include <decant/verify/top_k_acceptance.hpp>

using namespace decant;

static_assert(Verifier<predicate_verifier<top_k_test>>);

int main() {}
