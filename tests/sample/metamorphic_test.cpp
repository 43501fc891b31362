// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What must hold between two runs of one sampler, whatever the right law is.
#include <decant/sample/presets.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>

namespace {

using decant::index;
using decant::token;
using decant_test::largest_difference;
using decant_test::probabilities;
using decant_test::random_source;

using tokens = std::vector<token>;

/// Calls `check` with chains of every order and random parameters; the shares are odd enough never to fall on a border
/// of a law made of random logits.
template <class Check>
void for_random_chains(random_source& random, float repetition, Check&& check) {
  const auto k = static_cast<std::int32_t>(random.below(50));
  const auto p = static_cast<float>(random.uniform(0.2, 1));
  const auto floor = static_cast<float>(random.uniform(0, 0.2));
  const auto heat = static_cast<float>(random.uniform(0.3, 2));
  const auto frequency = static_cast<float>(random.uniform(-0.5, 0.5));
  check(decant::llama_cpp_order({.temperature = heat,
                                 .top_k = k,
                                 .top_p = p,
                                 .min_p = floor,
                                 .penalty_last_n = 10,
                                 .penalty_repeat = repetition,
                                 .penalty_freq = frequency}));
  check(decant::hf_order(
      {.temperature = heat, .top_k = k, .top_p = p, .min_p = floor, .repetition_penalty = repetition}));
  check(decant::vllm_order({.temperature = heat,
                            .top_k = k,
                            .top_p = p,
                            .min_p = floor,
                            .repetition_penalty = repetition,
                            .presence_penalty = frequency}));
}

tokens random_history(random_source& random, std::size_t vocab_size) {
  tokens history(random.below(30));
  for (token& id : history) id = random.token_below(vocab_size);
  return history;
}

}  // namespace

TEST_CASE("adding a constant to all logits changes nothing, but for the repetition penalty") {
  random_source random(101);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<double>(random.between(1, 300));
    auto shifted = row;
    const double constant = random.uniform(-50, 50);
    for (double& logit : shifted) logit += constant;
    const tokens history = random_history(random, row.size());
    for_random_chains(random, 1.0f, [&](const auto& sampler) {
      CHECK(largest_difference(probabilities(sampler, row, history), probabilities(sampler, shifted, history)) < 1e-9);
    });
  }
  const auto repetition = decant::make_sampler(decant::penalties{2.0f});
  CHECK(largest_difference(probabilities(repetition, std::vector<double>{1, 1}, tokens{0}),
                           probabilities(repetition, std::vector<double>{-1, -1}, tokens{0})) < 0.3);
  CHECK(probabilities(repetition, std::vector<double>{1, 1}, tokens{0}) !=
        probabilities(repetition, std::vector<double>{-1, -1}, tokens{0}));
}

TEMPLATE_TEST_CASE("relabelling the vocabulary relabels the law", "", float, double) {
  random_source random(102);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 300));
    const auto order = random.permutation(row.size());
    std::vector<TestType> relabelled(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) relabelled[order[i]] = row[i];
    const tokens history = random_history(random, row.size());
    tokens relabelled_history;
    for (const token id : history) relabelled_history.push_back(static_cast<token>(order[index(id)]));
    for_random_chains(random, 1.2f, [&](const auto& sampler) {
      const auto law = probabilities(sampler, row, history);
      std::vector<double> expected(law.size());
      for (std::size_t i = 0; i < law.size(); ++i) expected[order[i]] = law[i];
      CHECK(largest_difference(probabilities(sampler, relabelled, relabelled_history), expected) < 1e-6);
    });
  }
}

TEMPLATE_TEST_CASE("padding the vocabulary with impossible tokens changes nothing", "", float, double) {
  random_source random(103);
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 300));
    auto padded = row;
    padded.resize(row.size() + random.between(1, 200), -std::numeric_limits<TestType>::infinity());
    const tokens history = random_history(random, row.size());
    for_random_chains(random, 1.2f, [&](const auto& sampler) {
      auto expected = probabilities(sampler, row, history);
      expected.resize(padded.size(), 0.0);
      CHECK(probabilities(sampler, padded, history) == expected);
    });
  }
}

TEMPLATE_TEST_CASE("temperature 0 makes every chain greedy", "", float, double) {
  random_source random(104);
  for (int round = 0; round < 100; ++round) {
    auto row = random.logits<TestType>(random.between(1, 300));
    row[random.below(row.size())] = row[random.below(row.size())];  // perhaps a tie
    const auto greedy = probabilities(decant::make_sampler(decant::temperature{0.0f}), row);
    for (const float cold : {0.0f, 1e-9f}) {
      CHECK(probabilities(decant::llama_cpp_order({.temperature = cold}),
                          row)[index(decant_test::support(greedy)[0])] >= 0.5);
    }
    CHECK(probabilities(decant::llama_cpp_order({.temperature = 0}), row) == greedy);
    CHECK(probabilities(decant::hf_order({.temperature = 0}), row) == greedy);
    CHECK(probabilities(decant::vllm_order({.temperature = 0}), row) == greedy);
  }
}

TEMPLATE_TEST_CASE("a scratch that has seen other rows gives the same law to the last bit", "", float, double) {
  random_source random(105);
  const auto sampler = decant::llama_cpp_order({.penalty_repeat = 1.1f});
  decant::candidates<TestType> used;
  for (int round = 0; round < 100; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 300));
    const auto state = decant_test::state_after(sampler, random_history(random, row.size()));
    decant::distribution<TestType> from_used;
    decant::distribution<TestType> from_new;
    decant::candidates<TestType> fresh;
    REQUIRE(sampler.law(std::span<const TestType>(row), state, used, from_used) == decant::error_code::none);
    REQUIRE(sampler.law(std::span<const TestType>(row), state, fresh, from_new) == decant::error_code::none);
    CHECK(decant_test::dense_probabilities(from_used.view()) == decant_test::dense_probabilities(from_new.view()));
  }
}
