// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `generate`: the command line.
#ifndef DECANT_EXAMPLES_GENERATE_OPTIONS_HPP
#define DECANT_EXAMPLES_GENERATE_OPTIONS_HPP

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace generate_program {

/// What only some orders of sampling have; unset: off.
struct sampler_options {
  std::string order = "llama.cpp";
  std::optional<float> typical;
  std::optional<float> top_n_sigma;
  std::optional<float> xtc;
  float xtc_threshold = 0.1f;
  std::optional<float> epsilon;
  std::optional<float> eta;
  std::optional<float> temperature_range;
  std::optional<float> repeat_penalty;
  std::optional<float> frequency_penalty;
  std::optional<float> presence_penalty;
  std::optional<std::int32_t> penalty_window;
  std::optional<float> dry;
  std::optional<std::int32_t> no_repeat_ngram;
  std::optional<std::size_t> min_tokens;
  std::int32_t mirostat = 0;
  float mirostat_tau = 5.0f;
  float mirostat_eta = 0.1f;
  std::optional<float> adaptive_p;
};

struct options {
  std::string model;
  std::optional<std::string> prompt;  ///< neither prompt nor file: standard input
  std::optional<std::string> file;
  bool chat = false;
  std::optional<std::string> system;
  std::string draft = "lookup";              ///< none, lookup, or model:FILE
  std::optional<std::int32_t> draft_length;  ///< unset: by measured costs
  std::optional<std::string> tree;           ///< of a draft model; unset: a chain
  std::string verifier = "auto";
  std::optional<double> lenience;  ///< settings of relaxed verifiers; unset: what the verifier is made with
  std::optional<double> kl_budget;
  std::optional<std::string> cascade_rule;
  std::optional<double> cascade_alpha;
  std::optional<std::size_t> accept_top_k;
  std::optional<double> margin;
  std::optional<std::string> judge_head;
  std::optional<double> judge_bias;
  std::optional<double> reflect_alpha;
  std::optional<std::string> reflect_prompt;
  std::size_t tokens = 256;
  float temperature = 0.0f;
  std::int32_t top_k = 0;
  float top_p = 1.0f;
  float min_p = 0.0f;
  sampler_options sampler;
  std::uint64_t seed = 0;
  std::size_t threads = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8);
  std::size_t context = 0;
  bool cache_weights = false;  ///< keep them in the kernels' layout
  std::vector<std::string> stops;
  bool logprobs = false;
  std::size_t alternatives = 0;  ///< best tokens to show beside each emitted one
  bool stats = false;
  std::optional<std::string> trace;
  std::optional<std::string> json;
  bool compare = false;
  bool calibrate = false;     ///< measure costs even if they are known
  bool no_calibrate = false;  ///< never measure

  /// The file of the draft model, empty when something else drafts.
  [[nodiscard]] std::string draft_model() const {
    constexpr std::string_view prefix = "model:";
    return draft.starts_with(prefix) ? draft.substr(prefix.size()) : std::string();
  }
  /// Whether the tree has a size of its own, which is then drafted in every pass.
  [[nodiscard]] bool tree_is_sized() const {
    constexpr std::string_view prefixes[] = {"dyspec:", "dyspec-threshold:", "beam:", "opt-tree:", "eagle2:"};
    return tree && std::any_of(std::begin(prefixes), std::end(prefixes),
                               [this](std::string_view prefix) { return tree->starts_with(prefix); });
  }
  [[nodiscard]] bool paces() const { return draft != "none" && !draft_length && !tree_is_sized(); }
};

/// Checks the text of a finite number between two bounds; the answer is empty, or what is wrong.
class number_from {
 public:
  number_from(double low, double high) : low_(low), high_(high) {}

  std::string operator()(const std::string& text) const {
    double value = 0;
    const bool is_number = CLI::detail::lexical_cast(text, value) && std::isfinite(value);
    if (is_number && value >= low_ && value <= high_) return {};
    return fmt::format("'{}' is not a number from {} to {}", text, low_, high_);
  }

 private:
  double low_;
  double high_;
};

/// The same for whole numbers.
class whole_number_from {
 public:
  whole_number_from(std::uint64_t low, std::uint64_t high) : low_(low), high_(high) {}

  std::string operator()(const std::string& text) const {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value);
    if (read.ec == std::errc() && read.ptr == end && value >= low_ && value <= high_) return {};
    return fmt::format("'{}' is not a whole number from {} to {}", text, low_, high_);
  }

 private:
  std::uint64_t low_;
  std::uint64_t high_;
};

