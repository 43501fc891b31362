// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: any_sampler: this is not a sampler for this scalar
//
// Type erasure asks for the concept all the same.
#include <decant/sample/any_sampler.hpp>
#include <decant/sample/sampler.hpp>

using namespace decant;

struct something_else {};

any_sampler<> make() { return something_else{}; }

int main() {}
