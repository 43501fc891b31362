// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// End to end: every prompt of a file in Spec-Bench's format (JSON lines with "category" and "turns") is answered twice,
// plainly and with speculation, one right after the other, so that a disturbance of the machine hits both. Texts must
// be identical. Per category: tokens/s, ratio, tokens per target pass.
//   bench_spec --model FILE [--prompts FILE] [--prompts-per-category N] [--tokens N] [--threads N] [--draft-model FILE]
//              [--temperature T] [--seed N] [--json FILE]
// Temperature 0 (the default) is greedy decoding; above it the texts of one seed are compared (match verification).
#include "support/figures.hpp"

#include <decant/control/calibrate.hpp>
#include <decant/control/paced_drafter.hpp>
#include <decant/control/renewal_rule.hpp>
#include <decant/decode/generate.hpp>
#include <decant/decode/steady_clock.hpp>
#include <decant/draft/any_drafter.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/draft/prompt_lookup.hpp>
#include <decant/reference/chat.hpp>
#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/tree/chain.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>

#include <sys/resource.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace decant;

// --- Options ---

struct settings {
  std::string model;
  std::string prompts = "../shared/data/spec-bench-dev.jsonl";
  std::size_t per_category = 0;  // 0: all
  std::size_t tokens = 128;
  std::size_t threads = 2;
  std::string draft_model;
  float temperature = 0;
  std::uint64_t seed = 1;
  std::string json;
};

template <class Number>
[[nodiscard]] Number number_of(const std::string& option, const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || !(value >= 0 && value <= 1e9)) {
    throw std::runtime_error(option + " needs a number from 0 to 1000000000, not '" + text + "'");
  }
  return static_cast<Number>(value);
}

[[nodiscard]] settings read_options(int argc, char** argv) {
  settings chosen;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc) throw std::runtime_error(option + " needs a value");
    const std::string value = argv[i + 1];
    if (option == "--model") {
      chosen.model = value;
    } else if (option == "--prompts") {
      chosen.prompts = value;
    } else if (option == "--prompts-per-category") {
      chosen.per_category = number_of<std::size_t>(option, value);
    } else if (option == "--tokens") {
      chosen.tokens = number_of<std::size_t>(option, value);
    } else if (option == "--threads") {
      chosen.threads = number_of<std::size_t>(option, value);
    } else if (option == "--draft-model") {
      chosen.draft_model = value;
    } else if (option == "--temperature") {
      chosen.temperature = number_of<float>(option, value);
    } else if (option == "--seed") {
      chosen.seed = number_of<std::uint64_t>(option, value);
    } else if (option == "--json") {
      chosen.json = value;
    } else {
      throw std::runtime_error("there is no option " + option);
    }
  }
  if (chosen.model.empty()) throw std::runtime_error("--model FILE is required");
  return chosen;
}

// --- Prompts ---

struct question {
  std::string category;
  std::vector<std::string> turns;
};

[[nodiscard]] std::vector<question> read_questions(const settings& chosen) {
  std::ifstream file(chosen.prompts);
  if (!file) throw std::runtime_error("the prompts " + chosen.prompts + " cannot be read");
  std::vector<question> questions;
  std::map<std::string, std::size_t> taken;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json one = nlohmann::json::parse(line);
    const std::string category = one.at("category");
    if (chosen.per_category > 0 && taken[category]++ >= chosen.per_category) continue;
    questions.push_back({category, one.at("turns").get<std::vector<std::string>>()});
  }
  if (questions.empty()) throw std::runtime_error("the file " + chosen.prompts + " holds no prompts");
  return questions;
}

// --- The models and the decoders ---

struct language_model {
  tokenizer words;
  chat_template format;
  reference_model network;
  pass_costs costs;
};

[[nodiscard]] language_model load(const std::string& path, std::size_t threads) {
  const gguf_file file = gguf_file::open(path.c_str()).value_or_throw();
  const std::string_view chat =
      file.get_or<std::string_view>("tokenizer.chat_template", std::string_view()).value_or_throw();
  reference_options options;
  options.threads = threads;
  language_model loaded{load_tokenizer(file).value_or_throw(),
                        recognise_chat_template(chat).value_or_throw(),
                        reference_model::load(file, options).value_or_throw(),
                        {}};
  loaded.costs = calibrate(loaded.network, steady_clock{}).value_or_throw();
  return loaded;
}