/// Checks what drafts.
inline std::string check_draft(const std::string& text) {
  const bool is_model = text.starts_with("model:") && text.size() > 6;
  if (text == "none" || text == "lookup" || is_model) return {};
  return fmt::format("'{}' is none of: none, lookup, model:FILE", text);
}

constexpr std::uint64_t most_tokens = 1'000'000'000;

inline CLI::Validator number(double low, double high) { return {number_from(low, high), ""}; }
inline CLI::Validator whole(std::uint64_t low, std::uint64_t high) { return {whole_number_from(low, high), ""}; }

/// Declares the settings of the lossy verifiers.
inline void declare_relaxations(CLI::App& app, options& chosen) {
  app.add_option("--lenience", chosen.lenience,
                 "Of lenience: how sure of a token the model must be, as a share of the draft model's own (0.8)")
      ->check(number(1e-6, 1))
      ->type_name("SHARE");
  app.add_option("--kl-budget", chosen.kl_budget,
                 "Of mentored: most nats by which the law of a token may leave the model's (0.05)")
      ->check(number(0, 100))
      ->type_name("NATS");
  app.add_option("--cascade-rule", chosen.cascade_rule,
                 "Of cascade: when the model is asked rather than the draft model trusted: chow, chow-log, difference, "
                 "optimal (the default), token-v1, token-v2, token-v3")
      ->check(CLI::IsMember({"chow", "chow-log", "difference", "optimal", "token-v1", "token-v2", "token-v3"}))
      ->type_name("RULE");
  app.add_option("--cascade-alpha", chosen.cascade_alpha, "Of cascade: the rule's parameter (0)")
      ->check(number(-100, 100))
      ->type_name("ALPHA");
  app.add_option("--accept-top-k", chosen.accept_top_k,
                 "Of top-k: accept a token that is among the model's k most probable ones (2)")
      ->check(whole(1, most_tokens))
      ->type_name("K");
  app.add_option("--margin", chosen.margin,
                 "Of margin: accept the second most probable token where it is this close to the first, in nats (0.5)")
      ->check(number(0, 100))
      ->type_name("NATS");
  auto* head = app.add_option("--judge-head", chosen.judge_head,
                              "Of judge: JSON file with the weights, bias and threshold of a linear head on the hidden "
                              "row of a drafted token; without it the weights are 0")
                   ->type_name("FILE");
  app.add_option("--judge-bias", chosen.judge_bias,
                 "Of judge without a file: above 0 it accepts every token, up to 0 none but by the standard test (0)")
      ->check(number(-1000, 1000))
      ->type_name("BIAS")
      ->excludes(head);
  app.add_option("--reflect-alpha", chosen.reflect_alpha,
                 "Of reflective: weight of what the model says after a second look at the draft (0.3)")
      ->check(number(0, 1))
      ->type_name("WEIGHT");
  app.add_option("--reflect-prompt", chosen.reflect_prompt, "Of reflective: what stands between the two looks")
      ->type_name("TEXT");
}

