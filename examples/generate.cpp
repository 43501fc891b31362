// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The main job: text from a GGUF file with speculative decoding, streamed, exact, and measured.
//
//   generate --model FILE --chat --prompt "Why is the sky blue?" --compare
#include "generate_options.hpp"

#include <decant/decode/generate.hpp>
#include <decant/decode/steady_clock.hpp>
#include <decant/decode/text_output.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/reference/chat.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/text_stream.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using generate_program::complain;
using generate_program::options;

using target_sampler =
    decltype(decant::make_sampler(decant::top_k{}, decant::top_p{}, decant::min_p{}, decant::temperature{}));
template <class Trace>
using machine = decant::speculation<decant::any_drafter<>, decant::any_verifier<>, target_sampler,
                                    decant::philox_chance, float, Trace>;

/// A mistake of the user's, as a sentence.
struct refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// --- Ctrl-C ---

volatile std::sig_atomic_t interrupted = 0;

/// The first Ctrl-C asks the loop to end, a second one kills the program.
extern "C" void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);
}

// --- Standard streams and files ---

struct file_closer {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using owned_file = std::unique_ptr<std::FILE, file_closer>;

owned_file open_file(const std::string& path, const char* mode) {
  owned_file file(std::fopen(path.c_str(), mode));
  if (!file) throw refusal(fmt::format("the file {} cannot be opened", path));
  return file;
}

std::string read_all(std::FILE* file, const std::string& name) {
  std::string text;
  char block[65536];
  for (std::size_t size = 0; (size = std::fread(block, 1, sizeof block, file)) > 0;) text.append(block, size);
  if (std::ferror(file) != 0) throw refusal(fmt::format("{} cannot be read", name));
  return text;
}

void write_text(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) throw refusal("the text cannot be written to standard output");
}

/// A line on a terminal that is written over and over; silent when standard error is no terminal.
class progress_line {
 public:
  explicit progress_line(const char* what) : what_(what) {}
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  ~progress_line() { clear(); }

  void clear() {
    if (std::exchange(shown_, -1) >= 0) fmt::print(stderr, "\r\033[K");
  }

  void operator()(std::size_t done, std::size_t total) {
    const int percent = static_cast<int>(100 * done / std::max<std::size_t>(total, 1));
    if (!is_terminal_ || percent == shown_) return;
    shown_ = percent;
    fmt::print(stderr, "\r{} {} %", what_, percent);
  }

 private:
  const char* what_;
  bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
  int shown_ = -1;
};

// --- The model and the prompt ---

struct loaded_model {
  decant::tokenizer words;
  decant::reference_model network;
  std::string chat_template;
};

template <class T>
T loaded(decant::result<T> part, const std::string& path) {
  if (part) return std::move(*part);
  if (part.code() == decant::error_code::file_unreadable) {
    throw refusal(fmt::format("the model file {} cannot be read", path));
  }
  throw refusal(fmt::format("the model {} cannot be used: {}", path, part.error().message().c_str()));
}

loaded_model load_model(const options& chosen) {
  const auto file = loaded(decant::gguf_file::open(chosen.model.c_str()), chosen.model);
  auto words = loaded(decant::load_tokenizer(file), chosen.model);
  const auto trained = loaded(file.get_or<std::size_t>("llama.context_length", 0), chosen.model);
  if (trained > 0 && chosen.context > trained) {
    throw refusal(
        fmt::format("--context {} is more than the {} tokens that the model is made for", chosen.context, trained));
  }
  progress_line progress("Loading the model");
  decant::reference_options setup;
  setup.threads = chosen.threads;
  setup.context = chosen.context;
  auto network = loaded(decant::reference_model::load(file, setup, progress), chosen.model);
  if (network.vocab_size() != words.words().size()) {
    throw refusal(fmt::format("the model {} cannot be used: it has {} tokens and embeddings of {}", chosen.model,
                              words.words().size(), network.vocab_size()));
  }
  const auto chat_template =
      loaded(file.get_or<std::string_view>("tokenizer.chat_template", std::string_view()), chosen.model);
  return {std::move(words), std::move(network), std::string(chat_template)};
}

