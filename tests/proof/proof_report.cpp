// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the whole exact suite and the zoo, and prints what was proved: per verifier the number of configurations and the
// largest total variation, per wrong policy its total variation and that it was rejected.
//   proof_report [--nightly] [--json FILE]
// --nightly: also the deep trees, every builder under every verifier and degenerate worlds, with a line of progress now
// and then. Runs on all processors; the figures do not depend on their number.
// Exit status: 0 when everything exact was proved and everything wrong was rejected, 1 when not, 2 for a wrong command
// line or a file that cannot be written.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "tests/proof/nightly_suite.hpp"
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

/// Prints how far a long run is, at most every ten seconds and once at its end.
class progress {
 public:
  progress(bool wanted, std::size_t all) : wanted_(wanted), all_(all) {}

  void one_more(const exact_case& last) {
    ++done_;
    const double now = seconds();
    if (!wanted_ || (now < next_line_ && done_ < all_)) return;
    next_line_ = now + 10;
    std::fprintf(stderr, "%zu of %zu configurations after %.0f s; last: %s\n", done_, all_, now, last.name().c_str());
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  bool wanted_;
  std::size_t all_;
  std::size_t done_ = 0;
  double next_line_ = 10;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void prove_all(const std::vector<exact_case>& cases, bool tell, report& out) {
  std::atomic<std::size_t> next{0};
  std::mutex guard;
  progress shown(tell, cases.size());
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++) {
      const exact_case& one = cases[i];
      const case_result seen = one.run();
      const std::lock_guard<std::mutex> lock(guard);
      tally& sum = out.verifiers[{one.verifier, one.scalar}];
      ++sum.configurations;
      sum.paths += seen.paths;
      sum.largest = std::max(sum.largest, seen.total_variation);
      shown.one_more(one);
      if (seen.exact) continue;
      ++sum.failures;
      std::printf("NOT PROVED: %s: %s\n", one.name().c_str(), seen.description.c_str());
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) workers.emplace_back(work);
  work();
  for (std::thread& one : workers) one.join();
}

template <class Real>
[[nodiscard]] std::vector<exact_case> suite_of(bool nightly) {
  return nightly ? decant_test::whole_nightly_suite<Real>() : decant_test::exact_suite<Real>();
}

[[nodiscard]] report make_report(bool nightly) {
  report out;
  prove_all(suite_of<double>(nightly), nightly, out);
#ifdef DECANT_TEST_HAS_GMP
  prove_all(suite_of<decant_test::rational>(nightly), nightly, out);
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
  bool nightly = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--nightly") == 0) {
      nightly = true;
    } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json_file = argv[++i];
    } else {
      std::fprintf(stderr, "usage: proof_report [--nightly] [--json FILE]\n");
      return 2;
    }
  }
  const report out = make_report(nightly);
  print(out);
  if (json_file && !(std::ofstream(*json_file) << to_json(out).dump(2) << '\n')) {
    std::fprintf(stderr, "proof_report: %s cannot be written\n", json_file->c_str());
    return 2;
  }
  return out.good() ? 0 : 1;
}