/// Declares the settings of the sampler beyond temperature, top-k, top-p and min-p.
inline void declare_sampler(CLI::App& app, sampler_options& chosen) {
  app.add_option("--sampler-order", chosen.order,
                 "Whose order and definitions the sampler has: llama.cpp (temperature last), hf or vllm (temperature "
                 "before the truncations)")
      ->check(CLI::IsMember({"llama.cpp", "hf", "vllm"}))
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--typical", chosen.typical, "Keep the most typical tokens that make up this share")
      ->check(number(0, 1))
      ->type_name("SHARE");
  app.add_option("--top-n-sigma", chosen.top_n_sigma, "Keep logits within this many deviations of the best one")
      ->check(number(0, 1000))
      ->type_name("N");
  auto* xtc = app.add_option("--xtc", chosen.xtc, "Leave out all likely tokens but the least likely one, this often")
                  ->check(number(0, 1))
                  ->type_name("SHARE");
  app.add_option("--xtc-threshold", chosen.xtc_threshold, "Of --xtc: the probability that makes a token likely")
      ->check(number(0, 1))
      ->capture_default_str()
      ->needs(xtc);
  app.add_option("--epsilon", chosen.epsilon, "Keep tokens of at least this probability")
      ->check(number(0, 1))
      ->type_name("P");
  app.add_option("--eta", chosen.eta, "The same, less strict where the model is unsure")
      ->check(number(0, 1))
      ->type_name("P");
  app.add_option("--dynamic-temperature", chosen.temperature_range,
                 "Let the temperature vary by up to this much, with the model's entropy")
      ->check(number(0, 100))
      ->type_name("RANGE");
  app.add_option("--repeat-penalty", chosen.repeat_penalty, "Divide the logits of tokens that occurred (above 1)")
      ->check(number(1e-3, 1000))
      ->type_name("R");
  app.add_option("--frequency-penalty", chosen.frequency_penalty, "Subtract this for every time a token occurred")
      ->check(number(-1000, 1000))
      ->type_name("F");
  app.add_option("--presence-penalty", chosen.presence_penalty, "Subtract this if a token occurred")
      ->check(number(-1000, 1000))
      ->type_name("P");
  app.add_option("--penalty-window", chosen.penalty_window, "How many last tokens the penalties see (64)")
      ->check(whole(0, most_tokens))
      ->type_name("N");
  app.add_option("--dry", chosen.dry, "Discourage tokens that would go on a repetition, by this multiplier")
      ->check(number(0, 1000))
      ->type_name("M");
  app.add_option("--no-repeat-ngram", chosen.no_repeat_ngram, "Let no sequence of this many tokens occur twice")
      ->check(whole(1, 1000))
      ->type_name("N");
  app.add_option("--min-tokens", chosen.min_tokens, "Do not end before this many tokens")
      ->check(whole(0, most_tokens))
      ->type_name("N");
  app.add_option("--mirostat", chosen.mirostat, "Hold the surprise of the text at --mirostat-tau: version 1 or 2")
      ->check(whole(1, 2))
      ->type_name("VERSION");
  app.add_option("--mirostat-tau", chosen.mirostat_tau, "Of --mirostat: bits of surprise aimed at")
      ->check(number(1e-3, 100))
      ->capture_default_str();
  app.add_option("--mirostat-eta", chosen.mirostat_eta, "Of --mirostat: rate of learning")
      ->check(number(0, 10))
      ->capture_default_str();
  app.add_option("--adaptive-p", chosen.adaptive_p, "Hold the probability of emitted tokens around this")
      ->check(number(0, 1))
      ->type_name("P");
}

