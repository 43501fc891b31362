// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/sequence_bias.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::bad_words;
using decant::make_sampler;
using decant::sequence_bias;
using decant::token;
using decant_test::probabilities;
using decant_test::support;
using tokens = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("a bad word never comes to an end", "", float, double) {
  const std::vector<TestType> row{1, 1, 1, 1};
  const auto sampler = make_sampler(bad_words({{0}, {1, 2}, {3, 1, 2}, {2, 2, 2, 3}}));
  CHECK(support(probabilities(sampler, row)) == tokens{1, 2, 3});
  CHECK(support(probabilities(sampler, row, tokens{1})) == tokens{1, 3});
  CHECK(support(probabilities(sampler, row, tokens{1, 0})) == tokens{1, 2, 3});
  CHECK(support(probabilities(sampler, row, tokens{2, 2})) == tokens{1, 2, 3});
  CHECK(support(probabilities(sampler, row, tokens{2, 2, 2})) == tokens{1, 2});
}

TEST_CASE("biases of sequences that complete at once add up") {
  const auto sampler = make_sampler(sequence_bias{{{{2}, 1.0f}, {{0, 2}, 0.5f}, {{1, 0, 2}, -4.0f}}});
  const std::vector<double> row{0, 0, 0};
  const auto share = [&](const tokens& text) {
    const auto law = probabilities(sampler, row, text);
    return std::log(law[2] / law[0]);
  };
  CHECK(decant_test::near(share({}), 1, 1e-9));
  CHECK(decant_test::near(share({0}), 1.5, 1e-9));
  CHECK(decant_test::near(share({1, 0}), -2.5, 1e-9));
  CHECK(decant_test::near(share({0, 0}), 1.5, 1e-9));
}

TEST_CASE("sequence bias can look at the output alone") {
  const std::vector<float> row{1, 1};
  const auto sampler = make_sampler(bad_words({{0, 1}}, true));
  CHECK(support(probabilities(sampler, row, tokens{1, 0}, 2)) == tokens{0, 1});  // the 0 is the prompt's
  CHECK(support(probabilities(sampler, row, tokens{1, 0, 0}, 2)) == tokens{0});
}

TEST_CASE("sequence bias equals its slow version") {
  decant_test::random_source random(521);
  for (int round = 0; round < 200; ++round) {
    sequence_bias rule{{}, random.coin()};
    for (std::size_t i = random.below(6); i > 0; --i) {
      tokens sequence(random.between(1, 4));
      for (token& t : sequence) t = random.token_below(3);
      rule.entries.push_back({sequence, static_cast<float>(random.uniform(-2, 2))});
    }
    tokens text(random.below(12));
    for (token& t : text) t = random.token_below(3);
    auto row = random.logits<double>(3);
    const std::size_t prompt = random.below(text.size() + 1);
    const std::size_t overlooked = rule.output_only ? prompt : 0;
    const auto found = probabilities(make_sampler(rule), row, text, prompt);
    for (const auto& [sequence, bias] : rule.entries) {
      tokens whole(text.begin() + static_cast<std::ptrdiff_t>(overlooked), text.end());
      whole.push_back(sequence.back());
      if (decant::ends_with(whole, sequence)) row[decant::index(sequence.back())] += static_cast<double>(bias);
    }
    CHECK(decant_test::largest_difference(found, probabilities(make_sampler(), row)) < 1e-12);
  }
}

TEST_CASE("sequence bias explains what is out of range, and a ban of everything is a row without tokens") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(sequence_bias{}.check().has_value());
  CHECK(bad_words({{1}, {2, 3}}).check().has_value());
  for (const sequence_bias& wrong : {bad_words({{}}), bad_words({{1, -1}}), sequence_bias{{{{1}, nan}}},
                                     sequence_bias{{{{1}, std::numeric_limits<float>::infinity()}}}}) {
    CHECK(wrong.check().code() == decant::error_code::invalid_argument);
  }
  CHECK(decant_test::code_for(make_sampler(bad_words({{0}, {1}, {7}})), std::vector<float>{1, 1}) ==
        decant::error_code::row_empty);
}
