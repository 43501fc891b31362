// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drives the program `generate` as a user would. The path of the program is the compile definition
// DECANT_GENERATE_PROGRAM; without it these tests are skipped.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "support/everyday_model.hpp"
#include "support/test_kit.hpp"

#if defined(DECANT_GENERATE_PROGRAM) && (defined(__unix__) || defined(__APPLE__))
#include <fcntl.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "support/run_program.hpp"

namespace {

using decant_test::contains;
using decant_test::content_of;
using decant_test::program_result;
using decant_test::quoted;
using decant_test::scratch_folder;

/// A cache folder for this run of the tests, so that they leave nothing in the user's.
const std::string& cache_folder() {
  static const scratch_folder folder;
  static const std::string path = folder.path();
  return path;
}

/// Runs `generate` with these arguments; `before` goes in front of the program in the shell command.
program_result run(const std::vector<std::string>& arguments, const std::string& input = "",
                   const std::string& before = "env -u DECANT_MODEL DECANT_CACHE=" + quoted(cache_folder())) {
  std::string command = before + " " + quoted(DECANT_GENERATE_PROGRAM);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  return decant_test::run_command(command, input);
}

/// Starts a long run, waits for its first text, and sends it what Ctrl-C sends.
program_result run_until_text_and_interrupt(const std::string& model) {
  const scratch_folder scratch;
  const std::string out = scratch.file("out", "");
  const std::string err = scratch.file("err", "");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open(out.c_str(), O_WRONLY), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY), STDERR_FILENO);
    ::execl(DECANT_GENERATE_PROGRAM, "generate", "--model", model.c_str(), "--prompt", "Count:", "--tokens", "8000",
            "--draft", "none", "--stats", "--compare", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  REQUIRE(child > 0);
  int status = 0;
  bool ended = false;
  while (!ended && std::filesystem::file_size(out) == 0) {
    ::usleep(10'000);
    ended = ::waitpid(child, &status, WNOHANG) != 0;
  }
  if (!ended) {
    ::kill(child, SIGINT);
    ::waitpid(child, &status, 0);
  }
  return {decant_test::exit_status(status), content_of(out), content_of(err)};
}

/// A mistake: exit status 2, one line on standard error that names the culprit, nothing on standard output.
void check_refused(const program_result& got, const std::string& culprit) {
  CAPTURE(got.err, culprit);
  CHECK(got.status == 2);
  CHECK(got.out.empty());
  CHECK(got.err.starts_with("generate: "));
  CHECK(std::count(got.err.begin(), got.err.end(), '\n') == 1);
  CHECK(got.err.ends_with("\n"));
  CHECK(contains(got.err, culprit));
}

const std::string tiny_target = DECANT_TEST_DATA_DIR "/tiny-target.gguf";
const std::string tiny_draft = DECANT_TEST_DATA_DIR "/tiny-draft.gguf";

/// The tiny pair on one prompt, drafting a few tokens for every pass; `more` are further options.
program_result run_tiny_pair(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"--model", tiny_target, "--prompt", "It was a truth", "--tokens", "24"};
  arguments.insert(arguments.end(), {"--seed", "5"});
  if (std::find(more.begin(), more.end(), "--draft") == more.end()) {
    arguments.insert(arguments.end(), {"--draft", "model:" + tiny_draft});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

/// The number before `what` in what was printed, -1 when there is none.
double number_before(const std::string& text, const std::string& what) {
  const std::size_t end = text.find(" " + what);
  if (end == std::string::npos) return -1;
  return std::stod(text.substr(text.rfind(' ', end - 1) + 1));
}

}  // namespace

TEST_CASE("generate: every wrong option or value is refused with one sentence that names it") {
  struct mistake {
    std::vector<std::string> arguments;
    const char* culprit;
  };
  const std::vector<mistake> mistakes{
      {{}, "--model"},
      {{"--model"}, "--model"},
      {{"--model", "m", "--bogus"}, "--bogus"},
      {{"--model", "m", "extra"}, "extra"},
      {{"--model", "m", "--tokens", "0"}, "--tokens: '0' is not a whole number from 1 to 1000000000"},
      {{"--model", "m", "--tokens", "-5"}, "--tokens"},
      {{"--model", "m", "--tokens", "12x"}, "'12x'"},
      {{"--model", "m", "--tokens", "2.5"}, "'2.5'"},
      {{"--model", "m", "--tokens", "99999999999999999999"}, "--tokens"},
      {{"--model", "m", "--draft", "magic"}, "magic"},
      {{"--model", "m", "--draft", "model:"}, "'model:' is none of: none, lookup, model:FILE"},
      {{"--model", "m", "--draft-length", "0"}, "--draft-length"},
      {{"--model", "m", "--verifier", "magic"}, "magic"},
      {{"--model", "m", "--lenience", "0"}, "--lenience"},
      {{"--model", "m", "--lenience", "1.5"}, "--lenience: '1.5' is not a number"},
      {{"--model", "m", "--kl-budget", "-1"}, "--kl-budget"},
      {{"--model", "m", "--cascade-rule", "magic"}, "--cascade-rule"},
      {{"--model", "m", "--cascade-alpha", "nan"}, "--cascade-alpha"},
      {{"--model", "m", "--accept-top-k", "0"}, "--accept-top-k"},
      {{"--model", "m", "--margin", "-0.5"}, "--margin: '-0.5' is not a number from 0 to 100"},
      {{"--model", "m", "--judge-bias", "x"}, "--judge-bias"},
      {{"--model", "m", "--reflect-alpha", "2"}, "--reflect-alpha"},
      {{"--model", "m", "--judge-head", "f", "--judge-bias", "1"}, "--judge-head"},
      {{"--model", "m", "--calibrate", "--no-calibrate"}, "--calibrate excludes --no-calibrate"},
      {{"--model", "m", "--draft-length", "3", "--calibrate"}, "--calibrate"},
      {{"--model", "m", "--temperature", "-1"}, "--temperature"},
      {{"--model", "m", "--temperature", "nan"}, "'nan'"},
      {{"--model", "m", "--temperature", "hot"}, "'hot'"},
      {{"--model", "m", "--top-k", "-1"}, "--top-k"},
      {{"--model", "m", "--top-p", "1.5"}, "--top-p: '1.5' is not a number from 0 to 1"},
      {{"--model", "m", "--min-p", "2"}, "--min-p"},
      {{"--model", "m", "--sampler-order", "mine"}, "--sampler-order"},
      {{"--model", "m", "--typical", "2"}, "--typical: '2' is not a number from 0 to 1"},
      {{"--model", "m", "--repeat-penalty", "0"}, "--repeat-penalty"},
      {{"--model", "m", "--mirostat", "3"}, "--mirostat: '3' is not a whole number from 1 to 2"},
      {{"--model", "m", "--xtc-threshold", "0.2"}, "--xtc-threshold requires --xtc"},
      {{"--model", "m", "--alternatives", "2"}, "--alternatives requires --logprobs"},
      {{"--model", "m", "--seed", "-1"}, "--seed"},
      {{"--model", "m", "--threads", "0"}, "--threads"},
      {{"--model", "m", "--context", "x"}, "--context"},
      {{"--model", "m", "--stop"}, "--stop"},
      {{"--model", "m", "--system", "s"}, "--system requires --chat"},
      {{"--model", "m", "--prompt", "p", "--file", "f"}, "--prompt excludes --file"},
      {{"--model", "m", "--prompt", "a", "--prompt", "b"}, "--prompt"},
  };
  for (const mistake& m : mistakes) check_refused(run(m.arguments), m.culprit);
}

TEST_CASE("generate: help is not a mistake") {
  const program_result got = run({"--help"});
  CHECK(got.status == 0);
  CHECK(contains(got.out, "--compare"));
  CHECK(got.err.empty());
}

TEST_CASE("generate: a missing or wrong model file is refused by name") {
  const scratch_folder scratch;
  const std::string missing = scratch.file("missing.gguf");
  check_refused(run({"--model", missing, "--prompt", "x"}), missing + " cannot be read");
  check_refused(run({"--model", scratch.file(""), "--prompt", "x"}), "cannot be read");
  const std::string empty = scratch.file("empty.gguf", "");
  check_refused(run({"--model", empty, "--prompt", "x"}), empty);
  check_refused(run({"--model", scratch.file("text.gguf", "Dear model, hello."), "--prompt", "x"}), "not a GGUF file");
  check_refused(run({"--model", scratch.file("short.gguf", std::string("GGUF\3\0\0\0", 8)), "--prompt", "x"}),
                "truncated");
  const std::string bare("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
  check_refused(run({"--model", scratch.file("bare.gguf", bare), "--prompt", "x"}), "tokenizer.ggml.model");
}

TEST_CASE("generate: the model may be named by the environment") {
  check_refused(run({"--prompt", "x"}, "", "env DECANT_MODEL=/nonexistent/model.gguf"), "/nonexistent/model.gguf");
}

TEST_CASE("generate: a truncated model file is refused") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  std::string head(50'000'000, '\0');
  std::ifstream(*model, std::ios::binary).read(head.data(), static_cast<std::streamsize>(head.size()));
  check_refused(run({"--model", scratch.file("half.gguf", head), "--prompt", "x"}), "truncated");
  check_refused(run({"--model", scratch.file("start.gguf", head.substr(0, 1'000'000)), "--prompt", "x"}), "truncated");
}

TEST_CASE("generate: prompts that cannot be used are refused") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  check_refused(run({"--model", *model, "--prompt", ""}), "the prompt is empty");
  check_refused(run({"--model", *model}, ""), "the prompt is empty");
  check_refused(run({"--model", *model, "--file", "/nonexistent/prompt.txt"}), "/nonexistent/prompt.txt");
  check_refused(run({"--model", *model, "--file", "/"}), "/ cannot be read");
  check_refused(run({"--model", *model, "--context", "4", "--prompt", "one two three four five"}), "context");
  check_refused(run({"--model", *model, "--context", "900000000", "--prompt", "x"}), "--context 900000000");
  check_refused(run({"--model", *model, "--prompt", "x", "--stop", ""}), "stop");
  check_refused(run({"--model", *model, "--prompt", "x", "--trace", "/nonexistent/trace.jsonl"}), "trace.jsonl");
  check_refused(run({"--model", *model, "--prompt", "x", "--json", "/nonexistent/figures.json"}), "figures.json");
}

