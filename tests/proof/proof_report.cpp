// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the whole exact suite and the zoo, and prints what was proved: per verifier the number of configurations and the
// largest total variation, per wrong policy its total variation and that it was rejected.
//   proof_report [--json FILE]
// Exit status: 0 when everything exact was proved and everything wrong was rejected, 1 when not, 2 for a wrong command
// line or a file that cannot be written.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "tests/proof/zoo.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

namespace {

using decant_test::animal;
using decant_test::case_result;
using decant_test::exact_case;
using nlohmann::json;

/// All configurations of one verifier in one scalar.
struct tally {
  std::size_t configurations = 0;
  std::size_t paths = 0;
  std::size_t failures = 0;
  double largest = 0;
};

struct report {
  std::map<std::pair<std::string, std::string>, tally> verifiers;  // by verifier and scalar
  std::vector<std::pair<animal, case_result>> zoo;
  std::size_t not_rejected = 0;

  [[nodiscard]] tally total() const {
    tally sum;
    for (const auto& [name, one] : verifiers) {
      sum.configurations += one.configurations;
      sum.paths += one.paths;
      sum.failures += one.failures;
      sum.largest = std::max(sum.largest, one.largest);
    }
    return sum;
  }
  [[nodiscard]] bool good() const { return total().failures == 0 && not_rejected == 0; }
};

void prove_all(const std::vector<exact_case>& cases, report& out) {
  for (const exact_case& one : cases) {
    const case_result seen = one.run();
    tally& sum = out.verifiers[{one.verifier, one.scalar}];
    ++sum.configurations;
    sum.paths += seen.paths;
    sum.largest = std::max(sum.largest, seen.total_variation);
    if (seen.exact) continue;
    ++sum.failures;
    std::printf("NOT PROVED: %s: %s\n", one.name().c_str(), seen.description.c_str());
  }
}

[[nodiscard]] report make_report() {
  report out;
  prove_all(decant_test::exact_suite<double>(), out);
#ifdef DECANT_TEST_HAS_GMP
  prove_all(decant_test::exact_suite<decant_test::rational>(), out);
#endif
  for (animal& one : decant_test::all_animals()) {
    case_result seen = one.run(one.steps);
    out.not_rejected += seen.exact;
    out.zoo.emplace_back(std::move(one), std::move(seen));
  }
  return out;
}

void print(const report& out) {
  std::printf("%-22s %-9s %14s %12s %16s\n", "verifier", "scalar", "configurations", "paths", "total variation");
  for (const auto& [name, one] : out.verifiers) {
    std::printf("%-22s %-9s %14zu %12zu %16.3g\n", name.first.c_str(), name.second.c_str(), one.configurations,
                one.paths, one.largest);
  }
  std::printf("\n%-52s %-42s %16s  %s\n", "wrong policy", "setting", "total variation", "verdict");
  for (const auto& [one, seen] : out.zoo) {
    std::printf("%-52s %-42s %16.3g  %s%s\n", one.name.c_str(), one.setting.c_str(), one.distance(seen),
                seen.exact ? "NOT REJECTED" : "rejected", seen.failure.empty() ? "" : ", contract broken");
  }
  const tally total = out.total();
  std::printf(
      "\n%zu configurations (%zu paths), %zu not proved, largest total variation %.3g; %zu wrong policies, %zu "
      "not rejected\n",
      total.configurations, total.paths, total.failures, total.largest, out.zoo.size(), out.not_rejected);
}

/// One entry of "results"; what does not apply is null.
[[nodiscard]] json figure(const std::string& name, double value, const char* unit, std::size_t n) {
  return {{"name", name},     {"value", value},        {"unit", unit}, {"peer", nullptr}, {"ratio", nullptr},
          {"limit", nullptr}, {"over_limit", nullptr}, {"n", n},       {"min", nullptr},  {"max", nullptr}};
}

[[nodiscard]] json machine() {
#if defined(__clang__)
  const char* compiler = "Clang " __clang_version__;
#elif defined(__GNUC__)
  const char* compiler = "GCC " __VERSION__;
#else
  const char* compiler = "unknown";
#endif
  return {{"cpu", nullptr},           {"isa", nullptr},   {"cores", std::thread::hardware_concurrency()},
          {"compiler", compiler},     {"flags", nullptr}, {"commit", nullptr},
          {"read_bandwidth", nullptr}};
}

[[nodiscard]] json to_json(const report& out) {
  json results = json::array();
  for (const auto& [name, one] : out.verifiers) {
    json entry = figure("proof/" + name.first + "/" + name.second, one.largest, "total variation", one.configurations);
    entry["limit"] = name.second == "double" ? 1e-12 : 0.0;
    entry["paths"] = one.paths;
    entry["not_proved"] = one.failures;
    results.push_back(std::move(entry));
  }
  for (const auto& [one, seen] : out.zoo) {
    json entry = figure("zoo/" + one.name, one.distance(seen), "total variation", 1);
    entry["setting"] = one.setting;
    entry["rejected"] = !seen.exact;
    entry["contract"] = seen.failure.empty() ? json(nullptr) : json(seen.failure);
    results.push_back(std::move(entry));
  }
  const tally total = out.total();
  results.push_back(figure("totals/configurations", static_cast<double>(total.configurations), "configurations", 1));
  results.push_back(figure("totals/paths", static_cast<double>(total.paths), "paths", 1));
  results.push_back(figure("totals/not_proved", static_cast<double>(total.failures), "configurations", 1));
  results.push_back(figure("totals/wrong_policies", static_cast<double>(out.zoo.size()), "policies", 1));
  results.push_back(figure("totals/not_rejected", static_cast<double>(out.not_rejected), "policies", 1));
  return {{"machine", machine()}, {"results", std::move(results)}};
}

}  // namespace

int main(int argc, char* argv[]) {
  std::optional<std::string> json_file;
  if (argc == 3 && std::strcmp(argv[1], "--json") == 0) {
    json_file = argv[2];
  } else if (argc != 1) {
    std::fprintf(stderr, "usage: proof_report [--json FILE]\n");
    return 2;
  }
  const report out = make_report();
  print(out);
  if (json_file && !(std::ofstream(*json_file) << to_json(out).dump(2) << '\n')) {
    std::fprintf(stderr, "proof_report: %s cannot be written\n", json_file->c_str());
    return 2;
  }
  return out.good() ? 0 : 1;
}
