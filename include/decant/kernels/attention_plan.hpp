// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Who computes what in attention for engines: the views of keys, values, segments and requests that a host fills in,
// and the plan of a step made from their counts, parents, positions and bits; see attention.hpp for the whole.
#ifndef DECANT_KERNELS_ATTENTION_PLAN_HPP
#define DECANT_KERNELS_ATTENTION_PLAN_HPP

#include <decant/kernels/attention_chunk.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
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
  std::size_t scale_block = 0;      ///< elements of 8 bits that share a scale, a multiple of 16; 0: all of a head

  [[nodiscard]] std::size_t group() const noexcept { return query_heads / key_heads; }
  /// Scales of a key or a value of a head, where elements have 8 bits.
  [[nodiscard]] std::size_t scales_of(std::size_t size) const noexcept {
    return scale_block == 0 ? 1 : (size + scale_block - 1) / scale_block;
  }
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
  const float* key_scales = nullptr;  ///< of 8 bits: an element means scale * element; those of a head side by side
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

}  // namespace decant::inline DECANT_ABI

#endif
