// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The shoot-out of tree builders and verifiers at equal budgets: tokens per target pass, and estimated speed for three
// cost curves, on
//   (a) toy laws, of which the drafter knows a given share,
//   (b) rows of a real model at sites in its own answers to real prompts, with a drafter that sees them through noise,
//   (c) the tiny pair of models, whole texts;
// then whether the orderings hold that the papers report.
//   bench_trees [--json FILE] [--only toy|text|pair] [--effort N] [--model FILE --prompts FILE.jsonl [--sites N]]
// (b) needs --model and --prompts (Spec-Bench's format) and is left out without. --effort multiplies the drafts per
// site (default 1). Exit status 2 and one sentence for a wrong command line or file.
#include "trees/calibration.hpp"
#include "trees/claims.hpp"
#include "trees/study.hpp"
#include "trees/worlds.hpp"

#ifdef DECANT_BENCH_HAS_REFERENCE
#include "trees/pair_contest.hpp"
#include "trees/recorded_world.hpp"
#include "trees/text_sites.hpp"

#include <decant/control/calibrate.hpp>
#endif

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "support/figures.hpp"

namespace {

using namespace trees;

struct options {
  std::string json;
  std::string only;
  std::string model;
  std::string prompts;
  std::size_t sites = 24;
  int effort = 1;

  [[nodiscard]] bool wants(std::string_view part) const { return only.empty() || only == part; }
};

[[nodiscard]] options read_options(int argc, char** argv) {
  options chosen;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) throw std::runtime_error(std::string(name) + " needs a value");
    const char* value = argv[i + 1];
    if (name == "--json") {
      chosen.json = value;
    } else if (name == "--only") {
      chosen.only = value;
    } else if (name == "--model") {
      chosen.model = value;
    } else if (name == "--prompts") {
      chosen.prompts = value;
    } else if (name == "--sites") {
      chosen.sites = std::strtoul(value, nullptr, 10);
    } else if (name == "--effort") {
      chosen.effort = std::atoi(value);
    } else {
      throw std::runtime_error("unknown option " + std::string(name));
    }
  }
  if (!chosen.only.empty() && chosen.only != "toy" && chosen.only != "text" && chosen.only != "pair") {
    throw std::runtime_error("--only takes toy, text or pair");
  }
  if (chosen.effort < 1 || chosen.sites < 2) throw std::runtime_error("--effort is at least 1, --sites at least 2");
  if (chosen.model.empty() != chosen.prompts.empty()) throw std::runtime_error("--model and --prompts go together");
  return chosen;
}

class shoot_out {
 public:
  explicit shoot_out(options chosen) : chosen_(std::move(chosen)) {
    settings_.curves = {
        {"cpu", cost_curve::cpu_like()}, {"flat", cost_curve::flat()}, {"offload", cost_curve::offload()}};
  }

  void run() {
    if (chosen_.wants("toy")) timed("toy laws", [this] { run_toys(); });
#ifdef DECANT_BENCH_HAS_REFERENCE
    if (chosen_.wants("text") && !chosen_.model.empty()) timed("rows of a real model", [this] { run_texts(); });
    if (chosen_.wants("pair")) timed("the tiny pair", [this] { run_pair(); });
#else
    std::printf("the parts with models are left out: this build has no reference model\n");
#endif
  }

  void report() const {
    print_tokens();
    print_claims(table_);
    if (chosen_.json.empty()) return;
    if (!write_json()) throw std::runtime_error("the figures cannot be written to " + chosen_.json);
  }

 private:
  template <class Part>
  void timed(const char* what, Part&& part) {
    const auto start = std::chrono::steady_clock::now();
    part();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::printf("%s: %.0f s\n", what, taken.count());
    seconds_[what] = taken.count();
  }

  void run_toys() {
    for (const double share : {0.1, 0.3, 0.6}) {
      toy_world place(64, 128, share);
      compare(place, 12 * chosen_.effort);
    }
  }

  void compare(world& place, int effort) {
    worlds_.push_back(place.name());
    qualities_[place.name()] = measure(place);
    const calibration known = calibrate_ranks(place, settings_, effort);
    const std::vector<judge> judges = all_judges();
    for (const double temperature : settings_.temperatures) {
      for (const std::int32_t budget : settings_.budgets) {
        for (const contestant& one : all_contestants(budget, known.at(temperature))) {
          duel(place, settings_, one, budget, temperature, study_settings::repetitions(effort, budget))
              .run(judges, table_);
        }
      }
    }
  }

#ifdef DECANT_BENCH_HAS_REFERENCE
  /// Without the largest budget: every context of a tree is a row of the real model.
  void run_texts() {
    settings_.budgets.pop_back();
    text_sites texts(chosen_.model, chosen_.prompts, chosen_.sites);
    settings_.curves[0].curve = calibrate(texts.model(), steady_clock{}).value_or_throw().curve;
    row_recorder rows(texts.model(), texts.contexts());
    for (const double noise : {0.5, 1.0, 2.0}) {
      recorded_world place(rows, noise);
      compare(place, 2 * chosen_.effort);
    }
    std::printf("%zu contexts evaluated\n", rows.row_count());
  }

  void run_pair() {
    pair_contest contest(DECANT_TINY_PAIR "/tiny-target.gguf", DECANT_TINY_PAIR "/tiny-draft.gguf", settings_);
    worlds_.push_back(pair_contest::name());
    contest.run(table_);
  }
#endif

  /// Tokens per pass at 64 nodes, a row per world and temperature.
  void print_tokens() const {
    std::printf("\n%-18s %5s %6s  %-28s %-10s %8s %8s %8s %8s\n", "world", "T", "nodes", "builder", "verifier",
                "tokens", "cpu", "flat", "offload");
    for (const auto& [key, one] : table_) {
      if (key.budget != 64) continue;
      std::printf("%-18s %5.1f %6.1f  %-28s %-10s %8.3f", key.world.c_str(), key.temperature, one.nodes,
                  key.builder.c_str(), key.verifier.c_str(), one.mean());
      for (const double speed : one.speeds) std::printf(" %8.2f", speed);
      std::printf("\n");
    }
  }

  [[nodiscard]] bool write_json() const {
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [key, one] : table_) {
      nlohmann::json row{{"world", key.world},       {"temperature", key.temperature},
                         {"budget", key.budget},     {"builder", key.builder},
                         {"verifier", key.verifier}, {"tokens", one.mean()},
                         {"nodes", one.nodes},       {"passes", one.passes}};
      row["error"] = difference::of(one.tokens, std::vector<double>(one.tokens.size(), 0.0)).error;
      for (std::size_t c = 0; c < one.speeds.size(); ++c) row["speed"][settings_.curves[c].name] = one.speeds[c];
      rows.push_back(std::move(row));
    }
    nlohmann::json quality;
    for (const auto& [world, one] : qualities_) {
      quality[world] = {{"overlap", one.overlap}, {"same_top_token", one.same_top}};
    }
    const nlohmann::json all{{"machine", bench::machine_facts()},
                             {"seconds", seconds_},
                             {"draft_quality", quality},
                             {"claims", claims_json(table_, worlds_)},
                             {"results", std::move(rows)}};
    std::ofstream file(chosen_.json);
    file << all.dump(1) << '\n';
    return file.good();
  }

  options chosen_;
  study_settings settings_;
  cell_table table_;
  std::vector<std::string> worlds_;
  std::map<std::string, draft_quality> qualities_;
  std::map<std::string, double> seconds_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    shoot_out contest(read_options(argc, argv));
    contest.run();
    contest.report();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "bench_trees: %s\n", failure.what());
    return 2;
  }
}
