// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/no_repeat_ngram.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <set>

namespace {

using decant::make_sampler;
using decant::no_repeat_ngram;
using decant::token;
using decant_test::probabilities;
using decant_test::support;
using tokens = std::vector<token>;

}  // namespace

TEST_CASE("an n-gram is not repeated") {
  const std::vector<float> row{1, 1, 1, 1};
  const tokens text{0, 1, 2, 0, 1};
  CHECK(support(probabilities(make_sampler(no_repeat_ngram{3}), row, text)) == tokens{0, 1, 3});
  CHECK(support(probabilities(make_sampler(no_repeat_ngram{1}), row, text)) == tokens{3});
  CHECK(support(probabilities(make_sampler(no_repeat_ngram{6}), row, text)) == tokens{0, 1, 2, 3});
  CHECK(support(probabilities(make_sampler(no_repeat_ngram{2}), row, tokens{1, 1})) == tokens{0, 2, 3});
  CHECK(support(probabilities(make_sampler(no_repeat_ngram{2}), row)) == tokens{0, 1, 2, 3});
}

TEMPLATE_TEST_CASE("no n-gram ever occurs twice, and nothing else is banned", "", float, double) {
  decant_test::random_source random(531);
  for (const std::int32_t n : {1, 2, 3}) {
    const auto sampler = make_sampler(no_repeat_ngram{n});
    const std::size_t vocab_size = n == 1 ? 40 : 9;
    const std::vector<TestType> row(vocab_size, TestType(0));
    tokens text;
    std::set<tokens> seen;
    for (int step = 0; step < 35; ++step) {
      const auto law = probabilities(sampler, row, text);
      for (token t = 0; decant::index(t) < vocab_size; ++t) {
        tokens gram(text.end() - std::min<std::ptrdiff_t>(n - 1, static_cast<std::ptrdiff_t>(text.size())), text.end());
        gram.push_back(t);
        CHECK((law[decant::index(t)] > 0) == (seen.count(gram) == 0));
      }
      const tokens allowed = support(law);
      text.push_back(allowed[random.below(allowed.size())]);
      if (text.size() >= decant::index(n)) seen.insert(tokens(text.end() - n, text.end()));
    }
  }
}

TEST_CASE("no-repeat n-gram that is off keeps no history, and what is out of range is explained") {
  const auto sampler = make_sampler(no_repeat_ngram{});
  CHECK(std::get<0>(decant_test::state_after(sampler, tokens{1, 2, 1})).view().empty());
  CHECK(support(probabilities(sampler, std::vector<float>{1, 1}, tokens{0, 0})) == tokens{0, 1});
  CHECK(no_repeat_ngram{3}.check().has_value());
  CHECK(no_repeat_ngram{-1}.check().code() == decant::error_code::invalid_argument);
}