TEST_CASE("generate: parts that do not fit together are refused with the reason") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const auto refused = [&](std::vector<std::string> more, const std::string& culprit) {
    more.insert(more.begin(), {"--model", *model, "--prompt", "x"});
    check_refused(run(more), culprit);
  };
  refused({"--verifier", "speculative-sampling"}, "chosen, not drawn");
  refused({"--verifier", "greedy", "--temperature", "0.5"}, "--verifier greedy");
  refused({"--tree", "chain"}, "--tree shapes what a draft model drafts");
  const std::string itself = "model:" + *model;
  refused({"--draft", itself, "--tree", "bush"}, "--tree bush: a tree is one of");
  refused({"--draft", itself, "--tree", "widths:"}, "--tree widths:: after widths:");
  refused({"--draft", itself, "--tree", "widths:4,x"}, "--tree widths:4,x");
  refused({"--draft", itself, "--tree", "widths:4,-1"}, "a width is not in [0, 256]");
  refused({"--draft", itself, "--tree", "paths:0,0..1"}, "after paths:");
  refused({"--draft", itself, "--tree", "paths:0.0"}, "--tree paths:0.0");
  refused({"--draft", itself, "--tree", "widths:2,2", "--verifier", "speculative-sampling", "--temperature", "1"},
          "this verifier walks a chain");
  refused({"--draft", "model:/nonexistent/draft.gguf"}, "/nonexistent/draft.gguf cannot be read");
}

