// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: this engine serves exact decoding only
//
// A program that insists on exactness cannot be given a lossy verifier.
#include <decant/core/guarantee.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/typical_acceptance.hpp>

using namespace decant;

template <class Verifier>
constexpr bool serve() {
  static_assert(promises_at_least<Verifier, guarantee::exact_in_law>, "this engine serves exact decoding only");
  return true;
}

static_assert(serve<typical_acceptance>());

int main() {}