std::string read_prompt(const options& chosen) {
  if (chosen.prompt) return *chosen.prompt;
  if (chosen.file) return read_all(open_file(*chosen.file, "rb").get(), "the file " + *chosen.file);
  if (::isatty(STDIN_FILENO) != 0) {
    throw refusal("there is no prompt: give --prompt, --file, or text on standard input");
  }
  return read_all(stdin, "standard input");
}

std::vector<decant::token> encode_chat(const options& chosen, const loaded_model& model, std::string_view prompt) {
  auto recognised = decant::recognise_chat_template(model.chat_template);
  if (!recognised) {
    throw refusal(fmt::format(
        "the model {} has no chat template that is known: without --chat the prompt is given as it is", chosen.model));
  }
  // The line end that a shell puts behind a text is not part of the message.
  while (prompt.ends_with('\n') || prompt.ends_with('\r')) prompt.remove_suffix(1);
  std::vector<decant::chat_message> messages;
  if (chosen.system) messages.push_back({decant::chat_role::system, *chosen.system});
  messages.push_back({decant::chat_role::user, prompt});
  const decant::vocabulary& words = model.words.words();
  return model.words.encode(decant::write_chat(*recognised, messages, words.text(words.eos()))).value_or_throw();
}

std::vector<decant::token> encode_prompt(const options& chosen, const loaded_model& model) {
  const std::string prompt = read_prompt(chosen);
  std::vector<decant::token> tokens =
      chosen.chat ? encode_chat(chosen, model, prompt) : model.words.encode(prompt).value_or_throw();
  if (tokens.empty()) throw refusal("the prompt is empty");
  if (tokens.size() >= model.network.context_size()) {
    throw refusal(fmt::format("the prompt has {} tokens and the context room for {}: nothing is left for an answer",
                              tokens.size(), model.network.context_size()));
  }
  return tokens;
}

// --- Decoding ---

decant::any_drafter<> make_drafter(const std::string& name) {
  if (name == "lookup") return decant::prompt_lookup(decant::prompt_lookup_settings{});
  return decant::no_drafter();
}

decant::any_verifier<> make_verifier(const options& chosen) {
  if (chosen.temperature > 0) return decant::match{};
  return decant::greedy{};
}

target_sampler make_sampler(const options& chosen) {
  // The greedy verifier finds the most probable token itself; the law stays whole if its probabilities are asked for.
  const bool whole_law = chosen.logprobs && !(chosen.temperature > 0);
  const float temperature = whole_law ? 1.0f : chosen.temperature;
  return decant::make_sampler(decant::top_k{chosen.top_k}, decant::top_p{chosen.top_p}, decant::min_p{chosen.min_p},
                              decant::temperature{temperature});
}

decant::decode_options make_decode_options(const options& chosen, const loaded_model& model) {
  decant::decode_options made;
  made.vocab_size = model.network.vocab_size();
  made.context_size = model.network.context_size();
  made.max_tokens = chosen.tokens;
  made.limits = {chosen.draft_length, chosen.draft_length};
  made.log_probabilities = chosen.logprobs;
  const decant::token_span ends = model.words.words().end_of_generation();
  made.end_of_sequence.assign(ends.begin(), ends.end());
  for (const std::string& stop : chosen.stops) {
    if (stop.empty()) throw refusal("a stop text is empty");
    made.stops.add(stop);
  }
  made.bytes = decant::token_bytes::from(model.words);
  return made;
}

template <class Trace>
machine<Trace> make_machine(const options& chosen, const loaded_model& model, const std::string& drafter, Trace trace) {
  const target_sampler sampler = make_sampler(chosen);
  sampler.check().value_or_throw();
  return {make_drafter(drafter),
          make_verifier(chosen),
          sampler,
          decant::philox_chance{chosen.seed},
          make_decode_options(chosen, model),
          std::move(trace)};
}