TEST_CASE("generate: costs are measured once, kept, and measured again when asked or damaged") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder cache;
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--model", *model, "--prompt", "The capital of France is", "--tokens", "4"});
    return run(more, "", "env -u DECANT_MODEL DECANT_CACHE=" + quoted(cache.path()));
  };
  const auto measures = [&](std::vector<std::string> more) {
    const program_result got = with(std::move(more));
    CAPTURE(got.err);
    CHECK(got.status == 0);
    return contains(got.err, "costs      measured in");
  };
  const auto file_count = [&] { return std::distance(std::filesystem::directory_iterator(cache.path()), {}); };
  CHECK_FALSE(measures({"--draft", "none"}));
  CHECK_FALSE(measures({"--no-calibrate"}));
  CHECK_FALSE(measures({"--draft-length", "4"}));
  CHECK(file_count() == 0);
  CHECK(measures({}));
  REQUIRE(file_count() == 1);
  CHECK_FALSE(measures({}));
  CHECK(measures({"--calibrate"}));
  CHECK(measures({"--threads", "1"}));
  REQUIRE(file_count() == 2);
  for (const auto& entry : std::filesystem::directory_iterator(cache.path())) {
    std::ofstream(entry.path(), std::ios::app) << "nodes x\n";
  }
  CHECK(measures({}));
  CHECK_FALSE(measures({}));
}

