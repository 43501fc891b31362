// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention for engines: decode steps, verify steps and batches of sequences of mixed lengths over keys and values that
// lie as [token][head][dimension], in f32, f16 or 8 bits with a scale per token and head, or per block of a head. Needs
// nothing of the reference model.
//
// Keys and values form a tree of segments (a flat sequence is one segment; a shared prefix is a segment with several
// children), as in cascade attention and DeFT (arXiv 2404.00242): work is grouped by segment, so what sequences share
// is read once for all rows below it. A request is a number of rows below one segment, with a tail of its own: the
// tokens of the verify step, of which a row sees those its bits name. Every (segment, key head) is cut into chunks of
// 256 ranks (kernels/attention_chunk.hpp); work is shared out by a schedule:
//  - fixed_chunks: LeanAttention's line of all chunks (arXiv 2405.10480), cut into shares of equal work, with a state
//    per chunk. The bits of a row depend on its segments and what it sees, on nothing else;
//  - stream_k: the same shares with a state per run of chunks: fewer states, and bits that depend on the workers;
//  - fixed_split: FlashDecoding's (the split count of FlashAttention 2), every segment in equally many parts;
//  - one_head: a worker takes whole heads.
// States of a row are merged along its segments from the root, in the order of chunks, after a barrier: no worker waits
// for another one. With the lengths of all but the last segment multiples of 256, a path of segments gives the bits of
// one flat sequence (under fixed_chunks).
//
// Sliding window: a key at position p is visible to a row at position q iff q - p < window; by positions, not by
// places. Differs from engines: llama.cpp's kernels take a dense mask and read keys again for every row below 64 rows;
// sums are always f32.
#ifndef DECANT_KERNELS_ATTENTION_HPP
#define DECANT_KERNELS_ATTENTION_HPP

#include <decant/kernels/attention_rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Calls `body(w)` for every worker, one after the other: the simplest way to run a plan.
struct in_sequence {
  template <class Body>
  void operator()(std::size_t workers, Body&& body) const {
    for (std::size_t w = 0; w < workers; ++w) body(w);
  }
};

/// Runs plans. Owns the working memory, which grows to the largest plan it has seen: states of chunks, and per worker
/// some 100 KiB whatever the context.
template <class Element>
class attention_runner {
 public:
  /// Precondition: `runs(set)`.
  explicit attention_runner(instruction_set set = best_instruction_set()) noexcept
      : products_(cpu::kernels_of(set)), kernels_(cpu::attention_kernels_of(set)) {}

  /// Makes room for a plan. Errors: `out_of_memory`.
  [[nodiscard]] result<void> prepare(const attention_shape& shape, const attention_plan& plan) {
    width_ = round_up(shape.value_dimension, 16);
    if (plan.states() > masses_.size()) {
      if (auto r = masses_.allocate(plan.states()); !r) return r;
    }
    if (plan.states() * width_ > sums_.size()) {
      if (auto r = sums_.allocate(plan.states() * width_); !r) return r;
    }
    if (threads_.size() < plan.workers()) threads_.resize(plan.workers());
    for (thread_memory& memory : threads_) {
      if (auto r = memory.prepare(shape, width_); !r) return r;
    }
    return {};
  }

  /// Attends for all requests. `run(workers, body)` calls body(w) once for each worker w, on any thread, and returns
  /// when all calls are done; it is called twice. Preconditions: `prepare(shape, plan)`, and the plan was built for
  /// segments and requests of these counts, parents, positions and bits. No allocation.
  template <class Run = in_sequence>
  void attend(const attention_shape& shape, const attention_plan& plan,
              std::span<const attention_segment<Element>> segments,
              std::span<const attention_request<Element>> requests, Run&& run = {}) {
    const call_of all{shape, plan, segments, requests};
    run(plan.workers(), [&](std::size_t w) {
      for (const std::uint32_t i : plan.share(w)) compute(all, plan.spans()[i], threads_[w]);
    });
    run(plan.workers(), [&](std::size_t w) { merge(all, w); });
  }

 private:
  static constexpr std::size_t tile_queries = 48;

  struct call_of {
    const attention_shape& shape;
    const attention_plan& plan;
    std::span<const attention_segment<Element>> segments;
    std::span<const attention_request<Element>> requests;
  };

