// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The sampled laws of the default suite with many more samples and fresh noise, case by case.
//   sampled_laws [--times N] [--seed S]
// --times: how many times the steps of the default suite, 20 when not given. --seed: the noise, from the clock when not
// given; it is printed, and the same seed gives the same texts. Exit status: 0 when all laws agree and the p values are
// spread as they should be, 1 when not, 2 for a wrong command line.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "tests/sampled/support/sampled_cases.hpp"

namespace {

using namespace decant_test;

struct settings {
  std::size_t times = 20;
  std::uint64_t seed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
};

[[nodiscard]] bool read(int argc, char* argv[], settings& out) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(argv[i + 1], &end, 10);
    if (*end != '\0') return false;
    if (std::strcmp(argv[i], "--times") == 0 && value > 0) {
      out.times = static_cast<std::size_t>(value);
    } else if (std::strcmp(argv[i], "--seed") == 0) {
      out.seed = value;
    } else {
      return false;
    }
  }
  return true;
}

void print(const sampled_case& one, const sampled_world& world, const sampled_report& seen, double seconds) {
  std::printf("%-24s %-16s %6zu %-26s %6.2f %7.1f ", one.verifier.c_str(), one.builder.c_str(), world.vocab_size(),
              world.by.name.c_str(), seen.tokens_per_pass, seconds);
  for (const double p : seen.p_values) std::printf(" %8.2g", p);
  for (const double d : seen.detectable) std::printf(" %6.3f", d);
  std::printf("%s\n", seen.agrees(sampled_alpha) ? "" : "  WRONG LAW");
  if (!seen.failure.empty()) std::printf("  %s\n", seen.failure.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char* argv[]) {
  settings chosen;
  if (!read(argc, argv, chosen)) {
    std::fprintf(stderr, "usage: sampled_laws [--times N] [--seed S]\n");
    return 2;
  }
  std::printf("seed %llu, %zu times the steps of the default suite\n", static_cast<unsigned long long>(chosen.seed),
              chosen.times);
  std::printf("%-24s %-16s %6s %-26s %6s %7s  %-35s %s\n", "verifier", "builder", "V", "rows", "tokens", "seconds",
              "p: first, two, ratio, places", "total variation found with probability .999");
  const auto worlds = sampled_worlds();
  std::vector<law_of_text> laws;
  for (const sampled_world& world : worlds) laws.emplace_back(world);
  std::array<std::vector<double>, sampled_report::tests.size()> p_values;  // of different texts: independent
  std::size_t wrong = 0;
  std::uint64_t number = 0;
  for (const sampled_case& one : sampled_cases()) {
    const std::clock_t begin = std::clock();
    const sampled_text text = decode_text(worlds[one.world], one, chosen.times * one.passes, chosen.seed + number++);
    const sampled_report seen = laws[one.world].compare(text, sampled_alpha);
    print(one, worlds[one.world], seen, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    wrong += !seen.agrees(sampled_alpha);
    for (std::size_t i = 0; i < p_values.size(); ++i) p_values[i].push_back(seen.p_values[i]);
  }
  double uneven = 0;
  for (const auto& of_one_test : p_values) uneven = std::max(uneven, distance_from_uniform(of_one_test));
  std::printf("%zu tests, %zu texts of a wrong law, largest distance of the p values from uniform %.2f of 3.5\n",
              p_values.size() * p_values[0].size(), wrong, uneven);
  return wrong == 0 && uneven < 3.5 ? 0 : 1;
}
