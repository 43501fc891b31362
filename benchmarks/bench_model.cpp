// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference model: matrix products on weights that stay in the cache (what the kernels do when memory is no limit)
// and, with a model file, whole passes over n rows at several context lengths, where their time goes, loading, memory,
// and, when llama.cpp was there at build time, its times for the same file, threads and context, taken alternately, and
// the bars that hold or do not.
//   bench_model [--model FILE] [--threads N] [--longest CONTEXT] [--json FILE]
#include "support/figures.hpp"

#include <decant/reference/reference_model.hpp>
#include <decant/reference/tokenizer.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#if defined(DECANT_BENCH_HAS_LLAMA)
#include "support/llama_peer.hpp"
#endif

namespace {

using namespace decant;

constexpr std::size_t repetitions = 15;

[[nodiscard]] double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds per call of `work`, `count` times, after one call that is not timed.
template <class Work>
[[nodiscard]] bench::sample timed(std::size_t count, Work&& work) {
  bench::sample seconds;
  work();
  for (std::size_t i = 0; i < count; ++i) {
    const double start = seconds_now();
    work();
    seconds.values.push_back(seconds_now() - start);
  }
  return seconds;
}

/// `amount` per second for every time of a sample.
[[nodiscard]] bench::sample rates(const bench::sample& seconds, double amount) {
  bench::sample out;
  for (const double s : seconds.values) out.values.push_back(amount / s);
  return out;
}

[[noreturn]] void fail(const error& problem) {
  std::fprintf(stderr, "bench_model: %s\n", problem.message().c_str());
  std::exit(2);
}

template <class T>
[[nodiscard]] T need(result<T> outcome) {
  if (!outcome) fail(outcome.error());
  return std::move(*outcome);
}
void need(const result<void>& outcome) {
  if (!outcome) fail(outcome.error());
}

// --- products ---

void measure_product(bench::figures& out, tensor_type type, std::size_t columns) {
  constexpr std::size_t rows = 256;
  constexpr std::size_t length = 768;
  std::vector<std::byte> bytes(row_bytes(type, length) * rows, std::byte{0x11});
  const gguf_tensor tensor{"weights", type, 2, {length, rows, 1, 1}, 0, bytes};
  const packed_matrix matrix = need(packed_matrix::pack(tensor));
  const cpu::kernel_table& kernels = cpu::kernels_of(best_instruction_set());
  activation_rows input;
  need(input.allocate(columns, length));
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t k = 0; k < length; ++k) input.row(c)[k] = static_cast<float>((k * 7 + c) % 31) - 15.0F;
    input.quantise(kernels, c);
  }
  std::vector<float> result(columns * rows);
  constexpr int calls = 20;
  const bench::sample seconds = timed(repetitions, [&] {
    for (int i = 0; i < calls; ++i) {
      matrix.multiply(kernels, input.view(), columns, result.data(), rows, false, 0, matrix.groups());
    }
    benchmark::DoNotOptimize(result.data());
  });
  const double operations = 2.0 * calls * static_cast<double>(rows * length * columns);
  const std::string name = std::string("kernels/product/") + traits_of(type).name + "/n" + std::to_string(columns);
  out.add(name, rates(seconds, operations / 1e9), "Gop/s");
}

void measure_products(bench::figures& out) {
  for (const tensor_type type : {tensor_type::q4_0, tensor_type::q4_1, tensor_type::q8_0, tensor_type::q4_k,
                                 tensor_type::q6_k, tensor_type::f32}) {
    for (const std::size_t columns : {1U, 2U, 4U, 8U, 64U}) measure_product(out, type, columns);
  }
}

// --- passes ---

#if defined(DECANT_BENCH_HAS_LLAMA)
using peer_type = bench::llama_peer;
#else
/// In place of the peer where there is none.
struct peer_type {
  peer_type(const char*, std::size_t, std::size_t) {}
  void truncate(std::size_t) {}
  void decode(const std::vector<std::int32_t>&, std::size_t, bool) {}
};
#endif

[[nodiscard]] constexpr bool has_peer() noexcept {
#if defined(DECANT_BENCH_HAS_LLAMA)
  return true;
#else
  return false;
#endif
}

/// Seconds of two ways to do the same.
struct duel {
  bench::sample ours;
  bench::sample peer;
};

