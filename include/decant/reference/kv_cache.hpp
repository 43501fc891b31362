// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keys and values of one sequence, in segments that sequences with a common prefix share until one of them writes.
#ifndef DECANT_REFERENCE_KV_CACHE_HPP
#define DECANT_REFERENCE_KV_CACHE_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/kernels/attention_chunk.hpp>
#include <decant/kernels/kernel_table.hpp>
#include <decant/reference/llama_config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

enum class kv_type : std::uint8_t {
  f16,  ///< half the memory and traffic; values beyond +-65504 are clamped
  f32,
};

/// How a cache is laid out; equal for all sequences of a model.
struct kv_shape {
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t size = 0;    ///< of a head
  std::size_t padded = 0;  ///< of a value row: a multiple of 16
  kv_type type = kv_type::f16;

  [[nodiscard]] static kv_shape of(const llama_config& config, kv_type type) noexcept {
    return {config.layers, config.key_heads, config.head_size, round_up(config.head_size, 16), type};
  }
  [[nodiscard]] std::size_t element_bytes() const noexcept { return type == kv_type::f16 ? 2 : 4; }
  /// Elements of a key and a value of one slot, without padding, over all layers and heads.
  [[nodiscard]] std::size_t slot_elements() const noexcept { return layers * heads * 2 * size; }

  friend bool operator==(const kv_shape&, const kv_shape&) = default;
};

/// Keys lie transposed in blocks of 16 slots, [block][dimension][16]; values lie as [slot][dimension], the dimension
/// padded with zeros to a multiple of 16; both per layer and head within a segment of 256 slots. Copies share their
/// segments and copy one when they write to it (`make_writable`), so a fork costs a pointer per 256 tokens.
class kv_cache {
 public:
  static constexpr std::size_t segment_slots = 256;

  kv_cache() noexcept = default;
  kv_cache(const kv_shape& shape, std::size_t slots) : shape_(shape) { segments_.resize(segments_for(slots)); }

  [[nodiscard]] const kv_shape& shape() const noexcept { return shape_; }
  /// Memory of the segments that exist; shared ones count for every sequence.
  [[nodiscard]] std::size_t bytes() const noexcept {
    const auto exists = [](const std::shared_ptr<storage>& s) { return s != nullptr; };
    const auto count = static_cast<std::size_t>(std::count_if(segments_.begin(), segments_.end(), exists));
    return count * segment_elements() * shape_.element_bytes();
  }

  /// Makes slots [first, last) this sequence's own; what earlier slots of the first segment hold is kept. Allocates
  /// where a segment is missing or shared. Error: `out_of_memory`, with nothing lost.
  [[nodiscard]] result<void> make_writable(std::size_t first, std::size_t last) {
    if (first == last) return {};
    for (std::size_t s = first / segment_slots; s < segments_for(last); ++s) {
      if (segments_[s] != nullptr && segments_[s].use_count() == 1) continue;
      auto own = std::make_shared<storage>();
      if (auto r = own->allocate(segment_elements() * shape_.element_bytes()); !r) return r;
      if (segments_[s] != nullptr && s * segment_slots < first) {
        std::memcpy(own->data(), segments_[s]->data(), own->size());
      }
      segments_[s] = std::move(own);
    }
    return {};
  }

  /// Writes a slot: head_size floats of key and of value. `key` and `value` may be read up to the next multiple of 8.
  void store(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t slot, const float* key,
             const float* value) noexcept {
    if (shape_.type == kv_type::f32) {
      scatter(key_at<float>(layer, head, slot), key);
      std::copy_n(value, shape_.size, value_at<float>(layer, head, slot));
      return;
    }
    std::uint16_t halves[1024];
    kernels.to_half(key, round_up(shape_.size, 8), halves);
    scatter(key_at<std::uint16_t>(layer, head, slot), halves);
    kernels.to_half(value, round_up(shape_.size, 8), halves);
    std::copy_n(halves, shape_.size, value_at<std::uint16_t>(layer, head, slot));
  }

  /// Copies slot `from` to slot `to` in every layer and head. Precondition: `to` is writable.
  void move(std::size_t from, std::size_t to) noexcept {
    if (shape_.type == kv_type::f16) move_as<std::uint16_t>(from, to);
    if (shape_.type == kv_type::f32) move_as<float>(from, to);
  }

  /// Copies a slot out, as [layer][head][key, value][dimension], `shape().slot_elements()` elements.
  void read_slot(std::size_t slot, std::byte* out) const noexcept {
    for_each_element(slot, [&](const std::byte* at, std::size_t bytes) {
      std::memcpy(out, at, bytes);
      out += bytes;
    });
  }
  /// The reverse. Precondition: the slot is writable.
  void write_slot(std::size_t slot, const std::byte* from) noexcept {
    for_each_element(slot, [&](std::byte* at, std::size_t bytes) {
      std::memcpy(at, from, bytes);
      from += bytes;
    });
  }

  /// The keys and values of a head, as a source of cpu::chunk_attention.
  class head_view {
   public:
    head_view(const kv_cache& cache, const cpu::kernel_table& kernels, std::size_t layer, std::size_t head) noexcept
        : cache_(cache), kernels_(kernels), layer_(layer), head_(head) {}

