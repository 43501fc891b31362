// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: models, prompts, and what passes cost.
#ifndef DECANT_EXAMPLES_GENERATE_MODEL_HPP
#define DECANT_EXAMPLES_GENERATE_MODEL_HPP

#include "generate_console.hpp"
#include "generate_options.hpp"

#include <decant/control/calibrate.hpp>
#include <decant/decode/steady_clock.hpp>
#include <decant/reference/chat.hpp>
#include <decant/reference/cost_curve_file.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/reference/user_cache.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace generate_program {

struct loaded_model {
  std::string path;
  decant::tokenizer words;
  decant::reference_model network;
  std::string chat_template;
};

/// A part of a model file, or a refusal that names the file.
template <class T>
T loaded(decant::result<T> part, const std::string& path) {
  if (part) return std::move(*part);
  if (part.code() == decant::error_code::file_unreadable) {
    throw refusal(fmt::format("the model file {} cannot be read", path));
  }
  throw refusal(fmt::format("the model {} cannot be used: {}", path, part.error().message().c_str()));
}

/// Says what was wrong with the weights kept from an earlier run, if anything was: they are only slower then.
inline void report_kept_weights(const decant::reference_model& network) {
  const decant::weight_storage kept = network.weights_stored();
  if (kept != decant::weight_storage::failed && kept != decant::weight_storage::mended) return;
  fmt::print(stderr, "weights    {}\n", network.weights_problem().message().c_str());
}

/// `context` of 0 takes the model's own; a longer one than the model is made for is refused. With `keep_weights` the
/// weights are kept in the user's cache in the layout of the kernels, for the next load.
inline loaded_model load_model(const std::string& path, std::size_t threads, std::size_t context, bool keep_weights) {
  const auto file = loaded(decant::gguf_file::open(path.c_str()), path);
  auto words = loaded(decant::load_tokenizer(file), path);
  const std::size_t trained = loaded(decant::llama_config::read(file), path).context;
  if (context > trained) {
    throw refusal(fmt::format("--context {} is more than the {} tokens that the model is made for", context, trained));
  }
  progress_bar progress("Loading the model");
  decant::reference_options setup;
  setup.threads = threads;
  setup.context = context;
  const std::string weight_folder = decant::user_cache_folder().string();
  if (keep_weights) setup.weight_folder = weight_folder.c_str();
  auto network = loaded(decant::reference_model::load(file, setup, progress), path);
  if (network.vocab_size() != words.words().size()) {
    throw refusal(fmt::format("the model {} cannot be used: it has {} tokens and embeddings of {}", path,
                              words.words().size(), network.vocab_size()));
  }
  report_kept_weights(network);
  const auto chat_template = loaded(file.get_or<std::string_view>("tokenizer.chat_template", std::string_view()), path);
  return {path, std::move(words), std::move(network), std::string(chat_template)};
}

/// A draft model speaks of the same tokens as its target.
inline void check_same_vocabulary(const loaded_model& target, const loaded_model& draft) {
  const decant::vocabulary& a = target.words.words();
  const decant::vocabulary& b = draft.words.words();
  bool same = a.size() == b.size();
  for (decant::token t = 0; same && decant::index(t) < a.size(); ++t) same = a.text(t) == b.text(t);
  if (same) return;
  throw refusal(fmt::format("the draft model {} has another vocabulary than the model {}: a draft model must share it",
                            draft.path, target.path));
}

// --- Prompts ---

inline std::string read_prompt(const options& chosen) {
  if (chosen.prompt) return *chosen.prompt;
  if (chosen.file) return read_all(open_file(*chosen.file, "rb").get(), "the file " + *chosen.file);
  if (::isatty(STDIN_FILENO) != 0) {
    throw refusal("there is no prompt: give --prompt, --file, or text on standard input");
  }
  return read_all(stdin, "standard input");
}

inline std::vector<decant::token> encode_chat(const options& chosen, const loaded_model& model,
                                              std::string_view prompt) {
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
  return model.words.encode(decant::write_chat(*recognised, messages, model.words.words())).value_or_throw();
}

inline std::vector<decant::token> encode_prompt(const options& chosen, const loaded_model& model) {
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

// --- Costs ---

/// Measures the model and keeps what was found, if that is possible.
inline decant::pass_costs measure_costs(loaded_model& model, const decant::cost_key& key,
                                        const std::filesystem::path& kept_in) {
  const decant::steady_clock clock;
  const double start = clock.now();
  fmt::print(stderr, "costs      measuring passes of {} over 1 to 64 tokens on this machine ...\n", model.path);
  const decant::pass_costs costs = decant::calibrate(model.network, clock).value_or_throw();
  const bool is_kept = !kept_in.empty() && decant::save_pass_costs(kept_in, key, costs).has_value();
  fmt::print(stderr,
             "costs      measured in {:.1f} s: a pass takes {:.1f} ms, over 8 tokens {:.2f} times as long; {}\n",
             clock.now() - start, 1e3 * costs.plain_seconds, costs.curve.time(8),
             is_kept ? "kept in " + kept_in.string() : "could not be kept for the next time");
  return costs;
}

/// Costs assumed of a model that must not be measured: those of another small one, in proportion to its size.
inline decant::pass_costs assumed_costs(const decant::cost_key& key) {
  constexpr double bytes_per_second = 1e10;
  return {static_cast<double>(key.model_bytes) / bytes_per_second, 0, decant::cost_curve::cpu_like()};
}

/// What passes of the model cost: kept from an earlier run, or measured now. A kept file that is damaged is replaced.
inline decant::pass_costs costs_of(loaded_model& model, const options& chosen) {
  const char* instructions = decant::name_of(decant::best_instruction_set());
  const auto key = loaded(decant::make_cost_key(model.path, model.network.threads(), instructions), model.path);
  std::filesystem::path kept_in = decant::user_cache_folder();
  if (!kept_in.empty()) kept_in /= decant::cost_file_name(key);
  if (!chosen.calibrate && !kept_in.empty()) {
    if (const auto known = decant::load_pass_costs(kept_in, key)) return *known;
  }
  return chosen.no_calibrate ? assumed_costs(key) : measure_costs(model, key, kept_in);
}

}  // namespace generate_program

#endif