  struct thread_memory {
    cpu::chunk_scratch chunk;
    aligned_buffer<float> packed;
    aligned_buffer<float> values;       // [query][dimension]
    aligned_buffer<std::int8_t> codes;  // [block of a scale][query][code_stride]
    std::size_t code_stride = 0;
    std::vector<cpu::attention_query> queries;  // [block of a scale][query]
    std::size_t most = 0;
    std::vector<cpu::attending_row> rows;
    aligned_buffer<cpu::attention_mass> masses;
    aligned_buffer<float> sums;
    std::size_t dimension = 0;
    std::size_t width = 0;

    [[nodiscard]] result<void> prepare(const attention_shape& shape, std::size_t wanted_width) {
      const std::size_t wanted = std::max(tile_queries, shape.group());
      const std::size_t blocks = shape.scales_of(shape.dimension);
      if (dimension == shape.dimension && width == wanted_width && queries.size() == blocks * wanted) return {};
      dimension = shape.dimension;
      width = wanted_width;
      most = wanted;
      code_stride = round_up(blocks == 1 ? dimension : shape.scale_block, 64);
      queries.resize(blocks * most);
      rows.resize(most);
      if (auto r = chunk.allocate(most, width); !r) return r;
      if (auto r = packed.allocate(cpu::row_source<Element>::pack_keys * round_up(dimension, 4)); !r) return r;
      if (auto r = values.allocate(most * dimension); !r) return r;
      if (auto r = codes.allocate(blocks * most * code_stride); !r) return r;
      if (auto r = masses.allocate(1); !r) return r;
      return sums.allocate(width);
    }
  };

  [[nodiscard]] cpu::attention_state state(std::size_t i) noexcept {
    return {masses_.data() + i, sums_.data() + i * width_, width_};
  }

  /// The states of a span, chunk by chunk, for all rows below the segment: keys are read from memory once.
  void compute(const call_of& all, const attention_plan::span_of_chunks& span, thread_memory& memory) noexcept {
    const std::span<const attention_plan::member> members = all.plan.members(span.segment);
    const std::size_t group = all.shape.group();
    for (std::size_t q = 0; q < members.size() * group; ++q) state(span.state + q).clear();
    for (std::size_t chunk = span.first; chunk < span.last; ++chunk) {
      for (std::size_t first = 0; first < members.size();) {
        const std::size_t count = tile_size(all, span.segment, members.subspan(first));
        compute_tile(all, span, chunk, members.subspan(first, count), span.state + first * group, memory);
        first += count;
      }
    }
  }

  /// Members that make one tile: at most so many, and of one request where tails count.
  [[nodiscard]] std::size_t tile_size(const call_of& all, std::size_t segment,
                                      std::span<const attention_plan::member> members) const noexcept {
    const std::size_t most = std::max<std::size_t>(1, tile_queries / all.shape.group());
    const auto tail_of = [&](const attention_plan::member& m) {
      const attention_request<Element>& request = all.requests[m.request];
      return request.segment == segment && request.tail_count > 0 ? m.request : no_segment;
    };
    std::size_t count = 1;
    while (count < std::min(most, members.size()) && tail_of(members[count]) == tail_of(members[0])) ++count;
    return count;
  }

  void compute_tile(const call_of& all, const attention_plan::span_of_chunks& span, std::size_t chunk,
                    std::span<const attention_plan::member> members, std::size_t first_state,
                    thread_memory& memory) noexcept {
    const std::size_t group = all.shape.group();
    for (std::size_t i = 0; i < members.size(); ++i) {
      memory.rows[i] = row_of(all, span.segment, members[i]);
      for (std::size_t h = 0; h < group; ++h) load_query(all, members[i], span.head * group + h, i * group + h, memory);
    }
    const attention_segment<Element>& segment = all.segments[span.segment];
    const attention_request<Element>& request = all.requests[members[0].request];
    const auto source = [&](const key_value_view<Element>& view, std::size_t count) {
      return cpu::row_source<Element>(products_, kernels_, all.shape, view, count, span.head,
                                      {memory.packed.data(), memory.most});
    };
    const cpu::row_source<Element> dense = source(segment.data, segment.count);
    const cpu::row_source<Element> tail = source(request.tail, request.tail_count);
    const cpu::attending_tile tile{
        {memory.rows.data(), members.size()}, group, memory.queries.data(), segment.count, 0, all.shape.soft_cap};
    cpu::chunk_attention part(kernels_, dense, tail, tile, memory.chunk);
    part.compute(chunk, [](std::size_t, std::size_t, std::size_t, std::span<const float>) {});
    for (std::size_t q = 0; q < members.size() * group; ++q) {
      state(first_state + q).merge(kernels_, memory.chunk.state(q));
    }
  }

