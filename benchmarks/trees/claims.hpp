// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the papers say about the order of builders and verifiers, against what was measured here.
#ifndef DECANT_BENCHMARKS_TREES_CLAIMS_HPP
#define DECANT_BENCHMARKS_TREES_CLAIMS_HPP

#include "study.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace trees {

struct method {
  std::string builder;
  std::string verifier;
};

/// "`better` gives at least as many tokens as `worse`", in all worlds, at these budgets and temperatures.
struct claim {
  std::string text;
  std::string source;
  method better;
  method worse;
  std::vector<std::int32_t> budgets;
  std::vector<double> temperatures;
};

/// Relative gain, averaged over the cells that have both methods.
struct finding {
  double gain = 0;
  double error = 0;     ///< standard error of the gain
  double smallest = 0;  ///< over cells
  double largest = 0;
  std::size_t cells = 0;

  [[nodiscard]] const char* verdict() const {
    if (cells == 0) return "not measured";
    if (gain > 2 * error) return "holds";
    return gain < -2 * error ? "does not hold" : "no difference seen";
  }
};

/// `world` empty: all worlds.
[[nodiscard]] inline finding examine(const cell_table& table, const claim& said, const std::string& world = {}) {
  finding seen;
  double square = 0;
  for (const auto& [key, better] : table) {
    const auto among = [](const auto& list, auto value) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (key.builder != said.better.builder || key.verifier != said.better.verifier) continue;
    if (!among(said.budgets, key.budget) || !among(said.temperatures, key.temperature)) continue;
    if (!world.empty() && key.world != world) continue;
    cell_key other = key;
    other.builder = said.worse.builder;
    other.verifier = said.worse.verifier;
    const auto found = table.find(other);
    if (found == table.end()) continue;
    const difference d = difference::of(better.tokens, found->second.tokens);
    const double base = found->second.mean();
    const double gain = d.mean / base;
    seen.smallest = seen.cells == 0 ? gain : std::min(seen.smallest, gain);
    seen.largest = seen.cells == 0 ? gain : std::max(seen.largest, gain);
    seen.gain += gain;
    square += std::pow(d.error / base, 2);
    ++seen.cells;
  }
  if (seen.cells > 0) {
    seen.gain /= static_cast<double>(seen.cells);
    seen.error = std::sqrt(square) / static_cast<double>(seen.cells);
  }
  return seen;
}

[[nodiscard]] inline std::vector<claim> all_claims() {
  const std::vector<std::int32_t> all{4, 8, 16, 32, 64, 128, 768};
  const std::vector<std::int32_t> middle{16, 32, 64, 128};
  const std::vector<double> any{0, 0.6, 1.0};
  const std::vector<double> drawn{0.6, 1.0};
  return {
      {"DySpec > Sequoia at 64 nodes", "2410.11744", {"DySpec heap", "rejection"}, {"Sequoia", "rejection"}, {64}, any},
      {"DySpec drafting at 0.6 > at the target's T = 1",
       "2410.11744",
       {"DySpec heap", "rejection"},
       {"DySpec heap, hot drafts", "rejection"},
       middle,
       {1.0}},
      {"Sequoia > SpecInfer at 64 nodes",
       "2410.11744, 2402.12374",
       {"Sequoia", "rejection"},
       {"SpecInfer", "rejection"},
       {64},
       any},
      {"DySpec's heap > its threshold form at 768 nodes, T = 0.6",
       "2410.11744",
       {"DySpec heap", "rejection"},
       {"DySpec threshold", "rejection"},
       {768},
       {0.6}},
      {"Sequoia > DySpec's threshold form at 768 nodes, T = 0.6",
       "2410.11744",
       {"Sequoia", "rejection"},
       {"DySpec threshold", "rejection"},
       {768},
       {0.6}},
      {"RSD-S >= RSD-C at equal budget", "2402.14160", {"RSD-S", "rejection"}, {"RSD-C", "rejection"}, middle, any},
      {"RSD-C >= independent draws of the same shape",
       "2402.14160",
       {"RSD-C", "rejection"},
       {"SpecInfer", "rejection"},
       all,
       any},
      {"without replacement >= with, binary trees",
       "2402.14160, 2402.12374",
       {"binary, without replacement", "rejection"},
       {"binary, independent", "rejection"},
       all,
       any},
      {"block >= speculative sampling on a chain",
       "2403.10444",
       {"chain", "block"},
       {"chain", "rejection"},
       all,
       drawn},
      {"traversal >= recursive rejection, binary trees",
       "2505.12398",
       {"binary, without replacement", "traversal"},
       {"binary, without replacement", "rejection"},
       all,
       drawn},
      {"traversal >= recursive rejection, DySpec trees",
       "2505.12398",
       {"DySpec heap", "traversal"},
       {"DySpec heap", "rejection"},
       all,
       drawn},
      {"rejection >= membership", "2305.09781", {"RSD-C", "rejection"}, {"RSD-C", "membership"}, all, drawn},
      {"rejection >= K-SEQ on independent draws",
       "(no paper)",
       {"SpecInfer", "rejection"},
       {"SpecInfer", "K-SEQ"},
       all,
       drawn},
      {"a coupling verifier > match on drawn trees",
       "2211.17192",
       {"DySpec heap", "rejection"},
       {"DySpec heap", "match"},
       all,
       drawn},
      {"drawn trees > top-k trees at T = 1 (both with their best verifier)",
       "2410.11744",
       {"DySpec heap", "traversal"},
       {"OPT-Tree", "match"},
       all,
       {1.0}},
      {"top-k trees > drawn trees at T = 0",
       "2406.17276",
       {"OPT-Tree", "match"},
       {"DySpec heap", "rejection"},
       all,
       {0}},
      {"dynamic top-k trees >= static ones",
       "2406.16858",
       {"EAGLE-2", "match"},
       {"calibrated paths", "match"},
       all,
       any},
  };
}

inline void print_claims(const cell_table& table) {
  std::printf("\n%-68s %8s %8s %9s %9s %5s  %s\n", "claim", "gain", "+-", "smallest", "largest", "cells", "verdict");
  for (const claim& said : all_claims()) {
    const finding seen = examine(table, said);
    std::printf("%-68s %+7.1f%% %7.1f%% %+8.1f%% %+8.1f%% %5zu  %s\n", said.text.c_str(), 100 * seen.gain,
                100 * seen.error, 100 * seen.smallest, 100 * seen.largest, seen.cells, seen.verdict());
  }
}

[[nodiscard]] inline nlohmann::json claims_json(const cell_table& table, const std::vector<std::string>& worlds) {
  nlohmann::json list = nlohmann::json::array();
  for (const claim& said : all_claims()) {
    const auto row = [&](const std::string& world) {
      const finding seen = examine(table, said, world);
      return nlohmann::json{{"gain", seen.gain},       {"error", seen.error}, {"smallest", seen.smallest},
                            {"largest", seen.largest}, {"cells", seen.cells}, {"verdict", seen.verdict()}};
    };
    nlohmann::json entry{{"claim", said.text}, {"source", said.source}, {"all", row({})}};
    for (const std::string& world : worlds) entry[world] = row(world);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace trees

#endif
