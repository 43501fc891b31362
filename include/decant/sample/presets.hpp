// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The sampler chains of three engines, in their order, with their names and defaults, and with their definitions where
// these decide what is kept. The same numbers keep different tokens in them, because temperature comes last in
// llama.cpp and before the truncations in Hugging Face and vLLM: logits (3, 2, 1), top-p 0.8 and temperature 0.5 keep
// {0, 1} in the former and {0} in the latter.
// Reproduced: exactly k tokens in llama.cpp's top-k, all that tie with the k-th in the other two; more than p in
// llama.cpp's typical, at least p in Hugging Face's; the tokens that count for each penalty.
// What differs from the engines: ties elsewhere are broken by id, and sums are in double; a step that would keep
// nothing keeps the best. Banned tokens take no part in anything; in llama.cpp one makes the entropy of typical NaN,
// and they count as candidates in dynamic temperature and for XTC's min_keep. Of llama.cpp's edges a temperature of 0
// with a range is greedy here, a DRY window below 0 the whole text, and mirostat's size is never NaN or beyond its
// integer. Where an engine tells the output from the prompt, the output is what follows the last `begin_output`
// (sampler.hpp). Sources: ggml-org/llama.cpp common/sampling.cpp; huggingface/transformers generation;
// vllm-project/vllm v1/sample.
#ifndef DECANT_SAMPLE_PRESETS_HPP
#define DECANT_SAMPLE_PRESETS_HPP

#include <decant/sample/adaptive_p.hpp>
#include <decant/sample/banned_tokens.hpp>
#include <decant/sample/dry.hpp>
#include <decant/sample/dynamic_temperature.hpp>
#include <decant/sample/epsilon_cutoff.hpp>
#include <decant/sample/eta_cutoff.hpp>
#include <decant/sample/logit_bias.hpp>
#include <decant/sample/min_length.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/mirostat_v1.hpp>
#include <decant/sample/mirostat_v2.hpp>
#include <decant/sample/no_repeat_ngram.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/sequence_bias.hpp>
#include <decant/sample/suppress_at_begin.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_n_sigma.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/sample/typical.hpp>
#include <decant/sample/xtc.hpp>

