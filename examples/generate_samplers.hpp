// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the sampler, in the order and with the definitions of one of three engines.
#ifndef DECANT_EXAMPLES_GENERATE_SAMPLERS_HPP
#define DECANT_EXAMPLES_GENERATE_SAMPLERS_HPP

#include "generate_console.hpp"
#include "generate_model.hpp"
#include "generate_options.hpp"

#include <decant/sample/any_sampler.hpp>
#include <decant/sample/presets.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace generate_program {

/// The settings that not every order has, with the orders that have them.
struct ordered_setting {
  std::string_view option;
  bool given;
  std::string_view orders;
};

/// Refuses settings that the order would ignore.
inline void check_sampler(const options& chosen) {
  const sampler_options& s = chosen.sampler;
  const ordered_setting settings[] = {{"--typical", s.typical.has_value(), "llama.cpp hf"},
                                      {"--top-n-sigma", s.top_n_sigma.has_value(), "llama.cpp"},
                                      {"--xtc", s.xtc.has_value(), "llama.cpp"},
                                      {"--dynamic-temperature", s.temperature_range.has_value(), "llama.cpp"},
                                      {"--dry", s.dry.has_value(), "llama.cpp"},
                                      {"--penalty-window", s.penalty_window.has_value(), "llama.cpp"},
                                      {"--adaptive-p", s.adaptive_p.has_value(), "llama.cpp"},
                                      {"--mirostat", s.mirostat != 0, "llama.cpp"},
                                      {"--epsilon", s.epsilon.has_value(), "hf"},
                                      {"--eta", s.eta.has_value(), "hf"},
                                      {"--no-repeat-ngram", s.no_repeat_ngram.has_value(), "hf"},
                                      {"--min-tokens", s.min_tokens.has_value(), "hf vllm"},
                                      {"--frequency-penalty", s.frequency_penalty.has_value(), "llama.cpp vllm"},
                                      {"--presence-penalty", s.presence_penalty.has_value(), "llama.cpp vllm"}};
  for (const ordered_setting& each : settings) {
    if (each.given && each.orders.find(s.order) == std::string_view::npos) {
      throw refusal(
          fmt::format("{} is no part of --sampler-order {}; those with it: {}", each.option, s.order, each.orders));
    }
  }
}

/// The texts that end a repetition for DRY, as this model's tokens.
inline decant::sequence_breakers usual_breakers(const loaded_model& model) {
  constexpr std::string_view texts[] = {"\n", ":", "\"", "*"};
  const auto text_of = [&model](decant::token t) {
    const std::span<const char> bytes = model.words.token_bytes(t);
    return std::string_view(bytes.data(), bytes.size());
  };
  const auto tokenize = [&model](std::string_view text) {
    return model.words.encode(text, decant::sequence_marks::leave_out).value_or_throw();
  };
  return decant::sequence_breakers::from_texts(texts, model.network.vocab_size(), text_of, tokenize);
}

inline std::vector<decant::token> ends_of(const loaded_model& model) {
  const decant::token_span ends = model.words.words().end_of_generation();
  return {ends.begin(), ends.end()};
}

/// The settings that every order has.
template <class Settings>
void set_usual(Settings& made, const options& chosen, float temperature) {
  made.temperature = temperature;
  made.top_k = chosen.top_k;
  made.top_p = chosen.top_p;
  made.min_p = chosen.min_p;
}

inline decant::llama_cpp_settings llama_cpp_settings_of(const options& chosen, float temperature,
                                                        const loaded_model& model) {
  const sampler_options& s = chosen.sampler;
  decant::llama_cpp_settings made;
  set_usual(made, chosen, temperature);
  made.dynatemp_range = s.temperature_range.value_or(0.0f);
  made.typ_p = s.typical.value_or(1.0f);
  made.top_n_sigma = s.top_n_sigma.value_or(-1.0f);
  made.xtc_probability = s.xtc.value_or(0.0f);
  made.xtc_threshold = s.xtc_threshold;
  made.penalty_last_n = s.penalty_window.value_or(made.penalty_last_n);
  made.penalty_repeat = s.repeat_penalty.value_or(1.0f);
  made.penalty_freq = s.frequency_penalty.value_or(0.0f);
  made.penalty_present = s.presence_penalty.value_or(0.0f);
  made.dry_multiplier = s.dry.value_or(0.0f);
  if (s.dry) made.dry_sequence_breakers = usual_breakers(model);
  made.adaptive_target = s.adaptive_p.value_or(-1.0f);
  made.mirostat_tau = s.mirostat_tau;
  made.mirostat_eta = s.mirostat_eta;
  made.seed = chosen.seed;
  return made;
}

inline decant::hf_settings hf_settings_of(const options& chosen, float temperature, const loaded_model& model) {
  const sampler_options& s = chosen.sampler;
  decant::hf_settings made;
  set_usual(made, chosen, temperature);
  made.typical_p = s.typical.value_or(1.0f);
  made.epsilon_cutoff = s.epsilon.value_or(0.0f);
  made.eta_cutoff = s.eta.value_or(0.0f);
  made.repetition_penalty = s.repeat_penalty.value_or(1.0f);
  made.no_repeat_ngram_size = s.no_repeat_ngram.value_or(0);
  made.min_new_tokens = s.min_tokens.value_or(0);
  made.eos_token_id = ends_of(model);
  return made;
}

inline decant::vllm_settings vllm_settings_of(const options& chosen, float temperature, const loaded_model& model) {
  const sampler_options& s = chosen.sampler;
  decant::vllm_settings made;
  set_usual(made, chosen, temperature);
  made.repetition_penalty = s.repeat_penalty.value_or(1.0f);
  made.frequency_penalty = s.frequency_penalty.value_or(0.0f);
  made.presence_penalty = s.presence_penalty.value_or(0.0f);
  made.min_tokens = s.min_tokens.value_or(0);
  made.stop_token_ids = ends_of(model);
  return made;
}

/// The sampler at a temperature.
inline decant::any_sampler<> make_sampler(const options& chosen, float temperature, const loaded_model& model) {
  const auto checked = [](decant::any_sampler<> sampler) {
    sampler.check().value_or_throw();
    return sampler;
  };
  if (chosen.sampler.order == "hf") return checked(decant::hf_order(hf_settings_of(chosen, temperature, model)));
  if (chosen.sampler.order == "vllm") return checked(decant::vllm_order(vllm_settings_of(chosen, temperature, model)));
  decant::llama_cpp_settings settings = llama_cpp_settings_of(chosen, temperature, model);
  if (chosen.sampler.mirostat == 1) return checked(decant::llama_cpp_mirostat_1(std::move(settings)));
  if (chosen.sampler.mirostat == 2) return checked(decant::llama_cpp_mirostat_2(std::move(settings)));
  return checked(decant::llama_cpp_order(std::move(settings)));
}

}  // namespace generate_program

#endif
