// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The sampler chains of three engines, in their order and with their defaults. The same numbers keep different tokens
// in them, because temperature comes last in llama.cpp and before the truncations in Hugging Face and vLLM: logits
// (3, 2, 1), top-p 0.8 and temperature 0.5 keep {0, 1} in the former and {0} in the latter.
// What differs from the engines in all three: ties are always broken by id (top-k keeps exactly k), and the penalties
// count every token the state was advanced over, so vLLM's "output only" for frequency and presence needs a state that
// begins after the prompt.
// Sources: ggml-org/llama.cpp common/sampling.cpp; huggingface/transformers generation; vllm-project/vllm v1/sample.
#ifndef DECANT_SAMPLE_PRESETS_HPP
#define DECANT_SAMPLE_PRESETS_HPP

#include <decant/sample/logit_bias.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/sampler.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>

namespace decant::inline DECANT_ABI {

/// Parameters with llama.cpp's names and defaults.
struct llama_cpp_settings {
  float temperature = 0.8f;
  std::int32_t top_k = 40;
  float top_p = 0.95f;
  float min_p = 0.05f;
  std::size_t min_keep = 1;
  std::int32_t penalty_last_n = 64;
  float penalty_repeat = 1.0f;
  float penalty_freq = 0.0f;
  float penalty_present = 0.0f;
  std::vector<biased_token> logit_bias{};
};

using llama_cpp_sampler = sampler_chain<logit_bias, penalties, top_k, top_p, min_p, temperature>;

/// llama.cpp: logit bias, penalties, top-k, top-p, min-p, temperature.
[[nodiscard]] inline llama_cpp_sampler llama_cpp_order(llama_cpp_settings settings = {}) {
  return make_sampler(
      logit_bias{std::move(settings.logit_bias)},
      penalties{settings.penalty_repeat, settings.penalty_freq, settings.penalty_present, settings.penalty_last_n},
      top_k{settings.top_k, settings.min_keep}, top_p{settings.top_p, settings.min_keep},
      min_p{settings.min_p, settings.min_keep}, temperature{settings.temperature});
}

/// Parameters with Hugging Face's names and defaults; a temperature of 0 stands for do_sample=False.
struct hf_settings {
  float temperature = 1.0f;
  std::int32_t top_k = 50;
  float top_p = 1.0f;
  float min_p = 0.0f;
  std::size_t min_tokens_to_keep = 1;
  float repetition_penalty = 1.0f;
  std::vector<biased_token> sequence_bias{};  ///< of single tokens
};

using hf_sampler = sampler_chain<logit_bias, penalties, temperature, top_k, top_p, min_p>;

/// Hugging Face transformers: bias, repetition penalty over the whole sequence, temperature, top-k, top-p, min-p.
[[nodiscard]] inline hf_sampler hf_order(hf_settings settings = {}) {
  return make_sampler(
      logit_bias{std::move(settings.sequence_bias)}, penalties{settings.repetition_penalty, 0.0f, 0.0f, -1},
      temperature{settings.temperature}, top_k{settings.top_k, settings.min_tokens_to_keep},
      top_p{settings.top_p, settings.min_tokens_to_keep}, min_p{settings.min_p, settings.min_tokens_to_keep});
}

/// Parameters with vLLM's names and defaults.
struct vllm_settings {
  float temperature = 1.0f;
  std::int32_t top_k = 0;
  float top_p = 1.0f;
  float min_p = 0.0f;
  float repetition_penalty = 1.0f;
  float frequency_penalty = 0.0f;
  float presence_penalty = 0.0f;
  std::vector<biased_token> logit_bias{};
};

using vllm_sampler = sampler_chain<logit_bias, penalties, temperature, min_p, top_k, top_p>;

/// vLLM: logit bias, penalties over the whole sequence, temperature (below 1e-5 greedy), min-p, top-k, top-p.
[[nodiscard]] inline vllm_sampler vllm_order(vllm_settings settings = {}) {
  constexpr float greedy_below = 1e-5f;
  const float used_temperature = settings.temperature < greedy_below ? 0.0f : settings.temperature;
  return make_sampler(logit_bias{std::move(settings.logit_bias)},
                      penalties{settings.repetition_penalty, settings.frequency_penalty, settings.presence_penalty, -1},
                      temperature{used_temperature}, min_p{settings.min_p}, top_k{settings.top_k},
                      top_p{settings.top_p});
}

static_assert(Sampler<llama_cpp_sampler> && Sampler<hf_sampler> && Sampler<vllm_sampler>);

}  // namespace decant::inline DECANT_ABI

#endif