    void score(const cpu::attention_query* queries, std::size_t rows, std::size_t first, std::size_t last, float* out,
               std::size_t stride) const noexcept {
      for (const std::size_t begin = first; first < last;) {
        const std::size_t end = std::min(last, (first / segment_slots + 1) * segment_slots);
        cpu::in_kernel_runs(rows, [&](std::size_t r, std::size_t count) {
          cache_.score_run(kernels_, layer_, head_, first, end, {queries + r, count},
                           out + r * stride + (first - begin), stride);
        });
        first = end;
      }
    }
    void mix(std::size_t first, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
             float* sums, std::size_t) const noexcept {
      for (const std::size_t end = first + count; first < end;) {
        const std::size_t n = std::min(end - first, segment_slots - first % segment_slots);
        cpu::in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
          cache_.mix_run(kernels_, layer_, head_, first, n, weights + r * stride, stride, run,
                         sums + r * cache_.shape().padded);
        });
        weights += n;
        first += n;
      }
    }

   private:
    const kv_cache& cache_;
    const cpu::kernel_table& kernels_;
    std::size_t layer_;
    std::size_t head_;
  };

 private:
  using storage = aligned_buffer<std::byte>;

  [[nodiscard]] static constexpr std::size_t segments_for(std::size_t slots) noexcept {
    return (slots + segment_slots - 1) / segment_slots;
  }
  [[nodiscard]] std::size_t plane_elements() const noexcept { return segment_slots * (shape_.size + shape_.padded); }
  [[nodiscard]] std::size_t segment_elements() const noexcept {
    return shape_.layers * shape_.heads * plane_elements();
  }

  template <class Element>
  [[nodiscard]] Element* plane(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    auto* all = reinterpret_cast<Element*>(segments_[slot / segment_slots]->data());
    return all + (layer * shape_.heads + head) * plane_elements();
  }
  template <class Element>
  [[nodiscard]] Element* key_at(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    const std::size_t local = slot % segment_slots;
    const std::size_t block = local / cpu::key_block * cpu::key_block;
    return plane<Element>(layer, head, slot) + block * shape_.size + local % cpu::key_block;
  }
  template <class Element>
  [[nodiscard]] Element* value_at(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    const std::size_t local = slot % segment_slots;
    return plane<Element>(layer, head, slot) + segment_slots * shape_.size + local * shape_.padded;
  }

  /// Scores slots [first, last) of one segment, rounded up to whole blocks, for rows that a kernel takes at once.
  void score_run(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t first,
                 std::size_t last, std::span<const cpu::attention_query> queries, float* out,
                 std::size_t stride) const noexcept {
    const std::size_t blocks = (last - first + cpu::key_block - 1) / cpu::key_block;
    const float* values[cpu::attention_rows];
    for (std::size_t r = 0; r < queries.size(); ++r) values[r] = queries[r].values;
    if (shape_.type == kv_type::f16) {
      kernels.score_f16(
          {key_at<std::uint16_t>(layer, head, first), blocks, shape_.size, values, queries.size(), out, stride});
    } else {
      kernels.score_f32({key_at<float>(layer, head, first), blocks, shape_.size, values, queries.size(), out, stride});
    }
  }

  /// Adds weighted values of slots of one segment, in order, to `sums`, [rows][shape().padded].
  void mix_run(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t first,
               std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
               float* sums) const noexcept {
    const std::size_t width = shape_.padded;
    if (shape_.type == kv_type::f16) {
      kernels.mix_f16({value_at<std::uint16_t>(layer, head, first), count, width, weights, stride, rows, sums});
    } else {
      kernels.mix_f32({value_at<float>(layer, head, first), count, width, weights, stride, rows, sums});
    }
  }

  template <class Element>
  void scatter(Element* column, const Element* from) const noexcept {
    for (std::size_t d = 0; d < shape_.size; ++d) column[d * cpu::key_block] = from[d];
  }

  template <class Element>
  void move_as(std::size_t from, std::size_t to) noexcept {
    for (std::size_t layer = 0; layer < shape_.layers; ++layer) {
      for (std::size_t head = 0; head < shape_.heads; ++head) {
        const Element* source = key_at<Element>(layer, head, from);
        Element* target = key_at<Element>(layer, head, to);
        for (std::size_t d = 0; d < shape_.size; ++d) target[d * cpu::key_block] = source[d * cpu::key_block];
        std::copy_n(value_at<Element>(layer, head, from), shape_.size, value_at<Element>(layer, head, to));
      }
    }
  }

  template <class Visit>
  void for_each_element(std::size_t slot, Visit&& visit) const noexcept {
    if (shape_.type == kv_type::f16) for_each_element_as<std::uint16_t>(slot, visit);
    if (shape_.type == kv_type::f32) for_each_element_as<float>(slot, visit);
  }
  /// Calls `visit(address, bytes)` for the elements of the key and of the value, for every layer and head.
  template <class Element, class Visit>
  void for_each_element_as(std::size_t slot, Visit& visit) const noexcept {
    for (std::size_t layer = 0; layer < shape_.layers; ++layer) {
      for (std::size_t head = 0; head < shape_.heads; ++head) {
        Element* key = key_at<Element>(layer, head, slot);
        Element* value = value_at<Element>(layer, head, slot);
        for (std::size_t d = 0; d < shape_.size; ++d) {
          visit(reinterpret_cast<std::byte*>(key + d * cpu::key_block), sizeof(Element));
        }
        for (std::size_t d = 0; d < shape_.size; ++d) visit(reinterpret_cast<std::byte*>(value + d), sizeof(Element));
      }
    }
  }

  kv_shape shape_;
  std::vector<std::shared_ptr<storage>> segments_;
};

}  // namespace decant::inline DECANT_ABI

#endif
