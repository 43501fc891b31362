// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tiny pair: what the files are, the text they write, and speculation with a real draft model.
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/proof/prove.hpp>
#include <decant/sample/presets.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reference/small_models.hpp"
#include "reference/tiny_pair.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant;
using decant_test::load_model;
using decant_test::load_words;
using decant_test::tiny_draft_file;
using decant_test::tiny_prompts;
using decant_test::tiny_target_file;

using token_list = std::vector<token>;

// --- decoding ---

struct decoded {
  token_list text;
  decode_statistics statistics;
};

/// Decodes from a prompt. The target may hold the prompt already, or any other text.
template <class Drafter, class Verifier, class S>
decoded decode(reference_model& target, const token_list& prompt, std::size_t count, Drafter drafter, Verifier verifier,
               S sampler) {
  decode_options options;
  options.vocab_size = target.vocab_size();
  options.context_size = target.context_size();
  options.max_tokens = count;
  options.limits = {16, 8};
  speculation machine(std::move(drafter), verifier, std::move(sampler), philox_chance{7}, options);
  (void)generate(target, machine, prompt).value_or_throw();
  const token_span text = machine.context().subspan(prompt.size());
  return {{text.begin(), text.end()}, machine.statistics()};
}

decoded decode_plainly(reference_model& target, const token_list& prompt, std::size_t count) {
  return decode(target, prompt, count, no_drafter{}, greedy{}, sampler_chain<>{});
}

// --- words ---

/// What the target writes greedily.
struct golden_text {
  const char* prompt;
  token_list tokens;
};
const std::vector<golden_text> golden_texts{
    {"I am sure you will be happy to",
     {286, 292, 259, 570, 385, 347, 282, 267, 701, 304, 12,  283, 302, 448, 744, 302,
      536, 286, 259, 570, 385, 347, 273, 286, 292, 267, 701, 304, 14,  302, 448, 744}},
    {"\"I do not know what you mean,\" said",
     {330, 12, 409, 84,  308, 302, 359, 402, 259, 570, 385, 347, 282, 267, 278, 289,
      69,  12, 283, 302, 448, 744, 321, 364, 314, 273, 286, 259, 570, 385, 347, 273}},
    {"\"How can you be so", {489, 273, 286, 292, 259, 278, 79,  304, 12,  283, 302, 448, 744, 321, 364, 314,
                             273, 286, 259, 570, 385, 347, 273, 286, 292, 259, 278, 79,  304, 12,  283, 302}},
    {"The house was small, but", {330, 305, 314, 273, 286, 292, 86, 272, 277, 273, 286, 292, 86,  272, 277, 273,
                                  286, 292, 259, 278, 732, 514, 12, 283, 267, 278, 732, 514, 305, 314, 259, 87}},
};

const std::set<std::string, std::less<>>& common_words() {
  static const std::set<std::string, std::less<>> words{
      "a",     "about", "after", "again", "all",     "am",    "an",   "and",   "any",   "are",    "as",
      "at",    "be",    "been",  "being", "but",     "by",    "can",  "could", "did",   "do",     "every",
      "for",   "from",  "good",  "great", "had",     "has",   "have", "he",    "her",   "him",    "his",
      "how",   "i",     "if",    "in",    "into",    "is",    "it",   "know",  "like",  "little", "made",
      "man",   "may",   "me",    "might", "miss",    "more",  "most", "mr",    "mrs",   "much",   "must",
      "my",    "never", "no",    "not",   "nothing", "now",   "of",   "on",    "one",   "only",   "or",
      "other", "our",   "out",   "own",   "said",    "say",   "see",  "shall", "she",   "should", "so",
      "some",  "such",  "than",  "that",  "the",     "their", "them", "then",  "there", "they",   "think",
      "this",  "time",  "to",    "too",   "up",      "upon",  "us",   "very",  "was",   "we",     "well",
      "were",  "what",  "when",  "which", "who",     "will",  "with", "would", "you",   "your"};
  return words;
}

/// Share of the words of a text that are common English ones.
double share_of_common_words(const std::string& text) {
  std::string letters;
  for (const char c : text) letters += std::isalpha(static_cast<unsigned char>(c)) != 0 ? c : ' ';
  std::istringstream words(letters);
  std::size_t count = 0;
  std::size_t common = 0;
  for (std::string word; words >> word; ++count) {
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    if (common_words().contains(word)) ++common;
  }
  return count == 0 ? 0.0 : static_cast<double>(common) / static_cast<double>(count);
}

// --- laws ---

std::vector<float> row_after(reference_model& model, token_span text) {
  model.truncate(0).value_or_throw();
  model.prefill(text.first(text.size() - 1)).value_or_throw();
  const token_tree root(text.back());
  const auto rows = model.evaluate(root, root.all()).value_or_throw();
  return {rows.row(0).begin(), rows.row(0).end()};
}