using sampler = decltype(make_sampler(temperature{}));
using machine = speculation<any_drafter<>, any_verifier<>, sampler>;

struct answer {
  std::vector<token> tokens;
  decode_statistics figures;
};

class contest {
 public:
  contest(const settings& chosen, language_model& target, language_model* draft)
      : chosen_(chosen), target_(target), draft_(draft) {}

  [[nodiscard]] std::string name() const {
    char text[64];
    std::snprintf(text, sizeof text, "%s/%s/T%g", draft_ == nullptr ? "lookup" : "model",
                  chosen_.temperature > 0 ? "match" : "greedy", static_cast<double>(chosen_.temperature));
    return text;
  }

  [[nodiscard]] answer run_plainly(token_span prompt) { return run(no_drafter(), prompt); }
  [[nodiscard]] answer run_speculatively(token_span prompt) { return run(drafter(), prompt); }

 private:
  [[nodiscard]] any_drafter<> drafter() {
    const renewal_rule rule(target_.costs.curve);
    if (draft_ == nullptr) return paced_drafter(prompt_lookup<>(), rule);
    // At temperature 0 the draft law stays whole: it ranks tokens, and says how sure it is.
    const sampler law = make_sampler(temperature{chosen_.temperature > 0 ? chosen_.temperature : 1.0F});
    return paced_drafter(model_drafter<reference_model&, chain<ranked>, sampler>(draft_->network, {longest}, law), rule,
                         draft_->costs.plain_seconds / target_.costs.plain_seconds);
  }

  /// The model keeps what it has of the prompt from the run before.
  [[nodiscard]] answer run(any_drafter<> drafts, token_span prompt) {
    decode_options options;
    options.vocab_size = target_.network.vocab_size();
    options.context_size = target_.network.context_size();
    options.max_tokens = chosen_.tokens;
    options.limits = {longest, longest};
    const token_span ends = target_.words.words().end_of_generation();
    options.end_of_sequence.assign(ends.begin(), ends.end());
    any_verifier<> verifier = greedy{};
    if (chosen_.temperature > 0) verifier = match{};
    machine decoder(std::move(drafts), verifier, make_sampler(temperature{chosen_.temperature}),
                    philox_chance{chosen_.seed}, options);
    decoder.begin(prompt).value_or_throw();
    target_.network.truncate(std::min(target_.network.length(), prompt.size() - 1)).value_or_throw();
    (void)resume(target_.network, decoder, generate_hooks{}, steady_clock{}).value_or_throw();
    const token_span text = decoder.context().subspan(prompt.size());
    return {{text.begin(), text.end()}, decoder.statistics()};
  }

  static constexpr std::int32_t longest = 48;
  const settings& chosen_;
  language_model& target_;
  language_model* draft_;
};

// --- Results ---

struct tally {
  decode_statistics plain;
  decode_statistics drafted;
  bench::sample speeds;
  std::vector<double> ratios;
  std::size_t differing = 0;

  void add(const answer& plainly, const answer& speculatively) {
    plain += plainly.figures;
    drafted += speculatively.figures;
    speeds.values.push_back(speculatively.figures.tokens_per_second());
    ratios.push_back(speculatively.figures.tokens_per_second() / plainly.figures.tokens_per_second());
    differing += plainly.tokens != speculatively.tokens;
  }
  void write(bench::figures& out, const std::string& name) const {
    if (ratios.empty()) return;
    out.add_rate(name, drafted.tokens_per_second(), speeds, "tokens/s", plain.tokens_per_second(),
                 {{"tokens_per_pass", drafted.tokens_per_pass()},
                  {"identical", differing == 0},
                  {"smallest_ratio", *std::min_element(ratios.begin(), ratios.end())}});
    std::printf("%-40s %8.1f %8.1f %8.3f %8.3f %8.2f %6zu  %s\n", name.c_str(), plain.tokens_per_second(),
                drafted.tokens_per_second(), drafted.tokens_per_second() / plain.tokens_per_second(),
                *std::min_element(ratios.begin(), ratios.end()), drafted.tokens_per_pass(), ratios.size(),
                differing == 0 ? "identical" : "DIFFERENT");
  }
  [[nodiscard]] double geometric_mean() const {
    double sum = 0;
    for (const double ratio : ratios) sum += std::log(ratio);
    return std::exp(sum / static_cast<double>(ratios.size()));
  }
};