struct silent_hooks : decant::generate_hooks {
  [[nodiscard]] bool cancelled() const { return interrupted != 0; }
};

struct scored_token {
  decant::token id;
  double log_probability;
};

/// Writes the text as it comes.
class console_hooks : public silent_hooks {
 public:
  explicit console_hooks(const decant::tokenizer& words) : output_(decant::token_bytes::from(words)) {}

  void on_step(const decant::decode_step& step) {
    progress_.clear();
    const std::span<const char> ready = output_.add(step);
    write_text(stream_.push(std::string_view(ready.data(), ready.size())));
    for (std::size_t i = 0; i < step.log_probabilities.size(); ++i) {
      scores_.push_back({step.tokens[i], step.log_probabilities[i]});
    }
  }
  void on_prefill(std::size_t done, std::size_t total) { progress_(done, total); }

  void finish() {
    progress_.clear();
    write_text(stream_.finish());
    write_text("\n");
  }
  [[nodiscard]] std::span<const scored_token> scores() const noexcept { return scores_; }

 private:
  progress_line progress_{"Reading the prompt"};
  decant::text_output output_;
  decant::text_stream stream_;
  std::vector<scored_token> scores_;
};

// --- Figures ---

double rate(std::uint64_t count, double seconds) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; }

void print_summary(const decant::decode_statistics& figures, std::size_t prompt_tokens, const char* finish,
                   decant::guarantee promise) {
  const decant::draft_counts drafted = figures.drafted();
  fmt::print(stderr, "prompt     {} tokens in {:.2f} s ({:.1f} tokens/s)\n", prompt_tokens, figures.seconds.prefill,
             rate(prompt_tokens, figures.seconds.prefill));
  fmt::print(stderr, "generated  {} tokens in {:.2f} s ({:.1f} tokens/s); ended by: {}\n", figures.tokens,
             figures.seconds.decoding(), figures.tokens_per_second(), finish);
  fmt::print(stderr, "drafting   {:.2f} tokens per pass; {} of {} drafted tokens accepted ({:.1f} %); {}\n",
             figures.tokens_per_pass(), drafted.accepted, drafted.proposed, 100 * figures.acceptance_rate(),
             decant::name(promise));
}

void print_details(const decant::decode_statistics& figures) {
  const decant::phase_seconds& time = figures.seconds;
  fmt::print(stderr, "time       prompt {:.3f} s, draft {:.3f} s, model {:.3f} s, verify {:.3f} s, commit {:.3f} s\n",
             time.prefill, time.draft, time.target, time.verify, time.commit);
  fmt::print(stderr, "passes     {}; rows processed {}; drafts accepted whole {}\n", figures.passes,
             figures.rows_processed, figures.full_acceptances);
  for (std::size_t i = 0; i < figures.by_depth.size(); ++i) {
    const decant::draft_counts& at = figures.by_depth[i];
    if (at.proposed == 0) continue;
    fmt::print(stderr, "depth {:<4} {} drafted, {} reached, {} accepted\n", i + 1, at.proposed, at.reached,
               at.accepted);
  }
}

/// Printable ASCII as it is, other bytes as \xNN.
std::string escaped(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const bool plain = c >= ' ' && c <= '~' && c != '\\';
    shown += plain ? std::string(1, c) : fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  }
  return shown;
}

void print_scores(std::span<const scored_token> scores, const decant::tokenizer& words) {
  for (const scored_token& score : scores) {
    const std::string_view bytes = words.words().bytes(score.id);
    const std::string_view text = bytes.empty() ? words.words().text(score.id) : bytes;
    fmt::print(stderr, "logprob    {:9.4f} {:6} {}\n", score.log_probability, score.id, escaped(text));
  }
}

// --- The runs ---

struct outcome {
  std::vector<decant::token> tokens;  ///< generated, without the prompt
  decant::finish_reason finish;
  decant::decode_statistics figures;
};

