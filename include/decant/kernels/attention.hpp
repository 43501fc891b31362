// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention for engines: decode steps, verify steps and batches of sequences of mixed lengths over keys and values that
// lie as [token][head][dimension], in f32, f16 or 8 bits with a scale per token and head. Needs nothing of the
// reference model.
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

#include <decant/kernels/attention_chunk.hpp>
#include <decant/kernels/attention_kernels.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace decant::inline DECANT_ABI {

/// What all calls of a model have in common.
struct attention_shape {
  std::size_t query_heads = 1;  ///< a multiple of `key_heads`
  std::size_t key_heads = 1;
  std::size_t dimension = 0;        ///< of queries and keys
  std::size_t value_dimension = 0;  ///< of values and results
  float scale = 1;                  ///< of scores
  float soft_cap = 0;               ///< c of c * tanh(score / c), unless 0
  std::size_t window = 0;           ///< positions that a row sees, itself included; 0: all
  const float* sinks = nullptr;     ///< a score without a value for each query head, or null

  [[nodiscard]] std::size_t group() const noexcept { return query_heads / key_heads; }
};

/// Keys and values of some tokens. `Element` is float, std::uint16_t (binary16) or std::int8_t; strides count elements.
/// Values must be finite; nothing outside the tokens and their dimensions is read.
template <class Element>
struct key_value_view {
  const Element* keys = nullptr;
  std::size_t key_stride = 0;       ///< from token to token
  std::size_t key_head_stride = 0;  ///< from head to head
  const Element* values = nullptr;
  std::size_t value_stride = 0;
  std::size_t value_head_stride = 0;
  const float* key_scales = nullptr;  ///< of 8 bits: an element means scale * element
  const float* value_scales = nullptr;
  std::size_t scale_stride = 0;
  std::size_t scale_head_stride = 0;
};

inline constexpr std::uint32_t no_segment = 0xFFFFFFFFU;

/// A run of tokens that all rows below it see (within their windows).
template <class Element>
struct attention_segment {
  key_value_view<Element> data;
  std::size_t count = 0;                    ///< may be 0
  std::uint32_t parent = no_segment;        ///< comes before it
  std::int32_t first_position = 0;          ///< the tokens follow each other from there,
  const std::int32_t* positions = nullptr;  ///< unless these are given, ascending
};

/// Rows below a segment and their tail.
template <class Element>
struct attention_request {
  std::uint32_t segment = 0;
  std::size_t rows = 0;
  key_value_view<Element> tail;
  std::size_t tail_count = 0;
  /// Bit k of row i, [row][(tail_count + 63) / 64]: whether row i sees key k of the tail. Null when the tail is empty.
  const std::uint64_t* visible = nullptr;
  const std::int32_t* positions = nullptr;       ///< of the rows; needed by windows only
  const std::int32_t* tail_positions = nullptr;  ///< of the tail, ascending among what a row sees; likewise
  const float* queries = nullptr;                ///< [row][query head][dimension], rows `query_stride` apart
  std::size_t query_stride = 0;
  float* out = nullptr;  ///< [row][query head][value dimension], rows `out_stride` apart
  std::size_t out_stride = 0;
  float* log_weights = nullptr;  ///< [row][query head] natural logarithm of the whole weight, or null
};

enum class attention_schedule : std::uint8_t { fixed_chunks, stream_k, fixed_split, one_head };

/// The number of parts of FlashAttention 2 for `items` pieces of work of `chunks` chunks each: the smallest that keeps
/// `workers` busy to 85 % of what the best number does.
[[nodiscard]] inline std::size_t flash_splits(std::size_t items, std::size_t workers, std::size_t chunks) noexcept {
  if (5 * items >= 4 * workers) return 1;
  const auto parts = [&](std::size_t splits) { return (chunks + splits - 1) / splits; };
  const auto efficiency = [&](std::size_t splits) {
    const double waves = static_cast<double>(items * splits) / static_cast<double>(workers);
    return waves / std::ceil(waves);
  };
  const auto counts = [&](std::size_t splits) { return splits == 1 || parts(splits) != parts(splits - 1); };
  const std::size_t most = std::min({std::size_t{128}, workers, chunks});
  double best = 0;
  for (std::size_t s = 1; s <= most; ++s) best = counts(s) ? std::max(best, efficiency(s)) : best;
  for (std::size_t s = 1; s <= most; ++s) {
    if (counts(s) && efficiency(s) >= 0.85 * best) return s;
  }
  return 1;
}

