// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The promise of the library on a real model: with prompt lookup the text is, token by token, that of plain decoding,
// greedily and with a seed. On a few prompts of the repository always, on twenty real ones where ../shared/data has
// them.
#include <decant/decode/generate.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/reference/chat.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/presets.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>

#include "tests/support/everyday_model.hpp"
#include "tests/support/test_kit.hpp"

#include <fstream>
#include <string>
#include <vector>

#if __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#endif

namespace {

using namespace decant;

constexpr std::size_t emitted = 32;
constexpr std::size_t longest_prompt = 320;  // longer ones are cut: what is tested is the decoding

struct real_model {
  tokenizer words;
  reference_model network;
};

real_model load(const std::string& path) {
  const gguf_file file = gguf_file::open(path.c_str()).value_or_throw();
  reference_options options;
  options.context = 1024;
  return {load_tokenizer(file).value_or_throw(), reference_model::load(file, options).value_or_throw()};
}

std::vector<token> encode(const real_model& model, const std::string& message) {
  const auto style = recognise_chat_template("<|im_start|> <|im_end|>");
  REQUIRE(style);
  const std::vector<chat_message> messages{{chat_role::user, message}};
  std::vector<token> prompt = model.words.encode(write_chat(*style, messages, "<|im_end|>")).value_or_throw();
  prompt.resize(std::min(prompt.size(), longest_prompt));
  return prompt;
}

struct decoded {
  std::vector<token> text;
  double tokens_per_pass;
};

/// Decodes on a model that already holds the prompt, if it has been asked about it before.
template <class Drafter, class Verifier, class S>
decoded decode(real_model& model, const std::vector<token>& prompt, Drafter drafter, Verifier verifier, S sampler) {
  decode_options options;
  options.vocab_size = model.network.vocab_size();
  options.context_size = model.network.context_size();
  options.max_tokens = emitted;
  const token_span ends = model.words.words().end_of_generation();
  options.end_of_sequence.assign(ends.begin(), ends.end());
  speculation machine(std::move(drafter), verifier, std::move(sampler), philox_chance{20}, options);
  machine.begin(prompt).value_or_throw();
  model.network.truncate(std::min(model.network.length(), prompt.size() - 1)).value_or_throw();
  (void)resume(model.network, machine).value_or_throw();
  const token_span text = machine.context().subspan(prompt.size());
  return {{text.begin(), text.end()}, machine.statistics().tokens_per_pass()};
}

/// Both identities on one prompt. Returns the tokens per pass of the drafted greedy run.
double check_identity(real_model& model, const std::string& message) {
  const std::vector<token> prompt = encode(model, message);
  CAPTURE(message.substr(0, 60));
  model.network.truncate(0).value_or_throw();

  const decoded greedy_text = decode(model, prompt, prompt_lookup{}, greedy{}, sampler_chain<>{});
  const decoded plain_greedy = decode(model, prompt, no_drafter{}, greedy{}, sampler_chain<>{});
  CHECK(greedy_text.text == plain_greedy.text);

  const auto sampler = llama_cpp_order();
  const decoded seeded = decode(model, prompt, prompt_lookup{}, match{}, sampler);
  const decoded plain_seeded = decode(model, prompt, no_drafter{}, match{}, sampler);
  CHECK(seeded.text == plain_seeded.text);
  CHECK(plain_greedy.tokens_per_pass == 1.0);
  return greedy_text.tokens_per_pass;
}

#if __has_include(<nlohmann/json.hpp>)
/// The first turn of every fifth prompt of the shared file, twenty at most.
std::vector<std::string> real_prompts() {
  std::vector<std::string> prompts;
  std::ifstream file(std::string(DECANT_SHARED_DATA_DIR) + "/spec-bench-dev.jsonl");
  std::size_t number = 0;
  for (std::string line; std::getline(file, line) && prompts.size() < 20; ++number) {
    if (number % 5 == 0) prompts.push_back(nlohmann::json::parse(line).at("turns").at(0).get<std::string>());
  }
  return prompts;
}
#endif

}  // namespace

TEST_CASE("identity: lookup drafting on the everyday model gives the text of plain decoding") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  real_model model = load(*path);
  const double copying =
      check_identity(model, "Repeat this sentence three times: The quick brown fox jumps over the lazy dog.");
  check_identity(model, "Why is the sky blue?");
  check_identity(model, "Write a list of ten animals, one on each line.");
  CHECK(copying > 1.1);
}

#if __has_include(<nlohmann/json.hpp>)
TEST_CASE("identity: lookup drafting on twenty real prompts gives the text of plain decoding") {
  const auto path = decant_test::everyday_model_path();
  if (!path) DECANT_SKIP(decant_test::everyday_model_missing);
  const std::vector<std::string> prompts = real_prompts();
  if (prompts.empty()) DECANT_SKIP("there are no shared prompts beside the project");
  REQUIRE(prompts.size() == 20);
  real_model model = load(*path);
  for (const std::string& prompt : prompts) check_identity(model, prompt);
}
#endif
