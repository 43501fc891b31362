// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reference model: matrix products on weights that stay in the cache (what the kernels do when memory is no limit)
// and, with a model file, whole passes over n rows at two context lengths.
//   bench_model [--model FILE] [--threads N] [--json FILE]
#include "support/figures.hpp"

#include <decant/reference/reference_model.hpp>

#include <cstdlib>
#include <string>
#include <vector>

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

[[nodiscard]] std::vector<token> prompt_of(std::size_t length, std::size_t vocabulary) {
  std::vector<token> tokens(length);
  for (std::size_t i = 0; i < length; ++i) tokens[i] = static_cast<token>(i * 7919 % vocabulary);
  return tokens;
}

/// Times passes over a chain of n rows after `context` tokens.
[[nodiscard]] bench::sample time_rows(reference_model& model, std::size_t context, std::size_t n) {
  token_tree tree(1);
  for (std::size_t i = 1; i < n; ++i) tree.append(static_cast<node_id>(i) - 1, static_cast<token>(i * 13));
  return timed(n > 8 ? 5 : repetitions, [&] {
    static_cast<void>(need(model.evaluate(tree, tree.all())));
    need(model.truncate(context));
  });
}

void measure_context(bench::figures& out, reference_model& model, std::size_t context) {
  need(model.truncate(0));
  need(model.prefill(prompt_of(context, model.vocab_size())));
  const std::string at = "/ctx" + std::to_string(context);
  const bench::sample one = time_rows(model, context, 1);
  out.add("model/plain" + at, rates(one, 1.0), "tokens/s");
  for (const std::size_t n : {2U, 3U, 4U, 6U, 8U, 12U, 16U, 32U, 64U}) {
    const bench::sample seconds = time_rows(model, context, n);
    out.add("model/rows" + std::to_string(n) + at, bench::scaled(seconds, 1e-3), "ms");
    out.add("model/curve" + at + "/n" + std::to_string(n), bench::scaled(seconds, one.median()), "x");
  }
}

void measure_model(bench::figures& out, const char* path, std::size_t threads) {
  reference_options options;
  options.threads = threads;
  options.context = 2048 + 64;
  reference_model model = need(reference_model::load(path, options));
  const std::vector<token> prompt = prompt_of(512, model.vocab_size());
  const bench::sample seconds = timed(3, [&] {
    need(model.truncate(0));
    need(model.prefill(prompt));
  });
  out.add("model/prompt512", rates(seconds, 512.0), "tokens/s");
  for (const std::size_t context : {256U, 2048U}) measure_context(out, model, context);
}

[[nodiscard]] std::string take_option(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
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
}
