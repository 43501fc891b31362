// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contexts for the study of a real model: prompts in Spec-Bench's format, each answered by the model itself for a few
// tokens, at temperature 1.
#ifndef DECANT_BENCHMARKS_TREES_TEXT_SITES_HPP
#define DECANT_BENCHMARKS_TREES_TEXT_SITES_HPP

#include <decant/decode/generate.hpp>
#include <decant/decode/steady_clock.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/reference/chat.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/presets.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/verify/match.hpp>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace trees {

class text_sites {
 public:
  static constexpr std::size_t longest_prompt = 256;

  text_sites(const std::string& model_file, const std::string& prompt_file, std::size_t count)
      : file_(gguf_file::open(model_file.c_str()).value_or_throw()),
        words_(load_tokenizer(file_).value_or_throw()),
        format_(recognise_chat_template(
                    file_.get_or<std::string_view>("tokenizer.chat_template", std::string_view()).value_or_throw())
                    .value_or_throw()),
        model_(reference_model::load(file_, {}).value_or_throw()) {
    std::ifstream lines(prompt_file);
    if (!lines) throw std::runtime_error("the prompts " + prompt_file + " cannot be read");
    std::vector<std::string> prompts;
    for (std::string line; std::getline(lines, line);) {
      prompts.push_back(nlohmann::json::parse(line).at("turns").at(0).get<std::string>());
    }
    // Spread over the file, that is over its categories.
    for (std::size_t i = 0; i < prompts.size() && contexts_.size() < count; ++i) {
      add_site(prompts[i * 37 % prompts.size()], contexts_.size());
    }
    if (contexts_.size() < 2) throw std::runtime_error("the file " + prompt_file + " holds too few short prompts");
  }

  [[nodiscard]] reference_model& model() noexcept { return model_; }
  [[nodiscard]] const std::vector<std::vector<token>>& contexts() const noexcept { return contexts_; }

 private:
  void add_site(const std::string& prompt, std::size_t number) {
    std::vector<token> context =
        words_.encode(write_chat(format_, std::vector<chat_message>{{chat_role::user, prompt}}, words_.words()))
            .value_or_throw();
    if (context.size() > longest_prompt) return;
    decode_options options;
    options.vocab_size = model_.vocab_size();
    options.context_size = model_.context_size();
    options.max_tokens = 4 + 3 * (number % 16);
    speculation machine(no_drafter{}, match{}, make_sampler(top_k{64}, temperature{1.0F}), philox_chance{number},
                        options);
    model_.truncate(0).value_or_throw();
    (void)generate(model_, machine, context, generate_hooks{}, steady_clock{}).value_or_throw();
    contexts_.emplace_back(machine.context().begin(), machine.context().end());
  }

  gguf_file file_;
  tokenizer words_;
  chat_template format_;
  reference_model model_;
  std::vector<std::vector<token>> contexts_;
};

}  // namespace trees

#endif
