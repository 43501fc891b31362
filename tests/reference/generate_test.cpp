// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drives the program `generate` as a user would. The path of the program is the compile definition
// DECANT_GENERATE_PROGRAM; without it these tests are skipped.
#include <algorithm>
#include <string>
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
      {{"--model", "m", "--calibrate", "--no-calibrate"}, "--calibrate excludes --no-calibrate"},
      {{"--model", "m", "--draft-length", "3", "--calibrate"}, "--calibrate"},
      {{"--model", "m", "--temperature", "-1"}, "--temperature"},
      {{"--model", "m", "--temperature", "nan"}, "'nan'"},
      {{"--model", "m", "--temperature", "hot"}, "'hot'"},
      {{"--model", "m", "--top-k", "-1"}, "--top-k"},
      {{"--model", "m", "--top-p", "1.5"}, "--top-p: '1.5' is not a number from 0 to 1"},
      {{"--model", "m", "--min-p", "2"}, "--min-p"},
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