/// Declares every option; `chosen` holds the defaults and receives the values.
inline void declare(CLI::App& app, options& chosen) {
  app.add_option("--model", chosen.model, "GGUF file of a model of the llama architecture")
      ->envname("DECANT_MODEL")
      ->type_name("FILE");
  auto* prompt = app.add_option("--prompt", chosen.prompt, "The prompt; without it and --file, standard input is read");
  app.add_option("--file", chosen.file, "Read the prompt from a file")->type_name("FILE")->excludes(prompt);
  auto* chat = app.add_flag("--chat", chosen.chat, "Put the prompt into the model's chat template");
  app.add_option("--system", chosen.system, "System message of the chat")->needs(chat);

  app.add_option(
         "--draft", chosen.draft,
         "What drafts: none, lookup (copies what followed the same words before), or model:FILE (a smaller model "
         "with the same vocabulary)")
      ->check(CLI::Validator(check_draft, ""))
      ->type_name("WHAT")
      ->capture_default_str();
  auto* length = app.add_option("--draft-length", chosen.draft_length,
                                "Draft up to this many tokens for every pass; without it lengths follow measured costs")
                     ->check(whole(1, 255))
                     ->type_name("N");
  app.add_option("--tree", chosen.tree,
                 "Shape of a draft model's trees: chain, widths:4,2,1 (children per level), paths:0,1,0.0,0.1 (ranks "
                 "on the way "
                 "to each node), opt-tree:NODES or eagle2:NODES (the likeliest tokens), dyspec:NODES, "
                 "dyspec-threshold:VALUE or "
                 "beam:WIDTHxDEPTH (drawn tokens, for verifiers that test their probabilities)")
      ->type_name("SHAPE");
  app.add_option("--verifier", chosen.verifier,
                 "How drafts are verified: auto (greedy at temperature 0, else match), greedy, match, "
                 "speculative-sampling, block, rejection, traversal, k-seq, random-order, membership, canonical, "
                 "drafter-invariant; lossy: typical, top-k, margin, judge, lenience, mentored, cascade, reflective")
      ->check(CLI::IsMember({"auto",         "greedy",     "match",     "speculative-sampling",
                             "block",        "rejection",  "traversal", "k-seq",
                             "random-order", "membership", "canonical", "drafter-invariant",
                             "typical",      "top-k",      "margin",    "judge",
                             "lenience",     "mentored",   "cascade",   "reflective"}))
      ->type_name("NAME")
      ->capture_default_str();
  declare_relaxations(app, chosen);
  auto* calibrate = app.add_flag("--calibrate", chosen.calibrate,
                                 "Measure anew what passes of the model cost on this machine (under 3 seconds; done by "
                                 "itself the first time)");
  auto* no_calibrate =
      app.add_flag("--no-calibrate", chosen.no_calibrate, "Measure nothing: assume costs unless they are known");
  no_calibrate->excludes(calibrate);
  length->excludes(calibrate)->excludes(no_calibrate);
  app.add_flag("--compare", chosen.compare, "Then decode plainly, compare the texts, and show both speeds");

  app.add_option("--tokens", chosen.tokens, "Most tokens to generate")
      ->check(whole(1, most_tokens))
      ->capture_default_str();
  app.add_option("--stop", chosen.stops, "End before this text appears (may be repeated)")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app.add_option("--temperature", chosen.temperature, "0 takes the most probable token every time")
      ->check(number(0, 100))
      ->capture_default_str();
  app.add_option("--top-k", chosen.top_k, "Keep the k most probable tokens; 0 keeps all")
      ->check(whole(0, most_tokens))
      ->capture_default_str();
  app.add_option("--top-p", chosen.top_p, "Keep the most probable tokens that make up this share")
      ->check(number(0, 1))
      ->capture_default_str();
  app.add_option("--min-p", chosen.min_p, "Keep tokens of at least this share of the best one's probability")
      ->check(number(0, 1))
      ->capture_default_str();
  declare_sampler(app, chosen.sampler);
  app.add_option("--seed", chosen.seed, "Equal seeds give equal texts")
      ->check(whole(0, std::numeric_limits<std::uint64_t>::max()))
      ->capture_default_str();

  app.add_option("--threads", chosen.threads, "Threads")->check(whole(1, 256))->capture_default_str();
  app.add_option("--context", chosen.context,
                 "Most tokens of prompt and text together; 0: what the model allows, at most 8192")
      ->check(whole(0, most_tokens))
      ->capture_default_str();

  app.add_flag("--cache-weights", chosen.cache_weights,
               "Keep the weights as the kernels want them in the user's cache, so that the next load is shorter");
  auto* logprobs = app.add_flag("--logprobs", chosen.logprobs,
                                "Show the log-probability of every token (at temperature 0: the model's own)");
  app.add_option("--alternatives", chosen.alternatives, "Of --logprobs: show so many best tokens beside each")
      ->check(whole(0, 100))
      ->needs(logprobs)
      ->capture_default_str();
  app.add_flag("--stats", chosen.stats, "Show time by phase and acceptance by source and depth");
  app.add_option("--trace", chosen.trace, "Write one JSON line per decoding step")->type_name("FILE");
  app.add_option("--json", chosen.json, "Write the figures as one JSON object")->type_name("FILE");
}

/// `generate: <sentence>` on standard error, line ends of the sentence flattened.
inline void complain(std::string sentence) {
  std::replace(sentence.begin(), sentence.end(), '\n', ' ');
  std::fprintf(stderr, "generate: %s\n", sentence.c_str());
}

/// Reads the command line. Returns the exit status when there is nothing else to do: 0 after --help, 2 after a mistake,
/// which has then been named in one sentence.
inline std::optional<int> read_command_line(int argc, char** argv, options& chosen) {
  CLI::App app(
      "Generates text from a GGUF file with speculative decoding, exactly: unless --verifier says otherwise, the text "
      "is the one that plain decoding gives.\nText goes to standard output, figures to standard error. Exit status: 0 "
      "done, 1 --compare found a "
      "difference, 2 a mistake (named in one sentence), 130 interrupted.",
      "generate");
  declare(app, chosen);
  try {
    app.parse(argc, argv);
    if (chosen.model.empty()) throw CLI::RequiredError("--model");
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& mistake) {
    complain(mistake.what());
    return 2;
  }
  return std::nullopt;
}

}  // namespace generate_program

#endif