struct results {
  std::map<std::string, tally> categories;
  tally all;
  tally nothing_accepted;

  void add(const std::string& category, const answer& plainly, const answer& speculatively) {
    categories[category].add(plainly, speculatively);
    all.add(plainly, speculatively);
    if (speculatively.figures.drafted().accepted == 0) nothing_accepted.add(plainly, speculatively);
  }
};

[[nodiscard]] double peak_megabytes() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_maxrss) / 1024;
}

/// Answers all turns of a question; what was answered before is part of the conversation.
void converse(const question& asked, contest& runs, language_model& target, bool plain_first, results& into) {
  std::vector<std::string> answers;
  answers.reserve(asked.turns.size());
  std::vector<chat_message> messages;
  for (const std::string& turn : asked.turns) {
    messages.push_back({chat_role::user, turn});
    const std::vector<token> prompt =
        target.words.encode(write_chat(target.format, messages, target.words.words())).value_or_throw();
    if (prompt.size() >= target.network.context_size()) return;
    target.network.truncate(0).value_or_throw();
    answer plainly = plain_first ? runs.run_plainly(prompt) : answer{};
    const answer speculatively = runs.run_speculatively(prompt);
    if (!plain_first) plainly = runs.run_plainly(prompt);
    into.add(asked.category, plainly, speculatively);
    token_span text = plainly.tokens;
    while (!text.empty() && target.words.words().ends_generation(text.back())) text = text.first(text.size() - 1);
    answers.push_back(target.words.decode(text).value_or_throw());
    messages.push_back({chat_role::assistant, answers.back()});
  }
}

void print_curve(const pass_costs& costs) {
  std::printf("a pass: %.2f ms after %zu tokens; over n:", 1e3 * costs.plain_seconds, costs.context);
  for (const cost_point& point : costs.curve.points) std::printf(" %zu: %.2f", point.nodes, point.time);
  std::printf("\n");
}

void report(const results& seen, const std::string& name, const settings& chosen) {
  bench::figures figures;
  std::printf("%-40s %8s %8s %8s %8s %8s %6s\n", "tokens/s", "plain", "spec.", "ratio", "worst", "per pass", "turns");
  for (const auto& [category, one] : seen.categories) one.write(figures, "spec/" + category + "/" + name);
  seen.all.write(figures, "spec/all/" + name);
  seen.nothing_accepted.write(figures, "spec/nothing_accepted/" + name);
  const bench::sample ratios{seen.all.ratios};
  figures.add_rate("spec/geomean/" + name, seen.all.geometric_mean(), ratios, "x", 1);
  figures.add("spec/peak_memory", {{peak_megabytes()}}, "MB");
  std::printf("geometric mean of ratios %.3f; peak memory %.0f MB\n", seen.all.geometric_mean(), peak_megabytes());
  if (!chosen.json.empty() && !figures.write(chosen.json)) {
    throw std::runtime_error("the figures cannot be written to " + chosen.json);
  }
}

int run_contest(const settings& chosen) {
  const std::vector<question> questions = read_questions(chosen);
  language_model target = load(chosen.model, chosen.threads);
  std::optional<language_model> draft;
  if (!chosen.draft_model.empty()) draft.emplace(load(chosen.draft_model, chosen.threads));
  print_curve(target.costs);
  contest runs(chosen, target, draft ? &*draft : nullptr);
  results seen;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    std::fprintf(stderr, "\r%zu of %zu ", i + 1, questions.size());
    converse(questions[i], runs, target, i % 2 == 0, seen);
  }
  std::fprintf(stderr, "\n");
  report(seen, runs.name(), chosen);
  return seen.all.differing == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_contest(read_options(argc, argv));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_spec: %s\n", failure.what());
    return 2;
  }
}
