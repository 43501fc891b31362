// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention over keys and values in memory: time and share of the measured read bandwidth for contexts of 256 to 65,536
// tokens, 1 to 64 rows, one and two threads; the ways to share out ragged batches; a naive form beside.
//   bench_attention [--json FILE]
// Ways that are compared are measured in turn, round by round. A figure of a context covers enough layers of keys and
// values (each with memory of its own) that they do not stay in the cache: at least 64 MB.
#include "support/figures.hpp"

#include <decant/kernels/attention.hpp>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace decant;

constexpr std::size_t rounds = 7;

[[nodiscard]] double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Two threads, the calling one included, that wait for each other.
class two_threads {
 public:
  two_threads() : other_([this] { serve(); }) {}
  ~two_threads() {
    stop_ = true;
    ++round_;
    other_.join();
  }
  two_threads(const two_threads&) = delete;
  two_threads& operator=(const two_threads&) = delete;

  template <class Body>
  void operator()(std::size_t workers, Body&& body) {
    if (workers < 2) return body(0);
    body_ = [&body](std::size_t w) { body(w); };
    const unsigned now = ++round_;
    body(0);
    wait(done_, now - 1);
  }

 private:
  /// Spins for a moment, then lets others run.
  static void wait(const std::atomic<unsigned>& value, unsigned old) {
    for (int spins = 0; value.load(std::memory_order_acquire) == old; ++spins) {
      if (spins > 2000) std::this_thread::yield();
    }
  }
  void serve() {
    for (unsigned seen = 0;;) {
      wait(round_, seen);
      ++seen;
      if (stop_) return;
      body_(1);
      done_.store(seen, std::memory_order_release);
    }
  }
  std::function<void(std::size_t)> body_;
  std::atomic<unsigned> round_{0}, done_{0};
  std::atomic<bool> stop_{false};
  std::thread other_;
};

/// GB/s of reading 256 MB by the threads of a team together, the best of five passes.
[[nodiscard]] double read_rate(two_threads& team, std::size_t threads) {
  const std::vector<std::uint64_t> memory(std::size_t{1} << 25, 1);
  const std::size_t part = memory.size() / threads;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const double start = seconds_now();
    team(threads, [&](std::size_t w) {
      std::uint64_t sum[8] = {};
      for (std::size_t i = w * part; i < (w + 1) * part; i += 8) {
        for (std::size_t lane = 0; lane < 8; ++lane) sum[lane] += memory[i + lane];
      }
      benchmark::DoNotOptimize(sum);
    });
    best = std::max(best, static_cast<double>(memory.size() * sizeof(std::uint64_t)) / (seconds_now() - start) / 1e9);
  }
  return best;
}

/// Sequences of given lengths with some rows each, over several layers: heads of SmolLM2-135M, 9 queries to 3 keys
/// of 64.
template <class Element>
class batch {
 public:
  static constexpr std::size_t key_heads = 3;
  static constexpr std::size_t size = 64;
  static constexpr std::size_t width = 9 * size;

  batch(std::vector<std::size_t> lengths, std::size_t rows, std::size_t least_bytes, std::size_t scale_block = 0)
      : lengths_(std::move(lengths)), rows_(rows) {
    shape.scale_block = scale_block;
    std::size_t all = 0;
    for (const std::size_t n : lengths_) all += n;
    bytes_per_layer_ = 2 * all * key_heads * size * sizeof(Element);
    layers_ = std::max<std::size_t>(1, least_bytes / bytes_per_layer_);
    need(data_.allocate(layers_ * bytes_per_layer_ / sizeof(Element)));
    need(scales_.allocate(all * scales_of_token()));
    for (std::size_t i = 0; i < data_.size(); ++i) {
      const std::uint64_t bits = (i * 0x9E3779B97F4A7C15ULL) >> 40;
      if constexpr (sizeof(Element) == 4) data_.data()[i] = static_cast<float>(bits) * 0x1p-23F - 1.0F;
      if constexpr (sizeof(Element) == 2) {
        data_.data()[i] = static_cast<std::uint16_t>((bits & 0x83FFU) | 0x3800U | (bits & 0x8000U));
      }
      if constexpr (sizeof(Element) == 1) data_.data()[i] = static_cast<Element>(bits);
    }
    std::fill_n(scales_.data(), scales_.size(), 0.01F);
    const std::size_t outputs = lengths_.size() * rows_ * width;
    queries_.assign(outputs, 0.3F);
    tails_.assign(lengths_.size() * rows_ * key_heads * size, Element{});
    tail_scales_.assign(lengths_.size() * rows_ * scales_of_token(), 0.01F);
    out_.resize(outputs);
    for (std::size_t r = 0; r < rows_; ++r) visible_.push_back(~std::uint64_t{0} >> (63 - r));
    for (std::size_t l = 0; l < layers_; ++l) add_layer(l);
  }

