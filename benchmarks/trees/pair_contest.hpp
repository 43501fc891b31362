// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tiny pair end to end: a real draft model behind every builder, whole texts, tokens per pass of the target.
#ifndef DECANT_BENCHMARKS_TREES_PAIR_CONTEST_HPP
#define DECANT_BENCHMARKS_TREES_PAIR_CONTEST_HPP

#include "contestants.hpp"
#include "study.hpp"

#include <decant/decode/generate.hpp>
#include <decant/decode/steady_clock.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/presets.hpp>

namespace trees {

class pair_contest {
 public:
  pair_contest(const std::string& target_file, const std::string& draft_file, const study_settings& settings)
      : settings_(settings), words_(load_words(target_file)), target_(load(target_file)), draft_(load(draft_file)) {}

  [[nodiscard]] static std::string name() { return "tiny pair"; }

  void run(cell_table& table) {
    for (const double temperature : settings_.temperatures) {
      for (const std::int32_t budget : settings_.budgets) {
        if (budget > largest_budget) continue;
        for (const contestant& one : all_contestants(budget, {})) run(one, budget, temperature, table);
      }
    }
  }

 private:
  static constexpr std::int32_t largest_budget = 64;
  static constexpr std::size_t tokens = 96;
  using sampler = decltype(make_sampler(temperature{}));

  void run(const contestant& one, std::int32_t budget, double temperature, cell_table& table) {
    for (const judge& by : all_judges()) {
      if (!one.fits(by)) continue;
      cell& out = table[{name(), temperature, budget, one.name, by.name}];
      double passes = 0;
      double drafted = 0;
      for (std::size_t i = 0; i < std::size(prompts); ++i) {
        const decode_statistics seen = decode(one, by, budget, temperature, i);
        out.tokens.push_back(seen.tokens_per_pass());
        passes += static_cast<double>(seen.passes);
        drafted += static_cast<double>(seen.drafted().proposed);
      }
      out.nodes = drafted / passes;
    }
  }

  [[nodiscard]] decode_statistics decode(const contestant& one, const judge& by, std::int32_t budget,
                                         double target_temperature, std::size_t prompt_number) {
    const std::vector<token> prompt = words_.encode(prompts[prompt_number]).value_or_throw();
    decode_options options;
    options.vocab_size = target_.vocab_size();
    options.context_size = target_.context_size();
    options.max_tokens = tokens;
    options.limits = {budget, settings_.depth};
    any_drafter<> drafter = model_drafter<reference_model&, any_builder<>, sampler>(
        draft_, one.builder, make_sampler(temperature{static_cast<float>(draft_temperature(one, target_temperature))}));
    speculation<any_drafter<>, any_verifier<>, sampler> machine(
        std::move(drafter), by.verifier, make_sampler(temperature{static_cast<float>(target_temperature)}),
        philox_chance{prompt_number + 1}, options);
    target_.truncate(0).value_or_throw();
    draft_.truncate(0).value_or_throw();
    (void)generate(target_, machine, prompt, generate_hooks{}, steady_clock{}).value_or_throw();
    return machine.statistics();
  }

  [[nodiscard]] static tokenizer load_words(const std::string& path) {
    return load_tokenizer(gguf_file::open(path.c_str()).value_or_throw()).value_or_throw();
  }
  [[nodiscard]] static reference_model load(const std::string& path) {
    return reference_model::load(path.c_str()).value_or_throw();
  }

  static constexpr const char* prompts[] = {
      "It was a",           "She had been",      "My dear Emma",     "The carriage was",
      "Mr. Knightley said", "There could be no", "He looked at her", "Elinor was",
      "The evening",        "I am sure that",    "When they had",    "Her mother had",
      "The letter was",     "Nothing could",     "Anne was",         "They walked",
  };

  const study_settings& settings_;
  tokenizer words_;
  reference_model target_;
  reference_model draft_;
};

}  // namespace trees

#endif
