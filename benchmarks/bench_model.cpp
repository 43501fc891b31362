// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference model: matrix products on weights that stay in the cache (what the kernels do when memory is no limit)
// and, with a model file, whole passes over n rows at two context lengths, memory, and, when llama.cpp was there at
// build time, its times for the same file, threads and context, taken alternately.
//   bench_model [--model FILE] [--threads N] [--json FILE]
#include "support/figures.hpp"

#include <decant/reference/reference_model.hpp>

#include <cstdlib>
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
  constexpr std::size_t length = 576;
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
  for (const tensor_type type : {tensor_type::q4_1, tensor_type::q8_0, tensor_type::f32}) {
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

/// GB/s of reading 256 MB by a team of threads, the best of five passes.
[[nodiscard]] double team_bandwidth(std::size_t threads) {
  const std::vector<std::uint64_t> memory(std::size_t{1} << 25, 1);
  thread_pool pool(threads);
  const auto read = [&](std::size_t first, std::size_t last) {
    std::uint64_t sum[8] = {};
    for (std::size_t i = first; i < last; i += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) sum[lane] += memory[i + lane];
    }
    benchmark::DoNotOptimize(sum);
  };
  const bench::sample seconds =
      timed(5, [&] { pool.run([&](thread_pool::worker& self) { self.for_ranges(memory.size(), 1U << 16, read); }); });
  return static_cast<double>(memory.size() * sizeof(std::uint64_t)) / seconds.smallest() / 1e9;
}

/// Megabytes of this process that are in memory; 0 where the system does not say.
[[nodiscard]] double resident_megabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) * 1024 / 1e6;
  }
  return 0;
}

/// A model with its peer and what limits both: the bytes that a pass reads at the memory's speed.
class contest {
 public:
  contest(bench::figures& out, const char* path, std::size_t threads)
      : out_(out), bandwidth_(team_bandwidth(threads) * 1e9) {
    load(path, threads);
    prompt_ = prompt_of(longest, model_->vocab_size());
    bench::sample bandwidth;
    bandwidth.values.push_back(bandwidth_ / 1e9);
    out_.add("machine/read_bandwidth/threads" + std::to_string(threads), bandwidth, "GB/s");
    measure_memory();
    peer_ = std::make_unique<peer_type>(path, threads, longest);
  }

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
  }

  void measure_context(std::size_t context) {
    need(model_->truncate(0));
    need(model_->prefill(first_tokens(context)));
    peer_->truncate(0);
    peer_->decode(first_tokens(context), 0, false);
    const std::string at = "/ctx" + std::to_string(context);
    const duel one = time_rows(context, 1);
    add_rate("model/plain" + at, one, 1.0, floor_seconds(context));
    for (const std::size_t n : {2U, 3U, 4U, 6U, 8U, 12U, 16U, 32U, 64U}) {
      const duel times = time_rows(context, n);
      out_.add("model/rows" + std::to_string(n) + at, bench::scaled(times.ours, 1e-3), "ms",
               1e3 * floor_seconds(context), has_peer() ? 1e3 * times.peer.median() : -1);
      out_.add("model/curve" + at + "/n" + std::to_string(n), bench::scaled(times.ours, one.ours.median()), "x", -1,
               has_peer() ? times.peer.median() / one.peer.median() : -1);
    }
  }

 private:
  static constexpr std::size_t longest = 2048 + 64;

  /// Loads our model; the file is closed afterwards, so that its pages do not count as memory of this process.
  void load(const char* path, std::size_t threads) {
    const gguf_file file = need(gguf_file::open(path));
    for (const gguf_tensor& tensor : file.tensors()) weight_bytes_ += static_cast<double>(tensor.bytes.size());
    reference_options options;
    options.threads = threads;
    options.context = longest;
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

  /// `amount` per second, with the rate that `floor` seconds would give as the limit.
  void add_rate(const std::string& name, const duel& times, double amount, double floor) {
    const double seconds = times.ours.median();
    nlohmann::json limits = nlohmann::json::object();
    if (floor > 0) limits = {{"limit", amount / floor}, {"over_limit", seconds / floor}};
    out_.add_rate(name, amount / seconds, rates(times.ours, amount), "tokens/s",
                  has_peer() ? amount / times.peer.median() : -1, limits);
  }

  bench::figures& out_;
  double bandwidth_;
  double weight_bytes_ = 0;
  std::unique_ptr<reference_model> model_;
  std::unique_ptr<peer_type> peer_;
  std::vector<token> prompt_;
};

void measure_model(bench::figures& out, const char* path, std::size_t threads) {
  if (!has_peer()) std::printf("llama.cpp was not there when this program was built: no figures of a peer\n");
  contest both(out, path, threads);
  both.measure_prompt();
  for (const std::size_t context : {256U, 2048U}) both.measure_context(context);
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
  bench::figures figures;
  measure_products(figures);
  if (!model.empty()) {
    measure_model(figures, model.c_str(), threads.empty() ? 2 : std::strtoul(threads.c_str(), nullptr, 10));
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
