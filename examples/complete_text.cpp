// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model file, speculation, and text as it comes, in ten lines: complete_text MODEL.gguf PROMPT
#include <decant/decode/generate.hpp>
#include <decant/decode/text_output.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/verify/greedy.hpp>

#include <cstdio>
#include <exception>
#include <vector>

namespace {

// [complete]
struct printer : decant::generate_hooks {
  explicit printer(const decant::tokenizer& words) : text(decant::token_bytes::from(words)) {}
  void on_step(const decant::decode_step& step) {
    const std::span<const char> ready = text.add(step);
    std::fwrite(ready.data(), 1, ready.size(), stdout);
  }
  decant::text_output text;
};

void complete(const char* path, const char* prompt) {
  const auto file = decant::gguf_file::open(path).value_or_throw();
  const auto words = decant::load_tokenizer(file).value_or_throw();
  auto model = decant::reference_model::load(file).value_or_throw();
  decant::decode_options options{model.vocab_size(), model.context_size(), 64};
  options.end_of_sequence.assign(words.words().end_of_generation().begin(), words.words().end_of_generation().end());
  decant::speculation machine(decant::prompt_lookup{}, decant::greedy{}, decant::sampler_chain<>{},
                              decant::philox_chance{}, options);
  const std::vector<decant::token> tokens = words.encode(prompt).value_or_throw();
  const auto end = decant::generate(model, machine, tokens, printer(words)).value_or_throw();
  std::printf("\n%.2f tokens per pass, ended by: %s\n", machine.statistics().tokens_per_pass(), decant::name(end));
}
// [/complete]

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: complete_text MODEL.gguf [PROMPT]\n");
    return 2;
  }
  try {
    complete(argv[1], argc == 3 ? argv[2] : "The old man looked at the door and said");
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "complete_text: %s\n", failure.what());
    return 2;
  }
}
