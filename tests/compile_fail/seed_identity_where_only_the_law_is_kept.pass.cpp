// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rejection sampling keeps the law, not the text of a seed.
#include <decant/core/guarantee.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>

using namespace decant;

template <class Verifier>
constexpr bool replay() {
  static_assert(promises_at_least<Verifier, guarantee::seed_identical>, "same seed, same text");
  return true;
}

static_assert(replay<match>());

int main() {}