/// Who computes what, for one step: the same for all layers. Depends on counts, parents, positions and bits, not on
/// data.
class attention_plan {
 public:
  /// Chunks [first, last) of a key head of a segment, and where their states go.
  struct span_of_chunks {
    std::uint32_t segment = 0;
    std::uint32_t head = 0;
    std::size_t first = 0;
    std::size_t last = 0;
    std::size_t state = 0;
  };
  /// A row of a request.
  struct member {
    std::uint32_t request = 0;
    std::uint32_t row = 0;
  };

  /// Precondition: parents come before their children; requests name existing segments. O(rows * depth + tail bits +
  /// chunks * key heads); allocates only what grows.
  template <class Element>
  void build(const attention_shape& shape, std::span<const attention_segment<Element>> segments,
             std::span<const attention_request<Element>> requests, attention_schedule schedule, std::size_t workers) {
    clear(segments.size(), requests.size());
    collect_tails(requests);
    collect_members(segments, requests);
    chunks_.resize(segments.size());
    for (std::uint32_t s = 0; s < segments.size(); ++s) chunks_[s] = count_chunks(s, segments[s].count, requests);
    cut(shape, schedule, workers);
    share_out(shape, schedule, workers);
  }

  [[nodiscard]] std::size_t workers() const noexcept { return share_ends_.size(); }
  [[nodiscard]] std::size_t states() const noexcept { return states_; }
  [[nodiscard]] std::span<const std::uint32_t> share(std::size_t worker) const noexcept {
    const std::size_t first = worker == 0 ? 0 : share_ends_[worker - 1];
    return std::span(shares_).subspan(first, share_ends_[worker] - first);
  }
  [[nodiscard]] std::span<const span_of_chunks> spans() const noexcept { return spans_; }
  /// The spans of a key head of a segment, in the order of chunks.
  [[nodiscard]] std::span<const span_of_chunks> spans_of(std::size_t segment, std::size_t head,
                                                         std::size_t key_heads) const noexcept {
    const std::size_t i = segment * key_heads + head;
    return spans().subspan(span_begins_[i], span_begins_[i + 1] - span_begins_[i]);
  }
  [[nodiscard]] std::span<const member> members(std::size_t segment) const noexcept {
    return std::span(members_).subspan(member_begins_[segment], member_begins_[segment + 1] - member_begins_[segment]);
  }
  /// The number of the first row of a request among the members of a segment on its path.
  [[nodiscard]] std::size_t place_of(std::size_t segment, std::uint32_t request) const noexcept {
    const auto all = members(segment);
    const auto at = std::lower_bound(all.begin(), all.end(), request,
                                     [](const member& m, std::uint32_t wanted) { return m.request < wanted; });
    return static_cast<std::size_t>(at - all.begin());
  }
  /// The keys of its tail that a row sees.
  [[nodiscard]] std::span<const std::uint32_t> tail(const member& row) const noexcept {
    const std::size_t i = row_begins_[row.request] + row.row;
    return std::span(tails_).subspan(tail_begins_[i], tail_begins_[i + 1] - tail_begins_[i]);
  }

 private:
  void clear(std::size_t segments, std::size_t requests) {
    tails_.clear();
    tail_begins_.assign(1, 0);
    row_begins_.clear();
    row_begins_.reserve(requests);
    members_.clear();
    member_begins_.assign(1, 0);
    member_begins_.reserve(segments + 1);
    spans_.clear();
    span_begins_.clear();
    states_ = 0;
    last_middle_ = 0;
  }

