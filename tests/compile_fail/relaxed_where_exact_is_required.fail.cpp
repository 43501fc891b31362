// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: this engine serves exact decoding only
//
// A transform verifier is lossy by type, whatever its rule does.
#include <decant/core/guarantee.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

template <class Verifier>
constexpr bool serve() {
  static_assert(promises_at_least<Verifier, guarantee::exact_in_law>, "this engine serves exact decoding only");
  return true;
}

static_assert(serve<lenient_verification<>>());

int main() {}
