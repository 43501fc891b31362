// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Type erasure asks for the concept all the same.
#include <decant/sample/any_sampler.hpp>
#include <decant/sample/sampler.hpp>

using namespace decant;

struct something_else {};

any_sampler<> make() { return sampler_chain<>{}; }

int main() {}
