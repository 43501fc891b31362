// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/presets.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

namespace {

using decant::hf_order;
using decant::llama_cpp_order;
using decant::token;
using decant::vllm_order;
using decant_test::largest_difference;
using decant_test::probabilities;
using decant_test::support;
using ids = std::vector<token>;

}  // namespace

TEMPLATE_TEST_CASE("the same numbers keep different tokens in different orders", "", float, double) {
  const std::vector<TestType> row{3, 2, 1};
  const auto last = probabilities(llama_cpp_order({.temperature = 0.5f, .top_k = 0, .top_p = 0.8f, .min_p = 0}), row);
  CHECK(support(last) == ids{0, 1});
  CHECK(decant_test::near(last[0], 1 / (1 + std::exp(-2.0)), 1e-6));
  CHECK(support(probabilities(hf_order({.temperature = 0.5f, .top_k = 0, .top_p = 0.8f}), row)) == ids{0});
  CHECK(support(probabilities(vllm_order({.temperature = 0.5f, .top_p = 0.8f}), row)) == ids{0});
  // The laws the truncations see, as published with this vector.
  CHECK(largest_difference(probabilities(vllm_order({.temperature = 0.5f}), row), {0.8668, 0.1173, 0.0159}) < 5e-5);
  CHECK(largest_difference(probabilities(decant::make_sampler(), row), {0.6652, 0.2447, 0.0900}) < 5e-5);
}

TEMPLATE_TEST_CASE("min-p too depends on the order", "", float, double) {
  const std::vector<TestType> row{3, 2, 1};  // e^-1 = 0.37, at temperature 2 e^-0.5 = 0.61
  CHECK(support(probabilities(llama_cpp_order({.temperature = 2.0f, .top_k = 0, .top_p = 1, .min_p = 0.5f}), row)) ==
        ids{0});
  CHECK(support(probabilities(hf_order({.temperature = 2.0f, .min_p = 0.5f}), row)) == ids{0, 1});
  CHECK(support(probabilities(vllm_order({.temperature = 2.0f, .min_p = 0.5f}), row)) == ids{0, 1});
}

TEST_CASE("vllm applies min-p before top-p and hf after it") {
  // Shares 0.5, 0.2, 0.15, 0.15. min-p 0.35 drops the last two; then top-p 0.71 of the rest is the first alone.
  const std::vector<double> row{std::log(0.5), std::log(0.2), std::log(0.15), std::log(0.15)};
  CHECK(support(probabilities(vllm_order({.top_p = 0.71f, .min_p = 0.35f}), row)) == ids{0});
  CHECK(support(probabilities(hf_order({.top_p = 0.71f, .min_p = 0.35f}), row)) == ids{0, 1});
}

TEMPLATE_TEST_CASE("presets equal their slow versions", "", float, double) {
  decant_test::random_source random(91);
  for (int round = 0; round < 150; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 800), 3);
    const auto k = static_cast<std::int32_t>(random.between(1, 60));
    const auto p = static_cast<float>(random.uniform(0.3, 0.99));
    const auto floor = static_cast<float>(random.uniform(0.01, 0.3));
    const auto heat = static_cast<float>(random.uniform(0.3, 2));

    decant_test::slow_candidates llama(row);
    llama.keep_first(static_cast<std::size_t>(k));
    llama.top_p(static_cast<double>(p), 1);
    llama.min_p(static_cast<double>(floor), 1);
    llama.divide_by(static_cast<double>(heat));
    CHECK(largest_difference(
              probabilities(llama_cpp_order({.temperature = heat, .top_k = k, .top_p = p, .min_p = floor}), row),
              llama.law()) < 1e-5);

    decant_test::slow_candidates hf(row);
    hf.divide_by(static_cast<double>(heat));
    hf.keep_first(static_cast<std::size_t>(k));
    hf.top_p(static_cast<double>(p), 1);
    hf.min_p(static_cast<double>(floor), 1);
    CHECK(largest_difference(
              probabilities(hf_order({.temperature = heat, .top_k = k, .top_p = p, .min_p = floor}), row), hf.law()) <
          1e-5);

    decant_test::slow_candidates vllm(row);
    vllm.divide_by(static_cast<double>(heat));
    vllm.min_p(static_cast<double>(floor), 1);
    vllm.keep_first(static_cast<std::size_t>(k));
    vllm.top_p(static_cast<double>(p), 1);
    CHECK(largest_difference(
              probabilities(vllm_order({.temperature = heat, .top_k = k, .top_p = p, .min_p = floor}), row),
              vllm.law()) < 1e-5);
  }
}

TEST_CASE("presets hold the defaults of their engines") {
  const auto llama = llama_cpp_order();
  CHECK(llama.get<decant::dynamic_temperature>() == decant::dynamic_temperature{0.8f, 0.0f, 1.0f});
  CHECK(llama.get<decant::top_k>() == decant::top_k{40});
  CHECK(llama.get<decant::top_p>() == decant::top_p{0.95f});
  CHECK(llama.get<decant::min_p>() == decant::min_p{0.05f});
  CHECK(llama.get<decant::penalties>() == decant::penalties{1.0f, 0.0f, 0.0f, 64});
  CHECK(llama.get<decant::dry>() == decant::dry{0.0f, 1.75f, 2, 64});
  CHECK(llama.get<decant::xtc>() == decant::xtc{0.0f, 0.1f});
  CHECK(llama.get<decant::top_n_sigma>() == decant::top_n_sigma{-1.0f});
  CHECK_FALSE(llama.learns());
  CHECK(decant::llama_cpp_mirostat_1().get<decant::mirostat_v1>() == decant::mirostat_v1{5.0f, 0.1f, 100});
  CHECK(decant::llama_cpp_mirostat_2().get<decant::mirostat_v2>() == decant::mirostat_v2{5.0f, 0.1f});
  CHECK(hf_order().get<decant::top_k>() == decant::top_k{50, 1, true});
  const std::vector<float> row{0.5f, -1, 2};
  CHECK(probabilities(vllm_order(), row) == probabilities(decant::make_sampler(), row));
  CHECK(llama.check().has_value());
  CHECK(hf_order().check().has_value());
  CHECK(vllm_order().check().has_value());
}

TEST_CASE("vllm is greedy below its smallest temperature") {
  const std::vector<float> row{1, 1.00001f, 1.00001f};
  CHECK(support(probabilities(vllm_order({.temperature = 0.9e-5f}), row)) == ids{1});
  CHECK(support(probabilities(vllm_order({.temperature = 1e-5f}), row)).size() > 1);
}

TEST_CASE("presets pass penalties and bias on") {
  const std::vector<float> row{2, 2, 2};
  const ids history{0};
  const auto llama = probabilities(
      llama_cpp_order({.temperature = 1.0f, .penalty_repeat = 2.0f, .logit_bias = {{1, 1.0f}}}), row, history);
  CHECK(llama[0] < llama[2]);
  CHECK(llama[2] < llama[1]);
  const auto hf = probabilities(hf_order({.repetition_penalty = 2.0f, .sequence_bias = {{{1}, 1.0f}}}), row, history);
  CHECK(largest_difference(hf, llama) < 1e-6);
  const auto vllm = probabilities(vllm_order({.presence_penalty = 1.0f, .logit_bias = {{1, 1.0f}}}), row, history);
  CHECK(largest_difference(vllm, llama) < 1e-6);
}
