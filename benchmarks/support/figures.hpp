// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every benchmark program prints and writes: figures with name, median, peer and limit, beside a description of
// the machine. Runs are Google Benchmark's, repeated; medians are taken over repetitions.
#ifndef DECANT_BENCHMARKS_SUPPORT_FIGURES_HPP
#define DECANT_BENCHMARKS_SUPPORT_FIGURES_HPP

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#ifndef DECANT_BENCH_COMMIT
#define DECANT_BENCH_COMMIT "unknown"
#endif
#ifndef DECANT_BENCH_FLAGS
#define DECANT_BENCH_FLAGS "unknown"
#endif

namespace bench {

/// One measured quantity over repetitions.
struct sample {
  std::vector<double> values;

  [[nodiscard]] double median() const {
    std::vector<double> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
  }
  [[nodiscard]] double smallest() const { return *std::min_element(values.begin(), values.end()); }
  [[nodiscard]] double largest() const { return *std::max_element(values.begin(), values.end()); }
};

inline std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

inline std::string isa_name() {
#if defined(__x86_64__) || defined(__i386__)
  if (__builtin_cpu_supports("avx512f")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  return "sse2";
#else
  return "unknown";
#endif
}

/// GB/s of reading 256 MB, the best of five passes by one thread.
inline double read_bandwidth() {
  const std::vector<std::uint64_t> memory(std::size_t{1} << 25, 1);
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t sum[8] = {};
    for (std::size_t i = 0; i < memory.size(); i += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) sum[lane] += memory[i + lane];
    }
    benchmark::DoNotOptimize(sum);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(memory.size() * sizeof(std::uint64_t)) / taken.count() / 1e9);
  }
  return best;
}

/// What a figure depends on beside the code.
inline nlohmann::json machine_facts() {
  return {{"cpu", cpu_name()},
          {"isa", isa_name()},
          {"cores", std::thread::hardware_concurrency()},
          {"compiler", __VERSION__},
          {"flags", DECANT_BENCH_FLAGS},
          {"commit", DECANT_BENCH_COMMIT},
          {"read_bandwidth_gb_s", read_bandwidth()}};
}

/// Figures of one program.
class figures {
 public:
  /// `limit`: the most the figure may be, `peer`: the figure of what it is compared with; negative when there is none.
  void add(const std::string& name, const sample& measured, const std::string& unit, double limit = -1,
           double peer = -1) {
    const double value = measured.median();
    results_.push_back({{"name", name},
                        {"value", value},
                        {"unit", unit},
                        {"peer", optional(peer)},
                        {"ratio", peer > 0 ? nlohmann::json(peer / value) : nlohmann::json()},
                        {"limit", optional(limit)},
                        {"over_limit", limit > 0 ? nlohmann::json(value / limit) : nlohmann::json()},
                        {"n", measured.values.size()},
                        {"min", measured.smallest()},
                        {"max", measured.largest()}});
  }

  /// A figure of which more is better, whose value is not the median of its sample. `fields` are added to the row.
  void add_rate(const std::string& name, double value, const sample& measured, const std::string& unit, double peer,
                const nlohmann::json& fields = nlohmann::json::object()) {
    add(name, measured, unit);
    nlohmann::json& row = results_.back();
    row["value"] = value;
    row["peer"] = optional(peer);
    row["ratio"] = peer > 0 ? nlohmann::json(value / peer) : nlohmann::json();
    row.update(fields);
  }

  void print() const {
    std::printf("\n%-44s %12s %-8s %12s %10s\n", "figure", "median", "", "limit", "of limit");
    for (const auto& r : results_) {
      std::printf("%-44s %12.4g %-8s", r["name"].get<std::string>().c_str(), r["value"].get<double>(),
                  r["unit"].get<std::string>().c_str());
      if (r["limit"].is_null()) {
        std::printf(" %12s %10s\n", "-", "-");
      } else {
        std::printf(" %12.4g %10.2f\n", r["limit"].get<double>(), r["over_limit"].get<double>());
      }
    }
  }

  /// Writes {machine, results}; false when the file cannot be written.
  [[nodiscard]] bool write(const std::string& path) const {
    std::ofstream file(path);
    file << nlohmann::json{{"machine", machine_facts()}, {"results", results_}}.dump(2) << '\n';
    return file.good();
  }

 private:
  [[nodiscard]] static nlohmann::json optional(double value) {
    return value < 0 ? nlohmann::json() : nlohmann::json(value);
  }

  nlohmann::json results_ = nlohmann::json::array();
};

/// Collects nanoseconds per iteration of every repetition, by benchmark name, while printing as usual.
class collector : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Iteration) {
        times_[run.run_name.function_name + arguments(run)].values.push_back(run.GetAdjustedCPUTime());
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }

  /// Nanoseconds of one iteration. Empty when the benchmark did not run.
  [[nodiscard]] sample time(const std::string& name) const {
    const auto found = times_.find(name);
    return found == times_.end() ? sample{} : found->second;
  }
  [[nodiscard]] bool ran(const std::string& name) const { return times_.count(name) > 0; }

 private:
  [[nodiscard]] static std::string arguments(const Run& run) {
    return run.run_name.args.empty() ? "" : "/" + run.run_name.args;
  }
  std::map<std::string, sample> times_;
};

/// Takes `--json FILE` out of the command line; returns FILE or an empty string.
inline std::string take_json_option(int& argc, char** argv) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--json") != 0) continue;
    std::string path = argv[i + 1];
    std::rotate(argv + i, argv + i + 2, argv + argc);
    argc -= 2;
    return path;
  }
  return {};
}

/// Every value divided by a constant.
inline sample scaled(sample s, double divisor) {
  for (double& v : s.values) v /= divisor;
  return s;
}

}  // namespace bench

#endif
