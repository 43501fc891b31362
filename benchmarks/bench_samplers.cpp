// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What it costs to sample a token, against one read of the row (the maximum of V floats in vectors) in the same run:
// the row's way through a chain, the law and the draw, everything included. Beside it llama.cpp's chains, where it was
// found at build time.
//   bench_samplers [--json FILE]
// Every chain takes the same rows in turn, round by round (benchmarks/verify/interleaved.hpp): eight rows, as in the
// figures of llama.cpp that the bars come from, so that most of a row comes from the shared cache; and, named
// "memory", so many rows that each comes from memory.
#include "support/sampler_chains.hpp"
#include "verify/interleaved.hpp"

#include <decant/core/philox.hpp>
#include <decant/kernels/vocabulary.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/mirostat_v2.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>
#include <decant/sample/typical.hpp>

namespace {

using namespace bench;
using namespace decant;

constexpr std::size_t rounds = 15;

/// A sampler with all that it reuses from token to token.
template <class Sampler>
class token_sampler {
 public:
  explicit token_sampler(Sampler sampler) : sampler_(std::move(sampler)), state_(sampler_.initial_state()) {}

  void remember(token t) { sampler_.advance(state_, t); }
  token operator()(std::span<const float> row) {
    if (sampler_.law(row, state_, scratch_, law_) != error_code::none) return no_token;
    return chance_.pick(sample_key(position_++), law_.view());
  }

 private:
  Sampler sampler_;
  typename Sampler::state_type state_;
  candidates<float> scratch_;
  distribution<float> law_;
  philox_chance chance_{7};
  std::uint64_t position_ = 0;
};

/// One line of the table.
struct entry {
  std::string name;
  double bar;  ///< in reads of the row; negative for none
  std::function<token(std::span<const float>)> ours;
  std::function<token(std::span<const float>)> peer;  ///< empty where there is none
};

template <class... Steps>
std::function<token(std::span<const float>)> chain_of(Steps... steps) {
  return token_sampler(make_sampler(steps...));
}

/// The default chain of llama.cpp's programs behind penalties over the last 64 tokens.
std::function<token(std::span<const float>)> with_penalties(std::size_t vocab_size) {
  token_sampler sampler(
      make_sampler(penalties{.repetition = 1.1f}, top_k{40}, top_p{.95f}, min_p{.05f}, temperature{.8f}));
  for (const token t : last_tokens(vocab_size)) sampler.remember(t);
  return sampler;
}

std::vector<entry> entries(std::size_t vocab_size) {
  using namespace bench::peer;
  std::vector<entry> all;
  all.push_back({"read",
                 -1,
                 [](std::span<const float> row) {
                   return static_cast<token>(cpu::best_vocabulary_kernels().largest(row.data(), row.size()));
                 },
                 {}});
  all.push_back({"default", 1.5, chain_of(top_k{40}, top_p{.95f}, min_p{.05f}, temperature{.8f}), default_chain()});
  all.push_back({"default_and_penalties", 1.7, with_penalties(vocab_size), default_and_penalties(vocab_size)});
  all.push_back({"temperature_and_top_p", 3, chain_of(temperature{.8f}, top_p{.95f}), temperature_and_top_p(.8f)});
  all.push_back({"long_nucleus", 10, chain_of(temperature{1.5f}, top_p{.95f}), temperature_and_top_p(1.5f)});
  all.push_back({"temperature", 2.5, chain_of(temperature{.8f}), temperature_only()});
  all.push_back({"min_p", 2, chain_of(min_p{.05f}), min_p_only()});
  all.push_back({"typical", 12, chain_of(typical{.95f}), typical_only()});
  all.push_back({"mirostat_v2", 4, chain_of(mirostat_v2{}), mirostat()});
  all.push_back({"top_k_1000", 3, chain_of(top_k{1000}), top_k_only()});
  return all;
}

/// Measures all entries over a ring of rows; the time of a row is the mean over `batch` rows, one after the other.
void measure(figures& out, const std::string& prefix, std::size_t vocab_size, std::size_t ring, std::size_t batch) {
  const std::vector<std::vector<float>> rows = peaked_rows(vocab_size, ring);
  std::size_t next = 0;
  const auto time_of = [&](const std::function<token(std::span<const float>)>& sampler) {
    return [&, sampler](std::size_t) {
      return timed(batch, [&] { benchmark::DoNotOptimize(sampler(rows[next++ % ring])); });
    };
  };
  std::map<std::string, std::vector<sample>> times;
  const std::vector<entry> all = entries(vocab_size);
  std::vector<contestant> contestants;
  for (const entry& one : all) {
    contestants.push_back({one.name, rounds, time_of(one.ours)});
    if (one.peer) contestants.push_back({one.name + "/peer", rounds, time_of(one.peer)});
  }
  // Rounds are cases here: one value each, and the table holds their median.
  std::map<std::string, sample> found;
  for (std::size_t round = 0; round < rounds + 2; ++round) {
    for (const contestant& one : contestants) {
      const double microseconds = one.run(round);
      if (round >= 2) found[one.name].values.push_back(microseconds);  // the first ones warm up
    }
  }
  const double read = found["read"].median();
  for (const entry& one : all) {
    const double peer = one.peer ? found[one.name + "/peer"].median() : -1;
    out.add(prefix + one.name, found[one.name], "us", one.bar < 0 ? -1 : one.bar * read, peer);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string json = take_json_option(argc, argv);
  if (argc > 1) {
    std::fprintf(stderr, "usage: bench_samplers [--json FILE]\n");
    return 2;
  }
  figures out;
  for (const std::size_t vocab_size : {std::size_t{49'152}, std::size_t{128'256}}) {
    const std::string prefix = "samplers/V" + std::to_string(vocab_size) + "/";
    measure(out, prefix, vocab_size, 8, 32);
    measure(out, prefix + "memory/", vocab_size, (std::size_t{160} << 20) / (4 * vocab_size), 32);
  }
  out.print();
  if (!json.empty() && !out.write(json)) {
    std::fprintf(stderr, "bench_samplers: %s cannot be written\n", json.c_str());
    return 2;
  }
  return 0;
}