TEST_CASE("generate: weights are kept when asked, and made again when what was kept is damaged") {
  const scratch_folder cache;
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"--model", tiny_target, "--prompt", "It was a truth", "--tokens", "8", "--no-calibrate"});
    const program_result got = run(more, "", "env -u DECANT_MODEL DECANT_CACHE=" + quoted(cache.path()));
    CAPTURE(got.err);
    CHECK(got.status == 0);
    return got;
  };
  const auto files = [&] { return std::distance(std::filesystem::directory_iterator(cache.path()), {}); };
  const std::string text = with({}).out;
  CHECK(files() == 0);
  CHECK(with({"--cache-weights"}).out == text);
  REQUIRE(files() == 1);
  const program_result again = with({"--cache-weights"});
  CHECK(again.out == text);
  CHECK_FALSE(contains(again.err, "weights    "));

  const std::filesystem::path kept = std::filesystem::directory_iterator(cache.path())->path();
  std::filesystem::resize_file(kept, std::filesystem::file_size(kept) - 1);
  const program_result mended = with({"--cache-weights"});
  CHECK(mended.out == text);
  CHECK(contains(mended.err, "weights    "));
  CHECK(contains(mended.err, "stored weights: body"));
  CHECK_FALSE(contains(with({"--cache-weights"}).err, "weights    "));
}

TEST_CASE("generate: costs that cannot be kept do not stop it") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  const std::string file = scratch.file("file", "");
  const program_result got = run({"--model", *model, "--prompt", "x", "--tokens", "2"}, "",
                                 "env -u DECANT_MODEL DECANT_CACHE=" + quoted(file + "/below"));
  CAPTURE(got.err);
  CHECK(got.status == 0);
  CHECK(contains(got.err, "could not be kept"));
}

TEST_CASE("generate: speculative and plain decoding print the same text") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const std::vector<std::string> base{"--model", *model, "--tokens", "24", "--prompt", "The capital of France is"};
  const auto with = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return run(more);
  };
  const program_result drafted = with({"--compare"});
  CAPTURE(drafted.err);
  CHECK(drafted.status == 0);
  CHECK(contains(drafted.out, "Paris"));
  CHECK(contains(drafted.err, "the texts are identical"));
  CHECK(contains(drafted.err, "greedy identical"));
  CHECK(contains(drafted.err, "drafting   lookup:"));
  CHECK(with({"--draft", "none"}).out == drafted.out);
  CHECK(with({"--draft-length", "2", "--threads", "1"}).out == drafted.out);

  const program_result sampled = with({"--temperature", "0.8", "--top-p", "0.9", "--seed", "7", "--compare"});
  CHECK(sampled.status == 0);
  CHECK(contains(sampled.err, "the texts are identical"));
  CHECK(contains(sampled.err, "seed identical"));
}