namespace decant::inline DECANT_ABI {

/// Parameters with llama.cpp's names and defaults; `min_keep` 0 is its 1.
struct llama_cpp_settings {
  float temperature = 0.8f;
  float dynatemp_range = 0.0f;
  float dynatemp_exponent = 1.0f;
  std::int32_t top_k = 40;
  float top_p = 0.95f;
  float min_p = 0.05f;
  float typ_p = 1.0f;
  float top_n_sigma = -1.0f;
  float xtc_probability = 0.0f;
  float xtc_threshold = 0.1f;
  std::size_t min_keep = 1;
  std::int32_t penalty_last_n = 64;
  float penalty_repeat = 1.0f;
  float penalty_freq = 0.0f;
  float penalty_present = 0.0f;
  float dry_multiplier = 0.0f;
  float dry_base = 1.75f;
  std::int32_t dry_allowed_length = 2;
  std::int32_t dry_penalty_last_n = 64;
  sequence_breakers dry_sequence_breakers{};  ///< of "\n", ":", "\"" and "*" with the tokenizer at hand
  float adaptive_target = -1.0f;
  float adaptive_decay = 0.9f;
  float mirostat_tau = 5.0f;  ///< of the mirostat chains only
  float mirostat_eta = 0.1f;
  std::vector<biased_token> logit_bias{};
  std::uint64_t seed = 0;      ///< of the coins of XTC
  std::uint32_t sequence = 0;  ///< likewise
};

using llama_cpp_sampler = sampler_chain<logit_bias, penalties, dry, top_n_sigma, top_k, typical, top_p, min_p, xtc,
                                        dynamic_temperature, adaptive_p>;

/// llama.cpp: logit bias, penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature; adaptive-p,
/// which is always last, when `adaptive_target` is not negative.
[[nodiscard]] inline llama_cpp_sampler llama_cpp_order(llama_cpp_settings settings = {}) {
  const std::size_t min_keep = std::max<std::size_t>(settings.min_keep, 1);
  return make_sampler(
      logit_bias{std::move(settings.logit_bias)},
      penalties{settings.penalty_repeat, settings.penalty_freq, settings.penalty_present, settings.penalty_last_n},
      dry{settings.dry_multiplier, settings.dry_base, settings.dry_allowed_length, settings.dry_penalty_last_n,
          std::move(settings.dry_sequence_breakers)},
      top_n_sigma{settings.top_n_sigma}, top_k{settings.top_k},
      typical{.p = settings.typ_p, .min_keep = min_keep, .more_than_p = true}, top_p{settings.top_p, min_keep},
      min_p{settings.min_p, min_keep},
      xtc{settings.xtc_probability, settings.xtc_threshold, min_keep, settings.seed, settings.sequence},
      dynamic_temperature{settings.temperature, settings.dynatemp_range, settings.dynatemp_exponent},
      adaptive_p{settings.adaptive_target, settings.adaptive_decay});
}

using llama_cpp_mirostat_1_sampler = sampler_chain<logit_bias, temperature, mirostat_v1>;
using llama_cpp_mirostat_2_sampler = sampler_chain<logit_bias, temperature, mirostat_v2>;

/// llama.cpp with mirostat 1: logit bias, temperature, mirostat with m = 100. Penalties, DRY and all truncations of the
/// settings are left out, as that engine does without a word.
[[nodiscard]] inline llama_cpp_mirostat_1_sampler llama_cpp_mirostat_1(llama_cpp_settings settings = {}) {
  return make_sampler(logit_bias{std::move(settings.logit_bias)}, temperature{settings.temperature},
                      mirostat_v1{settings.mirostat_tau, settings.mirostat_eta, 100});
}
/// llama.cpp with mirostat 2: logit bias, temperature, mirostat; see above.
[[nodiscard]] inline llama_cpp_mirostat_2_sampler llama_cpp_mirostat_2(llama_cpp_settings settings = {}) {
  return make_sampler(logit_bias{std::move(settings.logit_bias)}, temperature{settings.temperature},
                      mirostat_v2{settings.mirostat_tau, settings.mirostat_eta});
}

/// Parameters with Hugging Face's names and defaults; a temperature of 0 stands for do_sample=False. Guidance, which
/// comes first there, is a rule of two rows (guidance.hpp).
struct hf_settings {
  float temperature = 1.0f;
  std::int32_t top_k = 50;
  float top_p = 1.0f;
  float min_p = 0.0f;
  float typical_p = 1.0f;
  float epsilon_cutoff = 0.0f;
  float eta_cutoff = 0.0f;
  std::size_t min_tokens_to_keep = 1;
  float repetition_penalty = 1.0f;
  std::int32_t no_repeat_ngram_size = 0;
  std::size_t min_length = 0;
  std::size_t min_new_tokens = 0;
  std::vector<token> eos_token_id{};
  std::vector<token> suppress_tokens{};
  std::vector<token> begin_suppress_tokens{};
  std::vector<std::vector<token>> bad_words_ids{};
  std::vector<biased_sequence> sequence_bias{};
};

using hf_sampler =
    sampler_chain<sequence_bias, penalties, no_repeat_ngram, sequence_bias, min_length, min_length, banned_tokens,
                  suppress_at_begin, temperature, top_k, top_p, min_p, typical, epsilon_cutoff, eta_cutoff>;

/// Hugging Face transformers: sequence bias, repetition penalty over the whole sequence, no-repeat n-gram, bad words,
/// minimum length and number of new tokens, suppressed tokens (everywhere and at the beginning of the output),
/// temperature, top-k, top-p, min-p, typical, epsilon, eta.
[[nodiscard]] inline hf_sampler hf_order(hf_settings settings = {}) {
  const std::size_t min_keep = settings.min_tokens_to_keep;
  return make_sampler(
      sequence_bias{std::move(settings.sequence_bias)}, penalties{settings.repetition_penalty, 0.0f, 0.0f, -1},
      no_repeat_ngram{settings.no_repeat_ngram_size}, bad_words(std::move(settings.bad_words_ids)),
      min_length{settings.min_length, settings.eos_token_id},
      min_length{settings.min_new_tokens, settings.eos_token_id, true},
      banned_tokens{std::move(settings.suppress_tokens)}, suppress_at_begin{std::move(settings.begin_suppress_tokens)},
      temperature{settings.temperature}, top_k{settings.top_k, min_keep, true}, top_p{settings.top_p, min_keep},
      min_p{settings.min_p, min_keep}, typical{settings.typical_p, min_keep},
      epsilon_cutoff{settings.epsilon_cutoff, min_keep}, eta_cutoff{settings.eta_cutoff, min_keep});
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
  std::size_t min_tokens = 0;
  std::vector<token> stop_token_ids{};  ///< the end of sequence among them; for `min_tokens`
  std::vector<token> allowed_token_ids{};
  std::vector<std::vector<token>> bad_words{};  ///< as tokens
  std::vector<biased_token> logit_bias{};
};

using vllm_sampler = sampler_chain<allowed_tokens, sequence_bias, min_length, logit_bias, penalties, penalties,
                                   temperature, min_p, top_k, top_p>;

/// vLLM: allowed tokens, bad words and minimum number of tokens of the output, logit bias, repetition penalty over the
/// whole sequence, frequency and presence penalties over the output, temperature (below 1e-5 greedy), min-p, top-k,
/// top-p.
[[nodiscard]] inline vllm_sampler vllm_order(vllm_settings settings = {}) {
  constexpr float greedy_below = 1e-5f;
  const float used_temperature = settings.temperature < greedy_below ? 0.0f : settings.temperature;
  return make_sampler(
      allowed_tokens{std::move(settings.allowed_token_ids)}, bad_words(std::move(settings.bad_words), true),
      min_length{settings.min_tokens, std::move(settings.stop_token_ids), true},
      logit_bias{std::move(settings.logit_bias)}, penalties{settings.repetition_penalty, 0.0f, 0.0f, -1},
      penalties{.frequency = settings.frequency_penalty,
                .presence = settings.presence_penalty,
                .last_n = -1,
                .output_only = true},
      temperature{used_temperature}, min_p{settings.min_p}, top_k{settings.top_k, 1, true}, top_p{settings.top_p});
}

static_assert(Sampler<llama_cpp_sampler> && Sampler<hf_sampler> && Sampler<vllm_sampler>);
static_assert(LearningSampler<llama_cpp_mirostat_1_sampler> && LearningSampler<llama_cpp_mirostat_2_sampler>);

}  // namespace decant::inline DECANT_ABI

#endif