  template <class Element>
  void collect_tails(std::span<const attention_request<Element>> requests) {
    for (const attention_request<Element>& request : requests) {
      row_begins_.push_back(tail_begins_.size() - 1);
      const std::size_t words = (request.tail_count + 63) / 64;
      for (std::size_t r = 0; r < request.rows; ++r) {
        for (std::size_t k = 0; k < request.tail_count; ++k) {
          if ((request.visible[r * words + k / 64] >> k % 64 & 1U) != 0)
            tails_.push_back(static_cast<std::uint32_t>(k));
        }
        tail_begins_.push_back(tails_.size());
      }
    }
  }

  template <class Element>
  void collect_members(std::span<const attention_segment<Element>> segments,
                       std::span<const attention_request<Element>> requests) {
    for (std::uint32_t s = 0; s < segments.size(); ++s) {
      for (std::uint32_t q = 0; q < requests.size(); ++q) {
        std::uint32_t at = requests[q].segment;
        while (at != no_segment && at > s) at = segments[at].parent;
        for (std::uint32_t r = 0; at == s && r < requests[q].rows; ++r) members_.push_back({q, r});
      }
      member_begins_.push_back(members_.size());
    }
  }

  template <class Element>
  [[nodiscard]] std::size_t count_chunks(std::uint32_t segment, std::size_t count,
                                         std::span<const attention_request<Element>> requests) const noexcept {
    if (members(segment).empty()) return 0;
    std::size_t most = count;
    for (const member& m : members(segment)) {
      if (requests[m.request].segment == segment) most = std::max(most, count + tail(m).size());
    }
    return cpu::chunks_of(most);
  }

  /// Cuts every (segment, key head) into spans.
  void cut(const attention_shape& shape, attention_schedule schedule, std::size_t workers) {
    std::size_t all_work = 0;
    for (std::size_t s = 0; s < chunks_.size(); ++s) all_work += shape.key_heads * chunks_[s] * work_of(shape, s);
    const double share = static_cast<double>(all_work) / static_cast<double>(workers);
    double done = 0;
    for (std::uint32_t s = 0; s < chunks_.size(); ++s) {
      const std::size_t parts =
          flash_splits(chunks_.size() * shape.key_heads, workers, std::max<std::size_t>(1, chunks_[s]));
      for (std::uint32_t h = 0; h < shape.key_heads; ++h) {
        span_begins_.push_back(spans_.size());
        for (std::size_t c = 0; c < chunks_[s]; ++c) {
          const double middle = done + static_cast<double>(work_of(shape, s)) / 2;
          const bool starts_part = c % ((chunks_[s] + parts - 1) / parts) == 0;
          const bool starts_share = std::floor(middle / share) != std::floor(last_middle_ / share);
          const bool starts = c == 0 || schedule == attention_schedule::fixed_chunks ||
                              (schedule == attention_schedule::fixed_split && starts_part) ||
                              (schedule == attention_schedule::stream_k && starts_share);
          if (starts) {
            spans_.push_back({s, h, c, c, states_});
            states_ += members(s).size() * shape.group();
          }
          spans_.back().last = c + 1;
          last_middle_ = middle;
          done += static_cast<double>(work_of(shape, s));
        }
      }
    }
    span_begins_.push_back(spans_.size());
  }

  /// What a chunk costs: reading its keys and values, and using them once for each row.
  [[nodiscard]] std::size_t work_of(const attention_shape& shape, std::size_t segment) const noexcept {
    return 4 + members(segment).size() * shape.group();
  }