TEST_CASE("generate: a model drafts for another, in every shape, and the text stays") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  // The model as its own draft model: every greedy chain is accepted whole.
  const std::vector<std::string> base{"--model", *model,           "--prompt", "The capital of France is",
                                      "--draft", "model:" + *model};
  const auto with = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return run(more);
  };
  const std::string text =
      run({"--model", *model, "--prompt", "The capital of France is", "--draft", "none", "--tokens", "12"}).out;
  for (const std::vector<std::string>& shape : std::vector<std::vector<std::string>>{
           {"--draft-length", "3"}, {"--tree", "widths:2,1"}, {"--tree", "paths:0,1,0.0", "--draft-length", "3"}, {}}) {
    std::vector<std::string> arguments{"--tokens", "12", "--compare"};
    arguments.insert(arguments.end(), shape.begin(), shape.end());
    const program_result got = with(arguments);
    CAPTURE(got.err);
    CHECK(got.status == 0);
    CHECK(got.out == text);
    CHECK(contains(got.err, "the texts are identical"));
  }
  const program_result chain = with({"--tokens", "12", "--draft-length", "3"});
  CHECK(contains(chain.err, "4.00 tokens per pass"));
  CHECK(contains(chain.err, "(100.0 %)"));

  const std::vector<std::string> warm{"--tokens", "8", "--temperature", "0.9", "--draft-length", "2", "--compare"};
  for (const char* verifier : {"speculative-sampling", "block", "rejection", "traversal", "typical"}) {
    std::vector<std::string> arguments = warm;
    arguments.insert(arguments.end(), {"--verifier", verifier});
    const program_result got = with(arguments);
    CAPTURE(got.err);
    CHECK(got.status == 0);
    CHECK(contains(got.err, std::string(verifier) == "typical" ? "lossy" : "exact in law"));
  }
}

TEST_CASE("generate: exact verifiers draft in every tree and keep the law, at temperature 0 the text") {
  const std::string plain = run_tiny_pair({"--draft", "none"}).out;
  for (const char* verifier : {"greedy", "match", "rejection", "traversal", "k-seq", "random-order", "membership",
                               "canonical", "drafter-invariant"}) {
    const program_result got = run_tiny_pair({"--verifier", verifier, "--tree", "widths:3,1,1", "--draft-length", "9"});
    CAPTURE(verifier, got.err);
    CHECK(got.status == 0);
    CHECK(got.out == plain);
    CHECK(number_before(got.err, "tokens per pass") > 1.3);
  }
  const std::vector<std::string> warm{"--temperature", "0.8", "--compare"};
  const auto with = [&warm](std::vector<std::string> more) {
    more.insert(more.end(), warm.begin(), warm.end());
    return run_tiny_pair(more);
  };
  for (const char* verifier : {"k-seq", "random-order", "membership", "canonical"}) {
    const program_result got = with({"--verifier", verifier, "--tree", "widths:3,1,1", "--draft-length", "9"});
    CAPTURE(verifier, got.err);
    CHECK(got.status == 0);
    CHECK(contains(got.err, "exact in law"));
    CHECK(number_before(got.err, "tokens per pass") > 1.3);
  }
  for (const auto& [tree, verifier] :
       std::vector<std::pair<const char*, const char*>>{{"dyspec:12", "rejection"},
                                                        {"dyspec:12", "membership"},
                                                        {"dyspec-threshold:0.2", "traversal"},
                                                        {"beam:3x4", "rejection"},
                                                        {"beam:3x4", "traversal"}}) {
    const program_result got = with({"--verifier", verifier, "--tree", tree});
    CAPTURE(verifier, tree, got.err);
    CHECK(got.status == 0);
    CHECK(contains(got.err, "exact in law"));
    CHECK(number_before(got.err, "tokens per pass") > 1.3);
  }
  for (const char* tree : {"opt-tree:12", "eagle2:12"}) {
    const program_result got = with({"--tree", tree});
    CAPTURE(tree, got.err);
    CHECK(got.status == 0);
    CHECK(contains(got.err, "the texts are identical"));
    CHECK(number_before(got.err, "tokens per pass") > 1.3);
  }
}

TEST_CASE("generate: drafter-invariant text is the same whatever drafts") {
  const std::vector<std::string> base{"--temperature", "0.9", "--verifier", "drafter-invariant"};
  const auto with = [&base](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return run_tiny_pair(more);
  };
  const program_result chain = with({"--draft-length", "4", "--compare"});
  CAPTURE(chain.err);
  CHECK(chain.status == 0);
  CHECK(contains(chain.err, "the texts are identical"));
  CHECK(number_before(chain.err, "tokens per pass") > 1.2);
  for (const char* tree : {"widths:2,2", "paths:0,1,0.0", "opt-tree:8", "eagle2:8"}) {
    CAPTURE(tree);
    CHECK(with({"--tree", tree, "--draft-length", "8"}).out == chain.out);
  }
}

