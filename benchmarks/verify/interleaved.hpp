// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Several things measured against each other on the same cases: round by round everyone takes every case in turn, so
// that a disturbance of the machine hits all alike. What counts of a case is the median of its rounds.
#ifndef DECANT_BENCHMARKS_VERIFY_INTERLEAVED_HPP
#define DECANT_BENCHMARKS_VERIFY_INTERLEAVED_HPP

#include "../support/figures.hpp"

#include <ctime>
#include <functional>

namespace bench {

/// Processor time of this thread between `resume` and `pause`, in microseconds: on a shared machine wall time also
/// holds what others do. Reading it costs about 0.2 us.
class stopwatch {
 public:
  void resume() { start_ = now(); }
  void pause() { total_ += now() - start_; }
  [[nodiscard]] double microseconds() const { return total_; }

 private:
  [[nodiscard]] static double now() {
    std::timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
  }
  double start_ = 0;
  double total_ = 0;
};

/// Microseconds of one call, the mean of `repeats`.
template <class Action>
[[nodiscard]] double timed(std::size_t repeats, Action&& action) {
  stopwatch watch;
  watch.resume();
  for (std::size_t i = 0; i < repeats; ++i) action();
  watch.pause();
  return watch.microseconds() / static_cast<double>(repeats);
}

/// Reads more memory than caches hold, so that what is measured next finds none of its rows there, as after a pass of
/// an engine.
inline void forget_caches() {
  static const std::vector<float> memory(std::size_t{1} << 24, 1.0F);  // 64 MiB
  float sum = 0;
  for (std::size_t i = 0; i < memory.size(); i += 16) sum += memory[i];
  benchmark::DoNotOptimize(sum);
}

struct contestant {
  std::string name;
  std::size_t cases = 0;
  std::function<double(std::size_t)> run;  ///< microseconds of a case
};

/// By contestant: one value per case.
using contest_result = std::map<std::string, sample>;

inline contest_result run_contest(const std::vector<contestant>& all, std::size_t rounds) {
  std::map<std::string, std::vector<sample>> times;
  for (const contestant& one : all) {
    times[one.name].resize(one.cases);
    for (std::size_t i = 0; i < one.cases; ++i) (void)one.run(i);  // warms up
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (const contestant& one : all) {
      for (std::size_t i = 0; i < one.cases; ++i) times[one.name][i].values.push_back(one.run(i));
    }
  }
  contest_result result;
  for (const contestant& one : all) {
    for (const sample& of_case : times[one.name]) result[one.name].values.push_back(of_case.median());
  }
  return result;
}

/// Case by case a / b.
[[nodiscard]] inline sample ratio(const sample& a, const sample& b) {
  sample result;
  for (std::size_t i = 0; i < a.values.size(); ++i) result.values.push_back(a.values[i] / b.values[i]);
  return result;
}

/// The largest value as a sample of its own.
[[nodiscard]] inline sample worst(const sample& s) { return {{s.largest()}}; }

}  // namespace bench

#endif