  /// Gives spans to workers: equal contiguous shares of work, or, of parts and heads, one after the other in turn.
  void share_out(const attention_shape& shape, attention_schedule schedule, std::size_t workers) {
    const bool in_turn = schedule == attention_schedule::fixed_split || schedule == attention_schedule::one_head;
    std::size_t all_work = 0;
    for (const span_of_chunks& span : spans_) all_work += (span.last - span.first) * work_of(shape, span.segment);
    shares_.clear();
    share_ends_.clear();
    for (std::size_t w = 0; w < workers; ++w) {
      std::size_t before = 0;
      for (std::uint32_t i = 0; i < spans_.size(); ++i) {
        const std::size_t work = (spans_[i].last - spans_[i].first) * work_of(shape, spans_[i].segment);
        const std::size_t of = in_turn ? i % workers : (2 * before + work) * workers / (2 * all_work);
        if (of == w) shares_.push_back(i);
        before += work;
      }
      share_ends_.push_back(shares_.size());
    }
  }

  std::vector<std::uint32_t> tails_;        // keys that a row sees, row after row
  std::vector<std::size_t> tail_begins_;    // [row of all requests + 1]
  std::vector<std::size_t> row_begins_;     // [request]
  std::vector<member> members_;             // rows below a segment, by request and row
  std::vector<std::size_t> member_begins_;  // [segment + 1]
  std::vector<std::size_t> chunks_;         // [segment]
  std::vector<span_of_chunks> spans_;       // by segment, head and chunk
  std::vector<std::size_t> span_begins_;    // [segment * key heads + 1]
  std::vector<std::uint32_t> shares_;       // spans, worker after worker
  std::vector<std::size_t> share_ends_;     // [worker]
  std::size_t states_ = 0;
  double last_middle_ = 0;
};

/// Calls `body(w)` for every worker, one after the other: the simplest way to run a plan.
struct in_sequence {
  template <class Body>
  void operator()(std::size_t workers, Body&& body) const {
    for (std::size_t w = 0; w < workers; ++w) body(w);
  }
};

namespace cpu {

/// A head of a view, as a source of `chunk_attention`.
template <class Element>
class row_source {
 public:
  /// Keys that are packed at a time where many rows use them: they stay in the first-level cache.
  static constexpr std::size_t pack_keys = 64;

  row_source(const kernel_table& products, const attention_table& kernels, const attention_shape& shape,
             const key_value_view<Element>& view, std::size_t head, float* packed) noexcept
      : products_(products), kernels_(kernels), shape_(shape), view_(view), head_(head), packed_(packed) {}

  void score(const attention_query* queries, std::size_t rows, std::size_t first, std::size_t last, float* out,
             std::size_t stride) const noexcept {
    if (rows <= attention_rows) return score_in_place({keys(first, last), queries, rows, out, stride});
    for (std::size_t t = first; t < last; t += pack_keys) {
      score_packed(keys(t, std::min(t + pack_keys, last)), queries, rows, out + (t - first), stride);
    }
  }