  /// What a row sees of a segment.
  [[nodiscard]] cpu::attending_row row_of(const call_of& all, std::uint32_t segment,
                                          const attention_plan::member& m) const noexcept {
    const attention_request<Element>& request = all.requests[m.request];
    cpu::attending_row row;
    if (request.segment == segment) row.tail = all.plan.tail(m);
    if (all.shape.window == 0) return row;
    const auto oldest =
        static_cast<std::int64_t>(request.positions[m.row]) - static_cast<std::int64_t>(all.shape.window);
    const attention_segment<Element>& from = all.segments[segment];
    if (from.positions != nullptr) {
      row.first = static_cast<std::size_t>(std::upper_bound(from.positions, from.positions + from.count, oldest) -
                                           from.positions);
    } else {
      const std::int64_t gone = oldest + 1 - from.first_position;
      row.first = static_cast<std::size_t>(std::clamp<std::int64_t>(gone, 0, static_cast<std::int64_t>(from.count)));
    }
    if (row.first < from.count) return row;
    for (const std::uint32_t key : row.tail) {
      if (request.tail_positions[key] > oldest) break;
      ++row.first;
    }
    return row;
  }

  void load_query(const call_of& all, const attention_plan::member& m, std::size_t query_head, std::size_t q,
                  thread_memory& memory) const noexcept {
    const attention_request<Element>& request = all.requests[m.request];
    const std::size_t size = all.shape.dimension;
    const float* from = request.queries + m.row * request.query_stride + query_head * size;
    float* values = memory.values.data() + q * size;
    for (std::size_t d = 0; d < size; ++d) values[d] = from[d] * all.shape.scale;
    memory.queries[q].values = values;
    if constexpr (std::is_same_v<Element, std::int8_t>) {
      const std::size_t blocks = all.shape.scales_of(size);
      const std::size_t block_size = blocks == 1 ? size : all.shape.scale_block;
      for (std::size_t b = 0; b < blocks; ++b) {
        const std::size_t i = b * memory.most + q;
        memory.queries[i].values = values + b * block_size;
        cpu::quantise(kernels_, std::min(block_size, size - b * block_size),
                      memory.codes.data() + i * memory.code_stride, memory.queries[i]);
      }
    }
  }

  /// Merges the states of every row along its segments, for the rows of a worker.
  void merge(const call_of& all, std::size_t worker) noexcept {
    std::size_t number = 0;
    for (std::uint32_t q = 0; q < all.requests.size(); ++q) {
      for (std::size_t r = 0; r < all.requests[q].rows; ++r) {
        for (std::size_t h = 0; h < all.shape.query_heads; ++h) {
          if (number++ % all.plan.workers() == worker) merge_row(all, q, r, h, threads_[worker]);
        }
      }
    }
  }

  void merge_row(const call_of& all, std::uint32_t q, std::size_t r, std::size_t h, thread_memory& memory) noexcept {
    const cpu::attention_state whole{memory.masses.data(), memory.sums.data(), width_};
    whole.clear();
    if (all.shape.sinks != nullptr) whole.start_with_sink(all.shape.sinks[h]);
    const attention_request<Element>& request = all.requests[q];
    merge_path(all, request.segment, q, r, h, whole);
    whole.finish(all.shape.value_dimension, request.out + r * request.out_stride + h * all.shape.value_dimension);
    if (request.log_weights != nullptr) request.log_weights[r * all.shape.query_heads + h] = whole.log_weight();
  }

  void merge_path(const call_of& all, std::uint32_t segment, std::uint32_t q, std::size_t r, std::size_t h,
                  const cpu::attention_state& whole) noexcept {
    if (segment == no_segment) return;
    merge_path(all, all.segments[segment].parent, q, r, h, whole);
    const std::size_t group = all.shape.group();
    const std::size_t at = (all.plan.place_of(segment, q) + r) * group + h % group;
    for (const auto& span : all.plan.spans_of(segment, h / group, all.shape.key_heads)) {
      whole.merge(kernels_, state(span.state + at));
    }
  }

  const cpu::kernel_table& products_;
  const cpu::attention_table& kernels_;
  std::size_t width_ = 0;
  aligned_buffer<cpu::attention_mass> masses_;  // of spans, by query
  aligned_buffer<float> sums_;
  std::vector<thread_memory> threads_;
};

}  // namespace decant::inline DECANT_ABI

#endif