TEST_CASE("generate: log-probabilities at temperature 0 do not change what match gives") {
  const program_result plain = run_tiny_pair({"--draft-length", "3"});
  const program_result logged = run_tiny_pair({"--draft-length", "3", "--verifier", "match", "--logprobs"});
  CHECK(logged.status == 0);
  CHECK(logged.out == plain.out);
}

TEST_CASE("generate: lossy verifiers say so, and what they gave away") {
  struct relaxed {
    std::vector<std::string> arguments;
    bool at_zero;
  };
  const std::vector<relaxed> all{{{"lenience", "--lenience", "0.3"}, false},
                                 {{"mentored", "--kl-budget", "0.2"}, false},
                                 {{"cascade", "--cascade-rule", "token-v3", "--cascade-alpha", "0.5"}, false},
                                 {{"top-k", "--accept-top-k", "3"}, true},
                                 {{"margin", "--margin", "4"}, true},
                                 {{"judge", "--judge-bias", "2"}, true},
                                 {{"reflective", "--reflect-alpha", "0.9"}, true}};
  for (const relaxed& one : all) {
    for (const char* temperature : {"0", "0.8"}) {
      if (!one.at_zero && std::string(temperature) == "0") continue;
      std::vector<std::string> arguments{"--tree", "widths:3,1,1", "--draft-length", "9", "--temperature", temperature};
      arguments.push_back("--verifier");
      arguments.insert(arguments.end(), one.arguments.begin(), one.arguments.end());
      const program_result got = run_tiny_pair(arguments);
      CAPTURE(one.arguments.front(), temperature, got.err);
      CHECK(got.status == 0);
      CHECK(contains(got.err, "; lossy\n"));
      CHECK(number_before(got.err, "of 24 tokens accepted where") > 0);
      CHECK(contains(got.err, "nats below the model's best"));
    }
  }
}

TEST_CASE("generate: relaxed verifiers are exact at the end of their settings") {
  const std::vector<std::string> warm{"--draft-length", "4", "--temperature", "0.8", "--verifier"};
  const auto text = [&warm](std::vector<std::string> more) {
    more.insert(more.begin(), warm.begin(), warm.end());
    const program_result got = run_tiny_pair(more);
    CAPTURE(got.err);
    CHECK(got.status == 0);
    return got.out;
  };
  const std::string exact = text({"rejection"});
  CHECK(text({"lenience", "--lenience", "1"}) == exact);
  CHECK(text({"mentored", "--kl-budget", "0"}) == exact);
  CHECK(text({"cascade", "--cascade-alpha", "-100"}) == exact);
  CHECK(text({"judge"}) == exact);
  CHECK(text({"reflective", "--reflect-alpha", "0"}) == exact);
  CHECK(text({"lenience", "--lenience", "0.1"}) != exact);
  const std::string greedy = run_tiny_pair({"--draft-length", "4"}).out;
  const auto at_zero = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"--draft-length", "4", "--verifier"});
    return run_tiny_pair(more).out;
  };
  CHECK(at_zero({"top-k", "--accept-top-k", "1"}) == greedy);
  CHECK(at_zero({"margin", "--margin", "0"}) == greedy);
  CHECK(at_zero({"judge", "--judge-bias", "0"}) == greedy);
  CHECK(at_zero({"reflective", "--reflect-alpha", "0"}) == greedy);
  CHECK(at_zero({"top-k", "--accept-top-k", "50"}) != greedy);
}