  [[nodiscard]] double bytes() const { return static_cast<double>(layers_ * bytes_per_layer_); }
  [[nodiscard]] std::size_t layers() const { return layers_; }

  /// Seconds per layer.
  [[nodiscard]] double time(attention_schedule schedule, std::size_t threads, two_threads& team) {
    attention_plan plan;
    plan.build<Element>(shape, segments_.front(), requests_, schedule, threads);
    need(runner_.prepare(shape, plan));
    const double start = seconds_now();
    for (std::size_t l = 0; l < layers_; ++l) runner_.attend(shape, plan, segments_[l], requests_, team);
    return (seconds_now() - start) / static_cast<double>(layers_);
  }

  /// Seconds per layer of every row and head by itself: scores, soft-max, sum.
  [[nodiscard]] double naive_time() {
    const double start = seconds_now();
    std::vector<float> scores;
    for (std::size_t s = 0; s < lengths_.size(); ++s) {
      const key_value_view<Element>& view = segments_[0][s].data;
      for (std::size_t item = 0; item < rows_ * 9; ++item) {
        const Element* keys = view.keys + item % 9 / 3 * view.key_head_stride;
        const Element* values = view.values + item % 9 / 3 * view.value_head_stride;
        float* out = out_.data() + (s * rows_ * 9 + item) * size;
        naive_head(keys, values, view.key_stride, lengths_[s], scores, out);
      }
    }
    return seconds_now() - start;
  }

  attention_shape shape{9, key_heads, size, size, 0.125F};

 private:
  [[nodiscard]] std::size_t scales_of_token() const { return key_heads * shape.scales_of(size); }

  static void need(const result<void>& outcome) {
    if (outcome) return;
    std::fprintf(stderr, "bench_attention: %s\n", outcome.error().message().c_str());
    std::exit(2);
  }
  static float value_of(float x) { return x; }
  static float value_of(std::uint16_t x) { return half_to_float(x); }
  static float value_of(std::int8_t x) { return 0.01F * static_cast<float>(x); }

  static void naive_head(const Element* keys, const Element* values, std::size_t stride, std::size_t count,
                         std::vector<float>& scores, float* out) {
    scores.resize(count);
    float top = -HUGE_VALF;
    for (std::size_t t = 0; t < count; ++t) {
      float s = 0;
      for (std::size_t d = 0; d < size; ++d) s += 0.0375F * value_of(keys[t * stride + d]);
      scores[t] = s;
      top = std::max(top, s);
    }
    float total = 0;
    std::fill_n(out, size, 0.0F);
    for (std::size_t t = 0; t < count; ++t) {
      const float w = std::exp(scores[t] - top);
      total += w;
      for (std::size_t d = 0; d < size; ++d) out[d] += w * value_of(values[t * stride + d]);
    }
    for (std::size_t d = 0; d < size; ++d) out[d] /= total;
  }

  void add_layer(std::size_t layer) {
    const Element* at = data_.data() + layer * bytes_per_layer_ / sizeof(Element);
    const float* scales = scales_.data();
    constexpr std::size_t token = key_heads * size;
    const std::size_t token_scales = scales_of_token();
    const std::size_t head_scales = token_scales / key_heads;
    std::vector<attention_segment<Element>> segments;
    for (std::size_t s = 0; s < lengths_.size(); ++s) {
      const std::size_t n = lengths_[s] * token;
      segments.push_back(
          {{at, token, size, at + n, token, size, scales, scales, token_scales, head_scales}, lengths_[s]});
      at += 2 * n;
      scales += lengths_[s] * token_scales;
      if (layer > 0) continue;
      const Element* tail = tails_.data() + s * rows_ * token;
      const float* tail_scales = tail_scales_.data();
      requests_.push_back({static_cast<std::uint32_t>(s),
                           rows_,
                           {tail, token, size, tail, token, size, tail_scales, tail_scales, token_scales, head_scales},
                           rows_,
                           visible_.data(),
                           nullptr,
                           nullptr,
                           queries_.data() + s * rows_ * width,
                           width,
                           out_.data() + s * rows_ * width,
                           width});
    }
    segments_.push_back(std::move(segments));
  }

  std::vector<std::size_t> lengths_;
  std::size_t rows_;
  std::size_t bytes_per_layer_ = 0;
  std::size_t layers_ = 1;
  aligned_buffer<Element> data_;
  aligned_buffer<float> scales_;
  std::vector<float> queries_, out_, tail_scales_;
  std::vector<Element> tails_;
  std::vector<std::uint64_t> visible_;
  std::vector<std::vector<attention_segment<Element>>> segments_;  // [layer]
  std::vector<attention_request<Element>> requests_;
  attention_runner<Element> runner_;
};