/// Times two pieces of work alternately. Each gets a rest before, in which threads of the other stop spinning, and one
/// call that is not timed.
template <class Ours, class Peer>
[[nodiscard]] duel alternate(std::size_t count, Ours&& ours, Peer&& peer) {
  const auto once = [](auto& work, bench::sample& seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(15));
    work();
    const double start = seconds_now();
    work();
    seconds.values.push_back(seconds_now() - start);
  };
  duel times;
  for (std::size_t i = 0; i < count; ++i) {
    once(ours, times.ours);
    if (has_peer()) once(peer, times.peer);
  }
  return times;
}

[[nodiscard]] std::vector<token> prompt_of(std::size_t length, std::size_t vocabulary) {
  std::vector<token> tokens(length);
  for (std::size_t i = 0; i < length; ++i) tokens[i] = static_cast<token>(i * 7919 % vocabulary);
  return tokens;
}

/// GB/s of reading 256 MB by a team of threads, the best of five passes. On huge pages, and every run from four places
/// at once: one stream leaves some processors waiting.
[[nodiscard]] double team_bandwidth(std::size_t threads) {
  aligned_buffer<std::uint64_t> buffer;
  need(buffer.allocate(std::size_t{1} << 25));
  std::fill_n(buffer.data(), buffer.size(), std::uint64_t{1});
  const std::span<const std::uint64_t> memory(buffer.data(), buffer.size());
  thread_pool pool(threads);
  const auto read = [&](std::size_t first, std::size_t last) {
    constexpr std::size_t streams = 4;
    const std::size_t length = (last - first) / streams;
    std::uint64_t sum[streams][8] = {};
    for (std::size_t i = first; i < first + length; i += 8) {
      for (std::size_t s = 0; s < streams; ++s) {
        for (std::size_t lane = 0; lane < 8; ++lane) sum[s][lane] += memory[s * length + i + lane];
      }
    }
    benchmark::DoNotOptimize(sum);
  };
  const bench::sample seconds =
      timed(5, [&] { pool.run([&](thread_pool::worker& self) { self.for_ranges(memory.size(), 1U << 16, read); }); });
  return static_cast<double>(memory.size_bytes()) / seconds.smallest() / 1e9;
}

/// Megabytes of this process that are in memory; 0 where the system does not say.
[[nodiscard]] double resident_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) * 1024 / 1e6;
  }
  return 0;
}

/// What is asked of a figure.
struct bar {
  std::string name;
  double value;
  double limit;
  bool at_most;

  [[nodiscard]] bool holds() const noexcept { return at_most ? value <= limit : value >= limit; }
};

/// A model with its peer and what limits both: the bytes that a pass reads at the memory's speed.
class contest {
 public:
  contest(bench::figures& out, const char* path, std::size_t threads, std::size_t longest)
      : out_(out),
        longest_(std::max<std::size_t>(longest, 2048) + 64),
        path_(path),
        threads_(threads),
        bandwidth_(team_bandwidth(threads) * 1e9) {
    load();
    prompt_ = prompt_of(longest_, model_->vocab_size());
    bench::sample bandwidth;
    bandwidth.values.push_back(bandwidth_ / 1e9);
    out_.add("machine/read_bandwidth/threads" + std::to_string(threads), bandwidth, "GB/s");
    measure_memory();
    peer_ = std::make_unique<peer_type>(path, threads, longest_);
  }

  /// From nothing to the row after a prompt of 32 tokens, tokeniser included, with the file in the system's cache; and
  /// the same from stored weights.
  void measure_load() {
    constexpr std::size_t length = 32;
    const std::filesystem::path folder = std::filesystem::temp_directory_path() / "decant_bench_model";
    const auto ours = [&](const char* stored) {
      const gguf_file file = need(gguf_file::open(path_));
      benchmark::DoNotOptimize(need(load_tokenizer(file)));
      reference_options options;
      options.threads = threads_;
      options.weight_folder = stored;
      reference_model model = need(reference_model::load(file, options));
      need(model.prefill(first_tokens(length - 1)));
      static_cast<void>(need(model.evaluate(chain(1), chain(1).all())));
    };
    const duel times = alternate(
        3, [&] { ours(nullptr); },
        [&] { peer_type(path_, threads_, longest_).decode(first_tokens(length), 0, false); });
    add_milliseconds("model/load/first_token", times);
    ask_most("load to first token, of the peer's time", times.ours.median() / times.peer.median(), 0.6);
    const std::string stored = folder.string();
    const duel mapped = alternate(
        3, [&] { ours(stored.c_str()); }, [] {});
    add_milliseconds("model/load/first_token_stored_weights", {mapped.ours, {}});
    std::filesystem::remove_all(folder);
  }

