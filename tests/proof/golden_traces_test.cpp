// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Golden traces: what each policy drafts, which coins it draws under which keys, what it keeps and emits, with the
// production chance source and fixed seeds. One text file per policy under tests/data/traces, compared byte for byte,
// the same for every compiler and optimisation level: all weights are integers, and logarithms (of the exponential race
// and of the entropy) only enter comparisons that are far from a tie.
// A trace changes only when a policy, a key or the generator changes, which breaks users' reproducible texts. When that
// is meant, run this test with DECANT_REGENERATE_TRACES=1 in the environment and commit the files.
#include <decant/core/recording_chance.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

using recorder = recording_chance<philox_chance>;

[[nodiscard]] const char* name_of(last_token_kind kind) {
  switch (kind) {
    case last_token_kind::bonus: return "bonus";
    case last_token_kind::correction: return "correction";
    case last_token_kind::sample: return "sample";
  }
  return "unknown";
}

[[nodiscard]] std::string name_of(tree_edge edge) {
  switch (edge.law) {
    case edge_law::deterministic: return "chosen";
    case edge_law::independent: return "drawn from row " + std::to_string(edge.row);
    case edge_law::without_replacement: return "distinct from row " + std::to_string(edge.row);
  }
  return "unknown";
}

template <class Numbers>
void write_list(std::string& out, const Numbers& numbers) {
  for (const auto number : numbers) out += " " + std::to_string(number);
}

/// Writes each step as it comes.
template <class Machine>
struct trace_writer : generate_hooks {
  Machine& machine;
  std::string& out;

  trace_writer(Machine& watched, std::string& text) : machine(watched), out(text) {}

  void on_step(const decode_step& step) {
    out += "step at position " + std::to_string(machine.context().size() - step.tokens.size() - 1) + "\n";
    const token_tree& tree = machine.draft_tree();
    for (const node_id n : tree.all().subspan(1)) {
      out += "  node " + std::to_string(n) + " below " + std::to_string(tree.parent(n)) + ": token " +
             std::to_string(tree.token_of(n)) + ", " + name_of(tree.edge(n)) + "\n";
    }
    for (const repeated_draw& again : tree.repeats()) {
      out += "  node " + std::to_string(again.child) + " again: " + name_of(again.edge) + "\n";
    }
    chance_recording& coins = machine.chance().recording;
    for (const recorded_draw& draw : coins.draws) {
      out += std::string("  ") + name(draw.primitive) + " (" + name(draw.key.purpose) + " " +
             std::to_string(draw.key.position) + "/" + std::to_string(draw.key.index) + "):";
      write_list(out, coins.outcome(draw));
      out += "\n";
    }
    coins.clear();
    out += "  kept";
    write_list(out, step.kept);
    out += ", emitted";
    write_list(out, step.tokens);
    out += std::string(", last a ") + name_of(step.last_kind) + "\n";
  }
};

template <class Builder, class V>
void write_trace(std::string& out, const proof::toy<double>& world, const Builder& builder, const V& verifier,
                 std::uint64_t seed) {
  out += "\ntoy " + world.name + ", seed " + std::to_string(seed) + "\n";
  decode_options options;
  options.vocab_size = world.vocab_size();
  options.context_size = 100;
  options.max_tokens = 12;
  using drafter = decltype(proof::drafter_of(world, builder));
  using machine_type = speculation<drafter, V, given_law, recorder, double>;
  machine_type machine(proof::drafter_of(world, builder), verifier, given_law{}, recorder{philox_chance{seed}, {}},
                       options);
  law_model<proof::erased_law<double>> model(world.target);
  const auto finished = generate(model, machine, world.prompt, trace_writer<machine_type>(machine, out));
  out += finished ? "text" : std::string("error ") + finished.error().message().c_str();
  write_list(out, machine.context());
  out += "\n";
}

/// The trace of a policy on toys A and B and on random ones.
template <class Builder, class V>
[[nodiscard]] std::string trace_of(const std::string& title, const Builder& builder, const V& verifier) {
  std::string out = title + "\n";
  const proof::toy<double> toys[] = {proof::toy_a<double>(), proof::toy_b<double>(), proof::random_toy<double>(3),
                                     proof::random_toy<double>(6), proof::random_toy<double>(10)};
  for (const auto& world : toys) {
    for (const std::uint64_t seed : {1u, 2u}) write_trace(out, world, builder, verifier, seed);
  }
  return out;
}

[[nodiscard]] std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The first line in which two texts differ, for the message of a failure.
[[nodiscard]] std::string first_difference(const std::string& seen, const std::string& expected) {
  std::istringstream a(seen);
  std::istringstream b(expected);
  std::string line_a;
  std::string line_b;
  for (int line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return "no difference";
    if (more_a != more_b || line_a != line_b) {
      return "line " + std::to_string(line) + ": seen '" + (more_a ? line_a : "end") + "', expected '" +
             (more_b ? line_b : "end") + "'";
    }
  }
}

void check_trace(const std::string& name, const std::string& seen) {
  const std::filesystem::path path = std::filesystem::path(DECANT_TEST_DATA_DIR) / "traces" / (name + ".txt");
  const char* regenerate = std::getenv("DECANT_REGENERATE_TRACES");
  if (regenerate != nullptr && std::string(regenerate) == "1") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << seen;
  }
  const std::string expected = read(path);
  INFO(path.string() << ": " << first_difference(seen, expected));
  CHECK(!expected.empty());
  CHECK(seen == expected);
}

}  // namespace

TEST_CASE("golden traces of match") {
  check_trace("match_ranked_tree", trace_of("match, widths 2 2, ranked", static_widths<ranked>{{2, 2}}, match{}));
  check_trace("match_drawn_tree",
              trace_of("match, widths 2 1, without replacement", static_widths<without_replacement>{{2, 1}}, match{}));
}

TEST_CASE("golden traces of greedy") {
  check_trace("greedy_ranked_paths",
              trace_of("greedy, paths 0, 1, 0 0, ranked", static_paths<ranked>({{0}, {1}, {0, 0}}), greedy{}));
}

TEST_CASE("golden traces of speculative sampling") {
  check_trace("speculative_sampling_chain",
              trace_of("speculative sampling, chain 3", chain<independent>{3}, speculative_sampling{}));
}

TEST_CASE("golden traces of recursive rejection") {
  const recursive_rejection verifier;
  check_trace("recursive_rejection_independent",
              trace_of("recursive rejection, widths 3 2, independent", static_widths<independent>{{3, 2}}, verifier));
  check_trace("recursive_rejection_distinct", trace_of("recursive rejection, widths 3 2, without replacement",
                                                       static_widths<without_replacement>{{3, 2}}, verifier));
  check_trace("recursive_rejection_ranked",
              trace_of("recursive rejection, widths 2 1, ranked", static_widths<ranked>{{2, 1}}, verifier));
  check_trace("recursive_rejection_mixed",
              trace_of("recursive rejection, a chosen, a drawn and a distinct child",
                       scripted_builder<>{"", {{draw_kind::chosen, draw_kind::drawn, draw_kind::distinct}}}, verifier));
}

TEST_CASE("golden traces of typical acceptance") {
  check_trace("typical_acceptance_ranked_tree", trace_of("typical acceptance (0.3, 0.09), widths 2 2, ranked",
                                                         static_widths<ranked>{{2, 2}}, typical_acceptance::swapped()));
}

}  // namespace decant_test
