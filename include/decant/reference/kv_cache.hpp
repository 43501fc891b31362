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
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// What keys and values are stored as.
enum class kv_type : std::uint8_t {
  f16,  ///< values beyond +-65504 are clamped
  f32,
  /// 8-bit codes with a scale for each key and value of a head, rounded once, when they are stored. Scores are products
  /// of integers, so queries are rounded too.
  i8,
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
  [[nodiscard]] std::size_t element_bytes() const noexcept {
    return type == kv_type::i8 ? 1 : type == kv_type::f16 ? 2 : 4;
  }
  /// Of a key or a value of a head.
  [[nodiscard]] std::size_t scale_bytes() const noexcept { return type == kv_type::i8 ? sizeof(float) : 0; }
  /// Bytes of the keys and values of one slot, without padding, over all layers and heads.
  [[nodiscard]] std::size_t slot_bytes() const noexcept {
    return layers * heads * 2 * (scale_bytes() + size * element_bytes());
  }

  friend bool operator==(const kv_shape&, const kv_shape&) = default;
};

/// Keys lie transposed in blocks of 16 slots, [block][dimension][16], codes of 8 bits in cells of four,
/// [block][dimension / 4][16][4]; values lie as [slot][dimension], the dimension padded with zeros to a multiple of 16;
/// then come the scales of keys and of values, [slot], if any; all per layer and head within a segment of 256 slots.
/// Copies share their segments and copy one when they write to it (`make_writable`), so a fork costs a pointer per 256
/// tokens.
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
    return count * segment_bytes();
  }

  /// Makes slots [first, last) this sequence's own; what earlier slots of the first segment hold is kept. Allocates
  /// where a segment is missing or shared. Error: `out_of_memory`, with nothing lost.
  [[nodiscard]] result<void> make_writable(std::size_t first, std::size_t last) {
    if (first == last) return {};
    for (std::size_t s = first / segment_slots; s < segments_for(last); ++s) {
      if (segments_[s] != nullptr && segments_[s].use_count() == 1) continue;
      auto own = std::make_shared<storage>();
      if (auto r = own->allocate(segment_bytes()); !r) return r;
      if (segments_[s] != nullptr && s * segment_slots < first) {
        std::memcpy(own->data(), segments_[s]->data(), own->size());
      }
      segments_[s] = std::move(own);
    }
    return {};
  }

  /// Writes a slot: head_size floats of key and of value. `key` and `value` may be read up to the next multiple of 8.
  void store(const cpu::kernel_table& kernels, const cpu::attention_table& loops, std::size_t layer, std::size_t head,
             std::size_t slot, const float* key, const float* value) noexcept {
    if (shape_.type == kv_type::f32) {
      store_key(layer, head, slot, key);
      store_value(layer, head, slot, value);
    } else if (shape_.type == kv_type::f16) {
      std::uint16_t halves[1024];
      kernels.to_half(key, round_up(shape_.size, 8), halves);
      store_key(layer, head, slot, halves);
      kernels.to_half(value, round_up(shape_.size, 8), halves);
      store_value(layer, head, slot, halves);
    } else {
      std::int8_t codes[1024];
      *key_scale(layer, head, slot) = loops.to_bytes(key, shape_.size, codes).scale;
      store_key(layer, head, slot, codes);
      *value_scale(layer, head, slot) = loops.to_bytes(value, shape_.size, codes).scale;
      store_value(layer, head, slot, codes);
    }
  }

  /// Copies slot `from` to slot `to` in every layer and head. Precondition: `to` is writable.
  void move(std::size_t from, std::size_t to) noexcept {
    for_each_piece(from, to, [](const std::byte* source, std::byte* target, std::size_t bytes) {
      std::memcpy(target, source, bytes);
    });
  }

  /// Copies a slot out, as [layer][head][key, value][scale if any, then elements], `shape().slot_bytes()` bytes.
  void read_slot(std::size_t slot, std::byte* out) const noexcept {
    for_each_piece(slot, slot, [&](const std::byte* at, std::byte*, std::size_t bytes) {
      std::memcpy(out, at, bytes);
      out += bytes;
    });
  }
  /// The reverse. Precondition: the slot is writable.
  void write_slot(std::size_t slot, const std::byte* from) noexcept {
    for_each_piece(slot, slot, [&](const std::byte*, std::byte* at, std::size_t bytes) {
      std::memcpy(at, from, bytes);
      from += bytes;
    });
  }

  /// The keys and values of a head, as a source of cpu::chunk_attention.
  class head_view {
   public:
    head_view(const kv_cache& cache, const cpu::kernel_table& products, const cpu::attention_table& kernels,
              std::size_t layer, std::size_t head) noexcept
        : cache_(cache), products_(products), kernels_(kernels), layer_(layer), head_(head) {}

    void score(const cpu::attention_query* queries, std::size_t rows, std::size_t first, std::size_t last, float* out,
               std::size_t stride) const noexcept {
      for_each_run(first, last, [&](std::size_t slot, std::size_t count) {
        const cpu::upcoming_rows next = upcoming_values(slot, count);
        cpu::in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
          score_run(slot, count, {queries + r, run}, out + r * stride + (slot - first), stride,
                    next.share(r, r + run, rows));
        });
      });
    }
    void mix(std::size_t first, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
             float* sums, std::size_t width) const noexcept {
      for_each_run(first, first + count, [&](std::size_t slot, std::size_t n) {
        const cpu::upcoming_rows next = upcoming_keys(slot, n);
        cpu::in_kernel_runs(rows, [&](std::size_t r, std::size_t run) {
          mix_run(slot, n, weights + r * stride + (slot - first), stride, run, sums + r * width,
                  next.share(r, r + run, rows));
        });
      });
    }

   private:
    /// Cuts slots [first, last) into runs of one segment each.
    template <class Visit>
    static void for_each_run(std::size_t first, std::size_t last, Visit&& visit) {
      while (first < last) {
        const std::size_t end = std::min(last, (first / segment_slots + 1) * segment_slots);
        visit(first, end - first);
        first = end;
      }
    }

    /// Scores slots of one segment, rounded up to whole blocks, for rows that a kernel takes at once.
    void score_run(std::size_t slot, std::size_t count, std::span<const cpu::attention_query> queries, float* out,
                   std::size_t stride, const cpu::upcoming_rows& next) const noexcept {
      const std::size_t blocks = (count + cpu::key_block - 1) / cpu::key_block;
      const std::size_t size = cache_.shape().size;
      if (cache_.shape().type == kv_type::i8) {
        const auto* codes = reinterpret_cast<const cpu::code_word*>(key<std::int8_t>(slot));
        return kernels_.score_codes({codes, cache_.key_scale(layer_, head_, slot), blocks, (size + 3) / 4,
                                     queries.data(), queries.size(), out, stride, next});
      }
      const float* values[cpu::attention_rows];
      for (std::size_t r = 0; r < queries.size(); ++r) values[r] = queries[r].values;
      if (cache_.shape().type == kv_type::f16) {
        products_.score_f16({key<std::uint16_t>(slot), blocks, size, values, queries.size(), out, stride, next});
      } else {
        products_.score_f32({key<float>(slot), blocks, size, values, queries.size(), out, stride, next});
      }
    }

    /// Adds weighted values of slots of one segment, in order.
    void mix_run(std::size_t slot, std::size_t count, const float* weights, std::size_t stride, std::size_t rows,
                 float* sums, const cpu::upcoming_rows& next) const noexcept {
      const std::size_t width = cache_.shape().padded;
      if (cache_.shape().type == kv_type::f16) {
        products_.mix_f16({value<std::uint16_t>(slot), count, width, weights, stride, rows, sums, next});
      } else if (cache_.shape().type == kv_type::f32) {
        products_.mix_f32({value<float>(slot), count, width, weights, stride, rows, sums, next});
      } else {
        kernels_.mix_i8({value<std::int8_t>(slot), width, count, width, cache_.value_scale(layer_, head_, slot), 1,
                         weights, stride, rows, sums, width, next});
      }
    }

    /// The values of slots of one segment.
    [[nodiscard]] cpu::upcoming_rows upcoming_values(std::size_t slot, std::size_t count) const noexcept {
      const std::size_t bytes = cache_.value_bytes() / segment_slots;
      const std::byte* values = cache_.plane(layer_, head_, slot) + cache_.key_bytes();
      return {values + slot % segment_slots * bytes, bytes, bytes, count};
    }
    /// The keys that probably come after some values: of the same slots for the next head, behind the last head those
    /// of the next segment for the first.
    [[nodiscard]] cpu::upcoming_rows upcoming_keys(std::size_t slot, std::size_t count) const noexcept {
      const std::size_t bytes = cache_.key_bytes() / segment_slots;
      std::size_t head = head_ + 1;
      if (head == cache_.shape().heads) {
        head = 0;
        slot += segment_slots;
        if (!cache_.holds(slot)) return {};
      }
      return {cache_.plane(layer_, head, slot) + slot % segment_slots * bytes, bytes, bytes, count};
    }

    template <class Element>
    [[nodiscard]] const Element* key(std::size_t slot) const noexcept {
      return cache_.key_at<Element>(layer_, head_, slot);
    }
    template <class Element>
    [[nodiscard]] const Element* value(std::size_t slot) const noexcept {
      return cache_.value_at<Element>(layer_, head_, slot);
    }

    const kv_cache& cache_;
    const cpu::kernel_table& products_;
    const cpu::attention_table& kernels_;
    std::size_t layer_;
    std::size_t head_;
  };

 private:
  using storage = aligned_buffer<std::byte>;

  /// Elements of a key that lie side by side.
  template <class Element>
  static constexpr std::size_t cell = sizeof(Element) == 1 ? 4 : 1;

  [[nodiscard]] static constexpr std::size_t segments_for(std::size_t slots) noexcept {
    return (slots + segment_slots - 1) / segment_slots;
  }
  /// Bytes of the keys of a head in a segment.
  [[nodiscard]] std::size_t key_bytes() const noexcept {
    const std::size_t rows = shape_.type == kv_type::i8 ? round_up(shape_.size, cell<std::int8_t>) : shape_.size;
    return segment_slots * rows * shape_.element_bytes();
  }
  [[nodiscard]] std::size_t value_bytes() const noexcept {
    return segment_slots * shape_.padded * shape_.element_bytes();
  }
  /// Bytes of a head in a segment.
  [[nodiscard]] std::size_t plane_bytes() const noexcept {
    return key_bytes() + value_bytes() + 2 * segment_slots * shape_.scale_bytes();
  }
  [[nodiscard]] std::size_t segment_bytes() const noexcept { return shape_.layers * shape_.heads * plane_bytes(); }

  [[nodiscard]] bool holds(std::size_t slot) const noexcept {
    return slot / segment_slots < segments_.size() && segments_[slot / segment_slots] != nullptr;
  }
  [[nodiscard]] std::byte* plane(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    return segments_[slot / segment_slots]->data() + (layer * shape_.heads + head) * plane_bytes();
  }
  /// The first cell of a key; its cells are a block apart.
  template <class Element>
  [[nodiscard]] Element* key_at(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    const std::size_t local = slot % segment_slots;
    const std::size_t block = local / cpu::key_block * cpu::key_block;
    auto* keys = reinterpret_cast<Element*>(plane(layer, head, slot));
    return keys + block * round_up(shape_.size, cell<Element>) + local % cpu::key_block * cell<Element>;
  }
  template <class Element>
  [[nodiscard]] Element* value_at(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    auto* values = reinterpret_cast<Element*>(plane(layer, head, slot) + key_bytes());
    return values + slot % segment_slots * shape_.padded;
  }
  [[nodiscard]] float* key_scale(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    auto* scales = reinterpret_cast<float*>(plane(layer, head, slot) + key_bytes() + value_bytes());
    return scales + slot % segment_slots;
  }
  [[nodiscard]] float* value_scale(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    return key_scale(layer, head, slot) + segment_slots;
  }

  template <class Element>
  void store_key(std::size_t layer, std::size_t head, std::size_t slot, const Element* from) const noexcept {
    for_each_cell<Element>([&, first = key_at<Element>(layer, head, slot)](std::size_t d, std::size_t count) {
      std::memcpy(first + d * cpu::key_block, from + d, count * sizeof(Element));
    });
  }
  template <class Element>
  void store_value(std::size_t layer, std::size_t head, std::size_t slot, const Element* from) const noexcept {
    std::copy_n(from, shape_.size, value_at<Element>(layer, head, slot));
  }

  /// Calls `visit(d, count)` for the cells of a key: `count` elements from d on.
  template <class Element, class Visit>
  void for_each_cell(Visit&& visit) const noexcept {
    constexpr std::size_t width = cell<Element>;
    for (std::size_t d = 0; d < shape_.size; d += width) visit(d, width == 1 ? 1 : std::min(width, shape_.size - d));
  }

  /// Calls `visit(address of one slot, address of the other, bytes)` for all that a slot holds, in the order of a saved
  /// state.
  template <class Visit>
  void for_each_piece(std::size_t one, std::size_t other, Visit&& visit) const noexcept {
    for (std::size_t i = 0; i < shape_.layers * shape_.heads; ++i) {
      const std::size_t layer = i / shape_.heads;
      const std::size_t head = i % shape_.heads;
      if (shape_.type == kv_type::f16) for_each_piece_of<std::uint16_t>(layer, head, one, other, visit);
      if (shape_.type == kv_type::f32) for_each_piece_of<float>(layer, head, one, other, visit);
      if (shape_.type == kv_type::i8) for_each_piece_of<std::int8_t>(layer, head, one, other, visit);
    }
  }
  template <class Element, class Visit>
  void for_each_piece_of(std::size_t layer, std::size_t head, std::size_t one, std::size_t other,
                         Visit& visit) const noexcept {
    const auto pass = [&](auto* from, auto* to, std::size_t count) {
      visit(reinterpret_cast<std::byte*>(from), reinterpret_cast<std::byte*>(to), count * sizeof *from);
    };
    constexpr bool has_scales = sizeof(Element) == 1;
    if constexpr (has_scales) pass(key_scale(layer, head, one), key_scale(layer, head, other), 1);
    Element* from = key_at<Element>(layer, head, one);
    Element* to = key_at<Element>(layer, head, other);
    for_each_cell<Element>(
        [&](std::size_t d, std::size_t count) { pass(from + d * cpu::key_block, to + d * cpu::key_block, count); });
    if constexpr (has_scales) pass(value_scale(layer, head, one), value_scale(layer, head, other), 1);
    pass(value_at<Element>(layer, head, one), value_at<Element>(layer, head, other), shape_.size);
  }

  kv_shape shape_;
  std::vector<std::shared_ptr<storage>> segments_;
};

}  // namespace decant::inline DECANT_ABI

#endif
