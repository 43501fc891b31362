// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_TESTS_CONSUMERS_PROGRAM_OTHER_HPP
#define DECANT_TESTS_CONSUMERS_PROGRAM_OTHER_HPP

#include <decant/decant.hpp>

#include <vector>

/// `id` when it is a token of a vocabulary of `vocab_size`, else an error.
decant::result<decant::token> checked_token(decant::token id, decant::token vocab_size);

/// `laws_here()` of the other translation units.
std::vector<std::vector<float>> laws_elsewhere();
std::vector<std::vector<float>> laws_in_third_unit();

// A copy for each translation unit, compiled with its flags.
namespace {

template <class Sampler>
std::vector<float> law_of(const Sampler& sampler, const std::vector<float>& row) {
  typename Sampler::template scratch_type<float> scratch{};
  decant::distribution<float> law;
  const decant::error_code code = sampler.law(std::span<const float>(row), sampler.initial_state(), scratch, law);
  std::vector<float> weights;
  for (std::size_t i = 0; code == decant::error_code::none && i < row.size(); ++i) {
    weights.push_back(law.view().weight_of(static_cast<decant::token>(i)));
  }
  return weights;
}

/// Some samplers' laws of one row.
std::vector<std::vector<float>> laws_here() {
  std::vector<float> row(4099);
  std::uint32_t state = 1;
  for (float& logit : row) {
    state = state * 1664525u + 1013904223u;
    logit = static_cast<float>(state >> 16) / 4096.0f - 8.0f;
  }
  return {law_of(decant::llama_cpp_order(), row), law_of(decant::vllm_order({.temperature = 0.9f, .top_p = 0.9f}), row),
          law_of(decant::make_sampler(decant::temperature{1.3f}), row)};
}

}  // namespace

#endif