  void mix(std::size_t first, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
           float* sums, std::size_t width) const noexcept {
    in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
      const row_mix_call<Element> call{view_.values + head_ * view_.value_head_stride + first * view_.value_stride,
                                       view_.value_stride,
                                       count,
                                       shape_.value_dimension,
                                       scales(view_.value_scales, first),
                                       view_.scale_stride,
                                       weights + r * stride,
                                       stride,
                                       run,
                                       sums + r * width,
                                       width};
      if constexpr (std::is_same_v<Element, float>) kernels_.mix_f32(call);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.mix_f16(call);
      if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.mix_i8(call);
    });
  }

 private:
  [[nodiscard]] const float* scales(const float* all, std::size_t first) const noexcept {
    return all == nullptr ? nullptr : all + head_ * view_.scale_head_stride + first * view_.scale_stride;
  }
  [[nodiscard]] key_rows<Element> keys(std::size_t first, std::size_t last) const noexcept {
    return {view_.keys + head_ * view_.key_head_stride + first * view_.key_stride,
            view_.key_stride,
            last - first,
            shape_.dimension,
            scales(view_.key_scales, first),
            view_.scale_stride};
  }

  void score_in_place(const row_score_call<Element>& call) const noexcept {
    if constexpr (std::is_same_v<Element, float>) kernels_.score_rows_f32(call);
    if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.score_rows_f16(call);
    if constexpr (std::is_same_v<Element, std::int8_t>) kernels_.score_rows_i8(call);
  }

  void score_packed(const key_rows<Element>& keys, const attention_query* queries, std::size_t rows, float* out,
                    std::size_t stride) const noexcept {
    const std::size_t blocks = (keys.count + key_block - 1) / key_block;
    if constexpr (std::is_same_v<Element, std::int8_t>) {
      auto* codes = reinterpret_cast<code_word*>(packed_);
      kernels_.pack_i8(keys, codes);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        kernels_.score_codes({codes, blocks, (shape_.dimension + 3) / 4, queries + r, count, out + r * stride, stride});
      });
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t t = 0; t < keys.count; ++t) out[r * stride + t] *= keys.scales[t * keys.scale_stride];
      }
    } else {
      if constexpr (std::is_same_v<Element, float>) kernels_.pack_f32(keys, packed_);
      if constexpr (std::is_same_v<Element, std::uint16_t>) kernels_.pack_f16(keys, packed_);
      in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
        const float* values[attention_rows];
        for (std::size_t i = 0; i < count; ++i) values[i] = queries[r + i].values;
        products_.score_f32({packed_, blocks, shape_.dimension, values, count, out + r * stride, stride});
      });
    }
  }

  const kernel_table& products_;
  const attention_table& kernels_;
  const attention_shape& shape_;
  const key_value_view<Element>& view_;
  std::size_t head_;
  float* packed_;  // [pack_keys][dimension]
};

}  // namespace cpu

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
    aligned_buffer<std::int8_t> codes;  // [query][dimension rounded up to 64]
    std::vector<cpu::attention_query> queries;
    std::vector<cpu::attending_row> rows;
    aligned_buffer<cpu::attention_mass> masses;
    aligned_buffer<float> sums;
    std::size_t dimension = 0;
    std::size_t width = 0;

    [[nodiscard]] result<void> prepare(const attention_shape& shape, std::size_t wanted_width) {
      const std::size_t most = std::max(tile_queries, shape.group());
      if (dimension == shape.dimension && width == wanted_width && queries.size() >= most) return {};
      dimension = shape.dimension;
      width = wanted_width;
      queries.resize(most);
      rows.resize(most);
      if (auto r = chunk.allocate(most, width); !r) return r;
      if (auto r = packed.allocate(cpu::row_source<Element>::pack_keys * round_up(dimension, 4)); !r) return r;
      if (auto r = values.allocate(most * dimension); !r) return r;
      if (auto r = codes.allocate(most * round_up(dimension, 64)); !r) return r;
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
    const auto source = [&](const key_value_view<Element>& view) {
      return cpu::row_source<Element>(products_, kernels_, all.shape, view, span.head, memory.packed.data());
    };
    const cpu::row_source<Element> dense = source(segment.data);
    const cpu::row_source<Element> tail = source(request.tail);
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
      quantise(values, size, memory.codes.data() + q * round_up(size, 64), memory.queries[q]);
    }
  }

  /// Codes in [-127, 127] with values ~ scale * codes; values that are not finite make the scale NaN.
  static void quantise(const float* values, std::size_t size, std::int8_t* codes,
                       cpu::attention_query& query) noexcept {
    float greatest = 0;
    float poison = 0;
    for (std::size_t d = 0; d < size; ++d) {
      greatest = std::max(greatest, std::abs(values[d]));
      poison += values[d] * 0.0F;
    }
    const float inverse = greatest > 1e-30F && poison == 0 ? 127.0F / greatest : 0.0F;
    query.codes = codes;
    query.scale = greatest / 127.0F + poison;
    query.code_sum = 0;
    for (std::size_t d = 0; d < size; ++d) {
      const auto code = inverse > 0 ? static_cast<std::int32_t>(std::nearbyint(values[d] * inverse)) : 0;
      codes[d] = static_cast<std::int8_t>(code);
      query.code_sum += code;
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
