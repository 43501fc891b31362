// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/min_length.hpp>

#include "tests/support/sampling.hpp"

namespace {

using decant::make_sampler;
using decant::min_length;
using decant::token;
using decant_test::probabilities;
using decant_test::support;
using tokens = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("the ends are banned until the text is long enough", "", float, double) {
  const std::vector<TestType> row{1, 1, 1};
  const auto with_prompt = make_sampler(min_length{4, {2, 7}});
  const auto after_prompt = make_sampler(min_length{2, {0, 2}, true});
  for (std::size_t length = 0; length < 7; ++length) {
    const tokens text(length, 1);
    CHECK(support(probabilities(with_prompt, row, text)) == (length < 4 ? tokens{0, 1} : tokens{0, 1, 2}));
    CHECK(support(probabilities(make_sampler(min_length{0, {2}, true}), row, text)) == tokens{0, 1, 2});
    for (std::size_t prompt = 0; prompt <= length; ++prompt) {
      CHECK(probabilities(with_prompt, row, text, prompt) == probabilities(with_prompt, row, text));
      CHECK(support(probabilities(after_prompt, row, text, prompt)) ==
            (length < prompt + 2 ? tokens{1} : tokens{0, 1, 2}));
    }
  }
}

TEST_CASE("a minimum length explains what is out of range, and ends alone are a row without tokens") {
  CHECK(min_length{3, {1}}.check().has_value());
  CHECK(min_length{3, {1, -2}}.check().code() == decant::error_code::invalid_argument);
  CHECK(decant_test::code_for(make_sampler(min_length{1, {0, 1}}), std::vector<float>{1, 2}) ==
        decant::error_code::row_empty);
}