  /// Where the time of a pass over n rows goes, in the median of each part.
  void measure_parts(std::size_t context, std::size_t n) {
    need(model_->truncate(0));
    need(model_->prefill(first_tokens(context)));
    std::vector<bench::sample> parts(pass_part_count);
    for (std::size_t i = 0; i < 4 * repetitions; ++i) {
      pass_clock clock;
      model_->time_passes(&clock);
      static_cast<void>(need(model_->evaluate(chain(n), chain(n).all())));
      need(model_->truncate(context));
      for (std::size_t p = 0; p < pass_part_count; ++p) {
        parts[p].values.push_back(1e6 * clock.seconds(static_cast<pass_part>(p)));
      }
    }
    model_->time_passes(nullptr);
    const std::string name = "model/part/ctx" + std::to_string(context) + "/n" + std::to_string(n) + "/";
    for (std::size_t p = 0; p < pass_part_count; ++p) out_.add(name + pass_part_names[p], parts[p], "us");
  }

  [[nodiscard]] const std::vector<bar>& bars() const noexcept { return bars_; }

  /// Resident memory after a pass over a full context, against weights, keys and values, and 64 MB.
  void measure_memory() {
    need(model_->prefill(first_tokens(2048)));
    static_cast<void>(need(model_->evaluate(chain(64), chain(64).all())));
    bench::sample resident;
    resident.values.push_back(resident_megabytes());
    out_.add("model/memory/ctx2048", resident, "MB", (weight_bytes_ + key_value_bytes(2048)) / 1e6 + 64);
  }

  void measure_prompt() {
    constexpr std::size_t length = 512;
    const duel times = alternate(
        3,
        [&] {
          need(model_->truncate(0));
          need(model_->prefill(first_tokens(length)));
        },
        [&] {
          peer_->truncate(0);
          peer_->decode(first_tokens(length), 0, false);
        });
    add_rate("model/prompt512", times, static_cast<double>(length), 0);
    ask_least("prompt of 512, times the peer's speed", times.peer.median() / times.ours.median(), 8);
  }

  void measure_context(std::size_t context) {
    need(model_->truncate(0));
    need(model_->prefill(first_tokens(context)));
    peer_->truncate(0);
    peer_->decode(first_tokens(context), 0, false);
    const std::string at = "/ctx" + std::to_string(context);
    const duel one = time_rows(context, 1);
    add_rate("model/plain" + at, one, 1.0, floor_seconds(context));
    const bool is_short = context <= 256;
    ask_least("plain" + at + ", times the peer's speed", one.peer.median() / one.ours.median(), is_short ? 3 : 2.5);
    if (is_short)
      ask_least("plain" + at + ", share of read bandwidth", floor_seconds(context) / one.ours.median(), 0.6);
    for (const std::size_t n : {2U, 3U, 4U, 6U, 8U, 12U, 16U, 32U, 64U}) {
      if (context > 2048 && n != 8) continue;
      const duel times = time_rows(context, n);
      out_.add("model/rows" + std::to_string(n) + at, bench::scaled(times.ours, 1e-3), "ms",
               1e3 * floor_seconds(context), has_peer() ? 1e3 * times.peer.median() : -1);
      out_.add("model/curve" + at + "/n" + std::to_string(n), bench::scaled(times.ours, one.ours.median()), "x", -1,
               has_peer() ? times.peer.median() / one.peer.median() : -1);
      if (n != 4 && n != 8) continue;
      const std::string name = std::to_string(n) + " rows" + at;
      const double limit = n == 8 ? 5 : 4.5;
      if (n == 8 || is_short)
        ask_least(name + ", times the peer's speed", times.peer.median() / times.ours.median(), limit);
      if (is_short)
        ask_most(name + ", passes over one row", times.ours.median() / one.ours.median(), n == 8 ? 2.4 : 1.5);
    }
  }

 private:
  /// Loads our model; the file is closed afterwards, so that its pages do not count as memory of this process.
  void load() {
    const gguf_file file = need(gguf_file::open(path_));
    for (const gguf_tensor& tensor : file.tensors()) weight_bytes_ += static_cast<double>(tensor.bytes.size());
    reference_options options;
    options.threads = threads_;
    options.context = longest_;
    model_ = std::make_unique<reference_model>(need(reference_model::load(file, options)));
  }