TEST_CASE("generate: a judge from a file") {
  const scratch_folder scratch;
  const auto with = [](const std::string& file) {
    return run_tiny_pair({"--draft-length", "4", "--temperature", "0.8", "--verifier", "judge", "--judge-head", file});
  };
  const auto head = [&](std::size_t size, const std::string& rest) {
    std::string weights = "0";
    for (std::size_t i = 1; i < size; ++i) weights += ", 0";
    return scratch.file("judge.json", "{\"weights\": [" + weights + "],\n \"bias\": " + rest + "}\n");
  };
  const std::string size_named = with(head(3, "1")).err;
  check_refused(with(head(3, "1")), "has 3 weights, but rows of this model have");
  const auto size = static_cast<std::size_t>(number_before(size_named, "numbers"));
  const auto biased = [](const char* bias) {
    return run_tiny_pair({"--draft-length", "4", "--temperature", "0.8", "--verifier", "judge", "--judge-bias", bias})
        .out;
  };
  CHECK(with(head(size, "1")).out == biased("1"));
  CHECK(with(head(size, "1, \"threshold\": 1")).out == biased("0"));
  CHECK(biased("0") != biased("1"));
  for (const char* text :
       {"", "[]", "{}", "{\"weights\": [1, 2]}", "{\"bias\": 1}", "{\"weights\": [1 2], \"bias\": 1}",
        "{\"weights\": [], \"bias\": 1}", "{\"weights\": [1], \"bias\": \"x\"}",
        "{\"weights\": [1], \"bias\": 1, \"slope\": 2}", "{\"weights\": [1], \"bias\": 1} more",
        "{\"weights\": [1e99], \"bias\": 1}", "{\"weights\": [1], \"bias\": 1e999}",
        "{\"weights\": [1], \"bias\": 1, \"threshold\": 2}"}) {
    CAPTURE(text);
    check_refused(with(scratch.file("bad.json", text)), "bad.json cannot be used");
  }
  check_refused(with("/nonexistent/judge.json"), "/nonexistent/judge.json");
}

TEST_CASE("generate: settings, trees and verifiers that do not belong together are refused") {
  const auto refused = [](const std::vector<std::string>& more, const std::string& culprit) {
    check_refused(run_tiny_pair(more), culprit);
  };
  refused({"--lenience", "0.5"}, "--lenience is a setting of --verifier lenience, not of greedy");
  refused({"--verifier", "top-k", "--margin", "1"}, "--margin is a setting of --verifier margin, not of top-k");
  refused({"--verifier", "match", "--judge-bias", "1"}, "--judge-bias is a setting of --verifier judge");
  refused({"--verifier", "lenience"}, "it needs a --temperature above 0");
  refused({"--verifier", "cascade", "--temperature", "1", "--draft", "lookup"}, "it needs --draft model:FILE");
  for (const char* tree : {"dyspec:", "dyspec:0", "dyspec:769", "dyspec:4,2", "opt-tree:x", "eagle2:-1"}) {
    refused({"--tree", tree}, std::string("--tree ") + tree + ":");
    refused({"--tree", tree, "--verifier", "rejection", "--temperature", "1"}, std::string("--tree ") + tree + ":");
  }
  const std::vector<std::string> drawn{"--verifier", "rejection", "--temperature", "1", "--tree"};
  const auto drawn_refused = [&](const char* tree, const std::string& culprit) {
    std::vector<std::string> arguments = drawn;
    arguments.push_back(tree);
    refused(arguments, culprit);
  };
  drawn_refused("beam:4", "like 6x5");
  drawn_refused("beam:100x100", "like 6x5");
  drawn_refused("dyspec-threshold:2", "between 0 and 1");
  drawn_refused("opt-tree:8",
                "its tokens are chosen, not drawn, and --verifier rejection is for tokens that are drawn");
  refused({"--tree", "dyspec:8", "--temperature", "1"}, "its tokens are drawn, and --verifier match");
  refused({"--tree", "dyspec:8", "--temperature", "1", "--verifier", "k-seq"},
          "how many tokens the builder draws below a node depends on those drawn before");
  refused({"--tree", "beam:2x2", "--temperature", "1", "--verifier", "block"}, "walks a chain");
  refused({"--tree", "paths:0,1", "--temperature", "1", "--verifier", "canonical"}, "use widths:");
}