template <class Machine, class Hooks>
outcome decode(loaded_model& model, Machine& decoder, decant::token_span prompt, Hooks& hooks) {
  const decant::finish_reason finish =
      decant::generate(model.network, decoder, prompt, hooks, decant::steady_clock{}).value_or_throw();
  const decant::token_span text = decoder.context().subspan(prompt.size());
  return {{text.begin(), text.end()}, finish, decoder.statistics()};
}

/// Decodes, streams, and prints the figures.
template <class Trace>
outcome run(const options& chosen, loaded_model& model, decant::token_span prompt, Trace trace) {
  auto decoder = make_machine(chosen, model, chosen.draft, std::move(trace));
  console_hooks console(model.words);
  outcome ended = decode(model, decoder, prompt, console);
  console.finish();
  print_scores(console.scores(), model.words);
  print_summary(ended.figures, prompt.size(), decant::name(ended.finish), decoder.promise());
  if (chosen.stats) print_details(ended.figures);
  return ended;
}

outcome run_with_trace(const options& chosen, loaded_model& model, decant::token_span prompt) {
  const owned_file file = open_file(*chosen.trace, "wb");
  const auto sink = [stream = file.get()](std::span<const char> line) {
    std::fwrite(line.data(), 1, line.size(), stream);
  };
  outcome ended = run(chosen, model, prompt, decant::json_trace(sink));
  if (std::fflush(file.get()) != 0 || std::ferror(file.get()) != 0) {
    throw refusal(fmt::format("the trace cannot be written to {}", *chosen.trace));
  }
  return ended;
}

/// Decodes plainly and says how the two runs differ. Returns whether the texts are identical.
bool compare(const options& chosen, loaded_model& model, decant::token_span prompt, const outcome& drafted) {
  auto decoder = make_machine(chosen, model, "none", decant::no_trace{});
  silent_hooks hooks;
  const outcome plain = decode(model, decoder, prompt, hooks);
  if (interrupted != 0) {
    fmt::print(stderr, "compare    interrupted\n");
    return true;
  }
  const double speed = drafted.figures.tokens_per_second();
  const double plain_speed = plain.figures.tokens_per_second();
  fmt::print(stderr, "compare    plain decoding {:.1f} tokens/s, {} drafting {:.1f} tokens/s: {:.2f} times as fast\n",
             plain_speed, chosen.draft, speed, plain_speed > 0 ? speed / plain_speed : 0);
  if (plain.tokens == drafted.tokens) {
    fmt::print(stderr, "compare    the texts are identical\n");
    return true;
  }
  const auto differing =
      std::mismatch(plain.tokens.begin(), plain.tokens.end(), drafted.tokens.begin(), drafted.tokens.end());
  fmt::print(stderr, "compare    the texts DIFFER from token {} on\n", differing.first - plain.tokens.begin() + 1);
  return false;
}

constexpr int exit_differs = 1;
constexpr int exit_mistake = 2;
constexpr int exit_interrupted = 130;

int run_program(const options& chosen) {
  loaded_model model = load_model(chosen);
  const std::vector<decant::token> prompt = encode_prompt(chosen, model);
  if (model.words.rule().name.empty() || model.words.rule().name == "default") {
    fmt::print(stderr, "note: the model names no pre-tokenizer, which may cost quality\n");
  }
  std::signal(SIGINT, on_interrupt);
  const outcome ended =
      chosen.trace ? run_with_trace(chosen, model, prompt) : run(chosen, model, prompt, decant::no_trace{});
  const bool same = interrupted != 0 || !chosen.compare || compare(chosen, model, prompt, ended);
  if (interrupted != 0) return exit_interrupted;
  return same ? 0 : exit_differs;
}

}  // namespace

int main(int argc, char** argv) {
  options chosen;
  if (const auto status = generate_program::read_command_line(argc, argv, chosen)) return *status;
  try {
    return run_program(chosen);
  } catch (const std::bad_alloc&) {
    complain("there is not enough memory");
  } catch (const std::exception& failure) {
    complain(failure.what());
  }
  return exit_mistake;
}