/// The law of a model at temperature 1, for the kit of proofs. Keeps what it has computed.
proof::erased_law<double> law_of(reference_model& model) {
  const auto known = std::make_shared<std::map<token_list, std::vector<double>>>();
  const auto write = [&model, known](token_span context, std::span<double> out) {
    const token_list text(context.begin(), context.end());
    std::vector<double>& law = (*known)[text];
    if (law.empty()) {
      const std::vector<float> row = row_after(model, text);
      const double top = *std::max_element(row.begin(), row.end());
      for (const float logit : row) law.push_back(std::exp(static_cast<double>(logit) - top));
    }
    std::copy(law.begin(), law.end(), out.begin());
  };
  return {model.vocab_size(), write};
}

/// The `count` largest weights; the others become 0.
std::vector<double> best(std::vector<double> weights, std::size_t count) {
  std::vector<double> sorted = weights;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  for (double& weight : weights) weight = weight >= sorted[count - 1] ? weight : 0;
  return weights;
}

/// Sum over the vocabulary of min(p, q), for laws as weights.
double shared_mass(const std::vector<double>& p, const std::vector<double>& q) {
  double p_mass = 0;
  double q_mass = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    p_mass += p[i];
    q_mass += q[i];
  }
  double shared = 0;
  for (std::size_t i = 0; i < p.size(); ++i) shared += std::min(p[i] / p_mass, q[i] / q_mass);
  return shared;
}

}  // namespace

TEST_CASE("tiny pair: the files are small, say where they come from, and share their vocabulary") {
  const auto bytes = std::filesystem::file_size(tiny_target_file) + std::filesystem::file_size(tiny_draft_file);
  CHECK(bytes <= 1'500'000);
  for (const std::string& path : {tiny_target_file, tiny_draft_file}) {
    const gguf_file file = decant_test::open_model(path);
    CHECK(file.get<std::string_view>("general.description").value_or_throw().find("public domain") !=
          std::string_view::npos);
    CHECK(file.get<std::string_view>("general.license").value_or_throw() == "Apache-2.0 WITH LLVM-exception");
  }
  const tokenizer target = load_words(tiny_target_file);
  const tokenizer draft = load_words(tiny_draft_file);
  REQUIRE(target.words().size() == 1024);
  REQUIRE(draft.words().size() == 1024);
  for (token id = 0; id < 1024; ++id) {
    CHECK(target.words().text(id) == draft.words().text(id));
    CHECK(target.words().kind(id) == draft.words().kind(id));
  }
  CHECK(load_model(tiny_target_file).vocab_size() == 1024);
  CHECK(load_model(tiny_draft_file).vocab_size() == 1024);
}

TEST_CASE("tiny pair: the tokenizer keeps every text and splits it as the training did") {
  const tokenizer words = load_words(tiny_target_file);
  for (const char* prompt : tiny_prompts) {
    CHECK(words.decode(words.encode(prompt).value_or_throw()).value_or_throw() == prompt);
  }
  std::string all_bytes;
  for (int byte = 0; byte < 256; ++byte) all_bytes += static_cast<char>(byte);
  CHECK(words.decode(words.encode(all_bytes).value_or_throw()).value_or_throw() == all_bytes);
  REQUIRE(words.words().end_of_generation().size() == 1);
  CHECK(words.words().end_of_generation().front() == 0);
  CHECK(words.encode_markup("<|endoftext|>").value_or_throw() == token_list{0});
  CHECK(words.encode("<|endoftext|>").value_or_throw() != token_list{0});
  const std::vector<std::pair<const char*, token_list>> as_trained{
      {"It was a truth", {1016, 305, 259, 257, 82, 322, 72}},
      {"Mr. Weston's carriage didn't come in 1811; they'd waited.",
       {900, 14, 988, 372, 278, 985, 556, 78, 7,   84, 868, 292, 221,
        17,  24, 17,  17,  27,  447, 7,   68, 262, 65, 272, 277, 14}},
      {"\"Oh!\" cried Emma,\n\n  \"we'll see.\"",
       {2, 878, 817, 278, 837, 776, 12, 199, 199, 221, 409, 721, 7, 288, 460, 363}},
  };
  for (const auto& [text, tokens] : as_trained) CHECK(words.encode(text).value_or_throw() == tokens);
}

TEST_CASE("tiny pair: the target writes English, the same tokens on every instruction set") {
  const tokenizer words = load_words(tiny_target_file);
  for (const instruction_set set : decant_test::instruction_sets()) {
    CAPTURE(name_of(set));
    reference_options options;
    options.kernels = set;
    reference_model target = load_model(tiny_target_file, options);
    for (const golden_text& golden : golden_texts) {
      CAPTURE(golden.prompt);
      const token_list prompt = words.encode(golden.prompt).value_or_throw();
      const token_list text = decode_plainly(target, prompt, golden.tokens.size()).text;
      CHECK(text == golden.tokens);
      CHECK(share_of_common_words(words.decode(text).value_or_throw()) > 0.5);
    }
  }
}

