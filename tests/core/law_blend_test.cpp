// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/law_blend.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <vector>

namespace {

using namespace decant;
using decant_test::law_in_form;
using decant_test::near;
using decant_test::random_source;

constexpr law_blend<double> blend{0.5, 0.75, 1.25, -0.5, 0.5};

}  // namespace

TEMPLATE_TEST_CASE("a blend of laws is what it says, in all pairings of forms, short and long", "", float, double) {
  random_source random(21);
  distribution<TestType> out;
  for (int round = 0; round < 60; ++round) {
    const std::size_t size = round < 40 ? random.between(1, 60) : random.between(257, 1500);
    const auto p = random.weights<TestType>(size, 0.4);
    const auto q = random.weights<TestType>(size, 0.4);
    for (const bool sparse_p : {false, true}) {
      for (const bool sparse_q : {false, true}) {
        const auto a = law_in_form(p, sparse_p);
        const auto b = law_in_form(q, sparse_q);
        REQUIRE(write_blend(a.view(), b.view(), blend, out) == error_code::none);
        CHECK(out.view().sparse() == sparse_p);
        double sum = 0;
        for (token v = 0; index(v) < size; ++v) {
          const double x = a.view().probability(v);
          const double y = b.view().probability(v);
          const double wanted = 0.5 * x + 0.75 * std::min(y, 1.25 * x) - 0.5 * std::min(y, 0.5 * x);
          const double found = static_cast<double>(out.view().weight_of(v)) / a.view().mass();
          REQUIRE(near(found, wanted, 1e-7));
          sum += wanted;
        }
        CHECK(near(out.view().mass() / a.view().mass(), sum, 1e-6));
      }
    }
  }
}

TEST_CASE("a blend that leaves nothing says so") {
  const auto law = law_in_form(std::vector<double>{1, 2, 0}, false);
  distribution<double> out;
  CHECK(write_blend(law.view(), law.view(), {1, -1, 1}, out) == error_code::row_empty);
}