TEST_CASE("generate: every order of sampling gives the text of plain decoding, and refuses what it lacks") {
  const std::vector<std::vector<std::string>> samplers{
      {"--typical", "0.9", "--top-n-sigma", "2", "--xtc", "0.5", "--dynamic-temperature", "0.3"},
      {"--repeat-penalty", "1.2", "--frequency-penalty", "0.2", "--penalty-window", "16", "--dry", "0.8"},
      {"--mirostat", "1"},
      {"--mirostat", "2", "--mirostat-tau", "3"},
      {"--adaptive-p", "0.5"},
      {"--sampler-order", "hf", "--epsilon", "0.001", "--eta", "0.002", "--no-repeat-ngram", "3", "--min-tokens", "9"},
      {"--sampler-order", "vllm", "--presence-penalty", "0.5", "--min-tokens", "9", "--min-p", "0.01"}};
  for (std::vector<std::string> more : samplers) {
    CAPTURE(more.front());
    more.insert(more.end(), {"--temperature", "0.9", "--compare"});
    const program_result got = run_tiny_pair(more);
    CHECK(got.status == 0);
    CHECK(contains(got.err, "the texts are identical"));
  }
  check_refused(run_tiny_pair({"--sampler-order", "hf", "--dry", "1"}), "--dry is no part of --sampler-order hf");
  check_refused(run_tiny_pair({"--epsilon", "0.1"}), "--epsilon is no part of --sampler-order llama.cpp");

  const program_result scored = run_tiny_pair({"--logprobs", "--alternatives", "2"});
  CHECK(scored.status == 0);
  CHECK(contains(scored.err, "    best"));
}

TEST_CASE("generate: figures as JSON") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  const std::string file = scratch.file("figures.json");
  const std::vector<std::string> base{"--model",  *model, "--prompt", "One two one two",
                                      "--tokens", "8",    "--json",   file};
  CHECK(run(base).status == 0);
  CHECK(contains(content_of(file), "\"identical\":null"));
  std::vector<std::string> compared = base;
  compared.push_back("--compare");
  CHECK(run(compared).status == 0);
  const std::string figures = content_of(file);
  CHECK(contains(figures, "\"identical\":true"));
  CHECK(contains(figures, "\"guarantee\":\"greedy identical\""));
  CHECK(contains(figures, "\"tokens_per_pass\":"));
}

TEST_CASE("generate: prompts come from an option, a file or standard input alike") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  const std::vector<std::string> base{"--model", *model, "--tokens", "8"};
  const auto with = [&base](std::vector<std::string> more, const std::string& input = "") {
    more.insert(more.begin(), base.begin(), base.end());
    return run(more, input);
  };
  const std::string prompt = "Once upon a time";
  const program_result option = with({"--prompt", prompt});
  CHECK(option.status == 0);
  CHECK(option.out.size() > 1);
  CHECK(with({"--file", scratch.file("prompt", prompt)}).out == option.out);
  CHECK(with({}, prompt).out == option.out);
  CHECK(with({"--chat"}, prompt + "\n").out == with({"--chat", "--prompt", prompt}).out);
}

TEST_CASE("generate: stop texts, log-probabilities, statistics and traces") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const scratch_folder scratch;
  const std::string trace = scratch.file("trace.jsonl");
  const program_result got = run({"--model", *model, "--prompt", "The capital of France is", "--tokens", "24", "--stop",
                                  "aris", "--logprobs", "--stats", "--trace", trace});
  CAPTURE(got.err);
  CHECK(got.status == 0);
  CHECK(got.out == " P\n");
  CHECK(contains(got.err, "ended by: stop string"));
  CHECK(contains(got.err, "logprob"));
  CHECK(contains(got.err, "passes"));
  const std::string lines = content_of(trace);
  CHECK(lines.starts_with("{"));
  CHECK(lines.ends_with("}\n"));
}

TEST_CASE("generate: an interrupt ends the run with the statistics so far") {
  const auto model = decant_test::everyday_model_path();
  if (!model) DECANT_SKIP(decant_test::everyday_model_missing);
  const program_result got = run_until_text_and_interrupt(*model);
  CAPTURE(got.err);
  CHECK(got.status == 130);
  CHECK(contains(got.err, "ended by: cancelled"));
  CHECK(contains(got.err, "passes"));
  CHECK_FALSE(contains(got.err, "compare"));
}

#else

TEST_CASE("generate: the program") { DECANT_SKIP("the program generate is not built, or this is not a POSIX system"); }

#endif
