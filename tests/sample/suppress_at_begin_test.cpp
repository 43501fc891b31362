// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/suppress_at_begin.hpp>

#include "tests/support/sampling.hpp"

namespace {

using decant::make_sampler;
using decant::suppress_at_begin;
using decant::token;
using tokens = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("tokens are suppressed as the first after the prompt and nowhere else", "", float, double) {
  const std::vector<TestType> row{1, 1, 1};
  const auto sampler = make_sampler(suppress_at_begin{{0, 2}});
  for (std::size_t length = 0; length < 6; ++length) {
    for (std::size_t prompt = 0; prompt <= length; ++prompt) {
      CHECK(decant_test::support(decant_test::probabilities(sampler, row, tokens(length, 0), prompt)) ==
            (length == prompt ? tokens{1} : tokens{0, 1, 2}));
    }
  }
  CHECK(suppress_at_begin{{1}}.check().has_value());
  CHECK(suppress_at_begin{{-1}}.check().code() == decant::error_code::invalid_argument);
}