  [[nodiscard]] std::vector<token> first_tokens(std::size_t count) const {
    return {prompt_.begin(), prompt_.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  [[nodiscard]] static token_tree chain(std::size_t n) {
    token_tree tree(1);
    for (std::size_t i = 1; i < n; ++i) tree.append(static_cast<node_id>(i) - 1, static_cast<token>(i * 13));
    return tree;
  }
  [[nodiscard]] double key_value_bytes(std::size_t tokens) const {
    const llama_config& config = model_->config();
    return static_cast<double>(2 * 2 * config.layers * config.key_width() * tokens);
  }
  /// Weights, keys and values once.
  [[nodiscard]] double floor_seconds(std::size_t context) const {
    return (weight_bytes_ + key_value_bytes(context)) / bandwidth_;
  }

  /// Times passes over a chain of n rows after `context` tokens.
  [[nodiscard]] duel time_rows(std::size_t context, std::size_t n) {
    const token_tree tree = chain(n);
    std::vector<std::int32_t> tokens(tree.size());
    for (std::size_t i = 0; i < n; ++i) tokens[i] = tree.token_of(static_cast<node_id>(i));
    return alternate(
        n > 8 ? 5 : repetitions,
        [&] {
          static_cast<void>(need(model_->evaluate(tree, tree.all())));
          need(model_->truncate(context));
        },
        [&] {
          peer_->decode(tokens, context, true);
          peer_->truncate(context);
        });
  }

  /// Bars against a peer that was not there are left out.
  void ask(const bar& asked) {
    if (std::isfinite(asked.value) && asked.value > 0) bars_.push_back(asked);
  }
  void ask_least(const std::string& name, double value, double limit) { ask({name, value, limit, false}); }
  void ask_most(const std::string& name, double value, double limit) { ask({name, value, limit, true}); }

  void add_milliseconds(const std::string& name, const duel& times) {
    out_.add(name, bench::scaled(times.ours, 1e-3), "ms", -1,
             times.peer.values.empty() ? -1 : 1e3 * times.peer.median());
  }

  /// `amount` per second, with the rate that `floor` seconds would give as the limit.
  void add_rate(const std::string& name, const duel& times, double amount, double floor) {
    const double seconds = times.ours.median();
    nlohmann::json limits = nlohmann::json::object();
    if (floor > 0) limits = {{"limit", amount / floor}, {"over_limit", seconds / floor}};
    out_.add_rate(name, amount / seconds, rates(times.ours, amount), "tokens/s",
                  has_peer() ? amount / times.peer.median() : -1, limits);
  }

  bench::figures& out_;
  std::size_t longest_;
  const char* path_;
  std::size_t threads_;
  double bandwidth_;
  std::vector<bar> bars_;
  double weight_bytes_ = 0;
  std::unique_ptr<reference_model> model_;
  std::unique_ptr<peer_type> peer_;
  std::vector<token> prompt_;
};

void measure_model(bench::figures& out, const char* path, std::size_t threads, std::size_t longest) {
  if (!has_peer()) std::printf("llama.cpp was not there when this program was built: no figures of a peer\n");
  contest both(out, path, threads, longest);
  both.measure_load();
  both.measure_prompt();
  for (const std::size_t n : {1U, 4U, 8U, 64U}) both.measure_parts(256, n);
  for (const std::size_t context : {256U, 2048U, 8192U}) {
    if (context <= longest) both.measure_context(context);
  }
  std::printf("\n%-52s %8s %8s\n", "bar", "value", "asked");
  for (const bar& b : both.bars()) {
    std::printf("%-52s %8.2f %2s %5.2f  %s\n", b.name.c_str(), b.value, b.at_most ? "<=" : ">=", b.limit,
                b.holds() ? "holds" : "misses");
    bench::sample value;
    value.values.push_back(b.value);
    out.add_rate("bar/" + b.name, b.value, value, "", -1,
                 {{b.at_most ? "at_most" : "at_least", b.limit}, {"holds", b.holds()}});
  }
}

[[nodiscard]] std::string take_option(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string json = bench::take_json_option(argc, argv);
  const std::string model = take_option(argc, argv, "--model");
  const std::string threads = take_option(argc, argv, "--threads");
  const std::string longest = take_option(argc, argv, "--longest");
  bench::figures figures;
  measure_products(figures);
  if (!model.empty()) {
    measure_model(figures, model.c_str(), threads.empty() ? 2 : std::strtoul(threads.c_str(), nullptr, 10),
                  longest.empty() ? 8192 : std::strtoul(longest.c_str(), nullptr, 10));
  }
  figures.print();
  if (!json.empty() && !figures.write(json)) {
    std::fprintf(stderr, "bench_model: %s cannot be written\n", json.c_str());
    return 2;
  }
  return 0;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "bench_model: %s\n", problem.what());
  return 2;
}
