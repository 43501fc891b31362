// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The main job: text from a GGUF file with speculative decoding, streamed, exact, and measured.
//
//   generate --model FILE --chat --prompt "Why is the sky blue?" --compare
//
// What drafts, how its trees look and who verifies them is chosen by name; a pairing that would break the law is
// refused with a sentence. How much is drafted follows from what passes cost on this machine, which is measured once.
#include "generate_decoder.hpp"
#include "generate_report.hpp"

#include <decant/decode/generate.hpp>
#include <decant/decode/text_output.hpp>
#include <decant/reference/text_stream.hpp>

#include <csignal>
#include <cstdio>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace generate_program;

struct silent_hooks : decant::generate_hooks {
  [[nodiscard]] bool cancelled() const { return interrupted != 0; }
};

/// Writes the text as it comes, and how far it is where the text itself cannot be seen.
class console_hooks : public silent_hooks {
 public:
  console_hooks(const decant::tokenizer& words, std::size_t most_tokens)
      : most_tokens_(most_tokens), output_(decant::token_bytes::from(words)) {}

  void on_step(const decant::decode_step& step) {
    prompt_.clear();
    const std::span<const char> ready = output_.add(step);
    write_text(stream_.push(std::string_view(ready.data(), ready.size())));
    generated_ += step.tokens.size();
    if (!text_is_seen_) generation_(generated_, most_tokens_);
    for (std::size_t i = 0; i < step.log_probabilities.size(); ++i) {
      const auto best = step.alternatives_of(i);
      scores_.push_back({step.tokens[i], step.log_probabilities[i], {best.begin(), best.end()}});
    }
  }
  void on_prefill(std::size_t done, std::size_t total) { prompt_(done, total); }

  void finish() {
    prompt_.clear();
    generation_.clear();
    write_text(stream_.finish());
    write_text("\n");
  }
  [[nodiscard]] std::span<const scored_token> scores() const noexcept { return scores_; }

 private:
  std::size_t most_tokens_;
  std::size_t generated_ = 0;
  bool text_is_seen_ = ::isatty(STDOUT_FILENO) != 0;
  progress_bar prompt_{"Reading the prompt"};
  progress_bar generation_{"Generating"};
  decant::text_output output_;
  decant::text_stream stream_;
  std::vector<scored_token> scores_;
};

template <class Machine, class Hooks>
outcome decode(loaded_model& model, Machine& decoder, decant::token_span prompt, Hooks& hooks) {
  const decant::finish_reason finish =
      decant::generate(model.network, decoder, prompt, hooks, decant::steady_clock{}).value_or_throw();
  const decant::token_span text = decoder.context().subspan(prompt.size());
  return {{text.begin(), text.end()}, finish, decoder.statistics(), decoder.promise()};
}

/// Decodes, streams, and prints the figures.
template <class Trace>
outcome run(const options& chosen, const decoder_parts& parts, decant::token_span prompt, Trace trace) {
  auto decoder = make_machine(chosen, parts, std::move(trace));
  console_hooks console(parts.target.words, chosen.tokens);
  outcome ended = decode(parts.target, decoder, prompt, console);
  console.finish();
  print_scores(console.scores(), parts.target.words);
  print_summary(chosen, ended, prompt.size());
  if (chosen.stats) print_details(chosen, ended.figures);
  if (chosen.stats) print_costs(parts);
  return ended;
}

outcome run_with_trace(const options& chosen, const decoder_parts& parts, decant::token_span prompt, std::FILE* file) {
  const auto sink = [file](std::span<const char> line) { std::fwrite(line.data(), 1, line.size(), file); };
  outcome ended = run(chosen, parts, prompt, decant::json_trace(sink));
  if (std::fflush(file) != 0 || std::ferror(file) != 0) {
    throw refusal(fmt::format("the trace cannot be written to {}", *chosen.trace));
  }
  return ended;
}

/// The same prompt without drafts and with the verifier that says what the text should be.
outcome run_plainly(options chosen, const decoder_parts& parts, decant::token_span prompt) {
  chosen.draft = "none";
  if (!is_drafter_invariant(chosen)) chosen.verifier = "auto";
  auto decoder = make_machine(chosen, parts, decant::no_trace{});
  silent_hooks hooks;
  return decode(parts.target, decoder, prompt, hooks);
}

/// Loads what drafts, refuses parts that do not fit together, and only then measures.
decoder_parts prepare(const options& chosen, loaded_model& target, std::optional<loaded_model>& draft) {
  decoder_parts parts{target, nullptr, {}, {}, rows_for_judge(target)};
  if (const std::string path = chosen.draft_model(); !path.empty()) {
    draft.emplace(load_model(path, chosen.threads, 0, chosen.cache_weights));
    check_same_vocabulary(target, *draft);
    parts.draft = &*draft;
  }
  check_parts(chosen, parts);
  if (verifier_name(chosen) == "judge") keep_rows_for_judge(target);
  if (!chosen.paces()) return parts;
  parts.target_costs = costs_of(target, chosen);
  if (parts.draft != nullptr) parts.draft_costs = costs_of(*draft, chosen);
  return parts;
}

constexpr int exit_differs = 1;
constexpr int exit_mistake = 2;
constexpr int exit_interrupted = 130;

int run_program(const options& chosen) {
  loaded_model target = load_model(chosen.model, chosen.threads, chosen.context, chosen.cache_weights);
  const std::vector<decant::token> prompt = encode_prompt(chosen, target);
  const owned_file trace = chosen.trace ? open_file(*chosen.trace, "wb") : nullptr;
  const owned_file json = chosen.json ? open_file(*chosen.json, "wb") : nullptr;
  std::optional<loaded_model> draft;
  const decoder_parts parts = prepare(chosen, target, draft);
  std::signal(SIGINT, on_interrupt);
  comparison both{{}, {}, is_drafter_invariant(chosen)};
  both.drafted =
      trace ? run_with_trace(chosen, parts, prompt, trace.get()) : run(chosen, parts, prompt, decant::no_trace{});
  const bool compares = chosen.compare && interrupted == 0;
  if (compares) both.plain = run_plainly(chosen, parts, prompt);
  const bool compared = compares && interrupted == 0;
  if (compared) print_comparison(chosen, both);
  if (compares && !compared) fmt::print(stderr, "compare    interrupted\n");
  if (json) write_file(json.get(), *chosen.json, figures_as_json(chosen, prompt.size(), both, compared));
  if (interrupted != 0) return exit_interrupted;
  return compared && !both.identical() && both.must_be_identical() ? exit_differs : 0;
}

}  // namespace

int main(int argc, char** argv) {
  options chosen;
  if (const auto status = read_command_line(argc, argv, chosen)) return *status;
  try {
    return run_program(chosen);
  } catch (const std::bad_alloc&) {
    complain("there is not enough memory");
  } catch (const std::exception& failure) {
    complain(failure.what());
  }
  return exit_mistake;
}