TEST_CASE("tiny pair: sampled text is English too") {
  const tokenizer words = load_words(tiny_target_file);
  reference_model target = load_model(tiny_target_file);
  std::string text;
  for (const char* start : tiny_prompts) {
    const token_list prompt = words.encode(start).value_or_throw();
    const decoded sampled = decode(target, prompt, 40, no_drafter{}, match{}, llama_cpp_order());
    text += words.decode(sampled.text).value_or_throw() + "\n";
  }
  CHECK(share_of_common_words(text) > 0.55);
}

TEST_CASE("tiny pair: speculation with the draft model gives the text of plain decoding") {
  const tokenizer words = load_words(tiny_target_file);
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  constexpr std::size_t count = 40;
  const chain<ranked> one_path{4};
  const static_widths<ranked> tree{{4, 2, 1}};
  const auto sampler = llama_cpp_order();
  decode_statistics greedy_chain, greedy_tree, match_chain, match_tree;
  for (const char* start : tiny_prompts) {
    CAPTURE(start);
    const token_list prompt = words.encode(start).value_or_throw();
    const auto drafted = [&](auto builder, auto verifier, const auto& s, decode_statistics& sum) {
      const decoded done = decode(target, prompt, count, make_model_drafter(draft, builder), verifier, s);
      sum += done.statistics;
      return done.text;
    };
    const token_list plain = decode_plainly(target, prompt, count).text;
    CHECK(drafted(one_path, greedy{}, sampler_chain<>{}, greedy_chain) == plain);
    CHECK(drafted(tree, greedy{}, sampler_chain<>{}, greedy_tree) == plain);
    const token_list sampled = decode(target, prompt, count, no_drafter{}, match{}, sampler).text;
    CHECK(drafted(one_path, match{}, sampler, match_chain) == sampled);
    CHECK(drafted(tree, match{}, sampler, match_tree) == sampled);
  }
  CAPTURE(greedy_chain.acceptance_rate(), greedy_chain.tokens_per_pass(), greedy_tree.tokens_per_pass(),
          match_chain.acceptance_rate(), match_chain.tokens_per_pass(), match_tree.tokens_per_pass());
  CHECK(greedy_chain.acceptance_rate() > 0.5);
  CHECK(greedy_chain.tokens_per_pass() > 2.8);
  CHECK(match_chain.tokens_per_pass() > 1.5);
  CHECK(greedy_tree.tokens_per_pass() > 3.0);
  CHECK(match_tree.tokens_per_pass() > match_chain.tokens_per_pass());
}

TEST_CASE("tiny pair: rejection keeps the target's law, over every outcome of its draws") {
  const tokenizer words = load_words(tiny_target_file);
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  const auto best_five = make_sampler(top_k{5});
  const proof::erased_law<double> p = law_of(target);
  const proof::erased_law<double> q = law_of(draft);
  for (const char* start : {tiny_prompts[0], tiny_prompts[7], tiny_prompts[13]}) {
    CAPTURE(start);
    const proof::toy<double> pair{"tiny pair", p, q, words.encode(start).value_or_throw()};
    const auto in_chains =
        proof::prove_steps(pair, chain<independent>{2}, speculative_sampling{}, {}, best_five, best_five);
    const auto in_trees = proof::prove_steps(pair, static_widths<without_replacement>{{2, 1}}, recursive_rejection{},
                                             {}, best_five, best_five);
    INFO(in_chains.describe() << "; " << in_trees.describe());
    CHECK(in_chains.exact());
    CHECK(in_trees.exact());
  }
}

TEST_CASE("tiny pair: one drafted token is accepted as often as the two laws share mass") {
  const tokenizer words = load_words(tiny_target_file);
  reference_model target = load_model(tiny_target_file);
  reference_model draft = load_model(tiny_draft_file);
  const proof::erased_law<double> p = law_of(target);
  const proof::erased_law<double> q = law_of(draft);
  const auto best_ten = make_sampler(top_k{10});
  double total = 0;
  for (const char* start : tiny_prompts) {
    CAPTURE(start);
    const proof::toy<double> pair{"tiny pair", p, q, words.encode(start).value_or_throw()};
    std::vector<double> p_row(p.vocab_size());
    std::vector<double> q_row(q.vocab_size());
    p.weights(pair.prompt, p_row);
    q.weights(pair.prompt, q_row);
    total += shared_mass(p_row, q_row);
    const auto step = proof::prove_steps(pair, chain<independent>{1}, speculative_sampling{}, {}, best_ten, best_ten);
    CHECK(step.exact());
    CHECK(decant_test::near(step.expected_emitted(), 1 + shared_mass(best(p_row, 10), best(q_row, 10)), 1e-12));
  }
  const double acceptance = total / static_cast<double>(tiny_prompts.size());
  CAPTURE(acceptance);
  CHECK(acceptance > 0.55);
  CHECK(acceptance < 0.85);
}