template <class Element>
void measure(bench::figures& out, two_threads& team, const char* element, std::size_t context, std::size_t rows,
             const double (&rates)[2], std::size_t scale_block = 0) {
  batch<Element> b({context}, rows, std::size_t{64} << 20, scale_block);
  for (const std::size_t threads : {1U, 2U}) {
    bench::sample us;
    for (std::size_t i = 0; i <= rounds; ++i) {
      const double seconds = b.time(attention_schedule::fixed_chunks, threads, team);
      if (i > 0) us.values.push_back(seconds * 1e6);
    }
    const double rate = b.bytes() / static_cast<double>(b.layers()) / us.median() / 1e3;
    const std::string name = std::string(element) + "/context_" + std::to_string(context) + "/rows_" +
                             std::to_string(rows) + "/threads_" + std::to_string(threads);
    out.add_rate(name, us.median(), us, "us/layer", -1,
                 {{"gb_s", rate}, {"share_of_read_bandwidth", rate / rates[threads - 1]}});
    std::printf("%-44s %10.1f us %7.1f GB/s %6.2f of reading\n", name.c_str(), us.median(), rate,
                rate / rates[threads - 1]);
  }
}

/// One head a thread, FlashDecoding's splits, LeanAttention with and without fixed chunks, on batches of mixed lengths.
void compare_schedules(bench::figures& out, two_threads& team) {
  struct way {
    const char* name;
    attention_schedule schedule;
  };
  const way ways[] = {{"one_head", attention_schedule::one_head},
                      {"fixed_split", attention_schedule::fixed_split},
                      {"stream_k", attention_schedule::stream_k},
                      {"fixed_chunks", attention_schedule::fixed_chunks}};
  for (const std::size_t longest : {1024U, 4096U, 16384U, 65536U}) {
    const std::vector<std::size_t> mixes[] = {{longest}, {longest, 256}, {longest, longest / 3, 300, longest / 8, 700}};
    for (const std::vector<std::size_t>& mix : mixes) {
      batch<std::uint16_t> b(mix, 1, std::size_t{32} << 20);
      bench::sample us[4];
      for (std::size_t i = 0; i <= rounds; ++i) {
        for (std::size_t w = 0; w < 4; ++w) {
          const double seconds = b.time(ways[w].schedule, 2, team);
          if (i > 0) us[w].values.push_back(seconds * 1e6);
        }
      }
      for (std::size_t w = 0; w < 4; ++w) {
        const std::string name =
            "ragged_" + std::to_string(mix.size()) + "/longest_" + std::to_string(longest) + "/" + ways[w].name;
        out.add_rate(name, us[w].median(), us[w], "us/layer", -1,
                     {{"speed_up_over_one_head", us[0].median() / us[w].median()}});
        std::printf("%-44s %10.1f us %6.2f x one head\n", name.c_str(), us[w].median(),
                    us[0].median() / us[w].median());
      }
    }
  }
}

void measure_naive(bench::figures& out, two_threads& team, std::size_t rows) {
  batch<std::uint16_t> b({2048}, rows, 0);
  bench::sample naive, ours;
  for (std::size_t i = 0; i < rounds; ++i) {
    naive.values.push_back(b.naive_time() * 1e6);
    ours.values.push_back(b.time(attention_schedule::fixed_chunks, 1, team) * 1e6);
  }
  const std::string name = "naive/f16/context_2048/rows_" + std::to_string(rows);
  out.add_rate(name, naive.median(), naive, "us/layer", -1, {{"times_ours", naive.median() / ours.median()}});
  std::printf("%-44s %10.1f us %6.2f x ours\n", name.c_str(), naive.median(), naive.median() / ours.median());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string json = bench::take_json_option(argc, argv);
  bench::figures out;
  two_threads team;
  const double rates[] = {read_rate(team, 1), read_rate(team, 2)};
  std::printf("reading: %.1f GB/s by one thread, %.1f by two\n", rates[0], rates[1]);
  for (const std::size_t context : {256U, 1024U, 2048U, 8192U, 65536U}) {
    for (const std::size_t rows : {1U, 2U, 4U, 8U, 16U, 64U}) {
      measure<std::uint16_t>(out, team, "f16", context, rows, rates);
    }
  }
  for (const std::size_t rows : {1U, 8U}) {
    measure<float>(out, team, "f32", 8192, rows, rates);
    measure<std::int8_t>(out, team, "i8", 8192, rows, rates);
    measure<std::int8_t>(out, team, "i8_by_32", 8192, rows, rates, 32);
  }
  compare_schedules(out, team);
  measure_naive(out, team, 1);
  measure_naive(out, team, 8);
  return json.empty() || out.write(json) ? 0 : 1;
}
