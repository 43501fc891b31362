// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/greedy_sampling.hpp>

#include <decant/sample/temperature.hpp>

#include "tests/sample/step_oracle.hpp"

TEMPLATE_TEST_CASE("greedy sampling keeps the argmax, the lowest id among equals", "", float, double) {
  using decant::make_sampler;
  decant_test::for_rows<TestType>(371, 200, [](auto&, const std::vector<TestType>& row) {
    decant_test::sorted_row slow(row);
    slow.keep_first(1);
    decant_test::check_step(decant::greedy_sampling{}, row, slow);
    CHECK(decant_test::probabilities(make_sampler(decant::greedy_sampling{}), row) ==
          decant_test::probabilities(make_sampler(decant::temperature{0.0f}), row));
  });
}
