// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keys and values of one sequence: slots [0, capacity) per layer and key head.
#ifndef DECANT_REFERENCE_KV_CACHE_HPP
#define DECANT_REFERENCE_KV_CACHE_HPP

#include <decant/reference/aligned_buffer.hpp>
#include <decant/reference/kernel_table.hpp>
#include <decant/reference/llama_config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

enum class kv_type : std::uint8_t {
  f16,  ///< half the memory and traffic; values beyond +-65504 are clamped
  f32,
};

/// Rows of one attention call: `queries[r]` has head_size floats.
struct kv_queries {
  const float* const* queries = nullptr;
  std::size_t rows = 0;
};

/// Keys lie transposed in blocks of 16 slots, [layer][head][block][dimension][16]; values lie as [layer][head][slot]
/// [dimension], the dimension padded with zeros to a multiple of 16. Unused slots cost no memory until written.
class kv_cache {
 public:
  [[nodiscard]] result<void> allocate(const llama_config& config, std::size_t capacity, kv_type type) {
    heads_ = config.key_heads;
    size_ = config.head_size;
    padded_ = round_up(size_, 2 * 8);
    type_ = type;
    capacity_ = round_up(capacity, cpu::key_block);
    const std::size_t elements = config.layers * heads_ * capacity_ * (size_ + padded_);
    return type == kv_type::f16 ? halves_.allocate(elements) : floats_.allocate(elements);
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t padded_size() const noexcept { return padded_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return halves_.size() * 2 + floats_.size() * 4; }

  /// Writes a slot: head_size floats of key and of value. `key` and `value` may be read up to the next multiple of 8.
  void store(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t slot, const float* key,
             const float* value) noexcept {
    if (type_ == kv_type::f32) {
      scatter(floats_.data() + key_offset(layer, head, slot), key);
      std::copy_n(value, size_, floats_.data() + value_offset(layer, head, slot));
      return;
    }
    std::uint16_t halves[1024];
    kernels.to_half(key, round_up(size_, 8), halves);
    scatter(halves_.data() + key_offset(layer, head, slot), halves);
    kernels.to_half(value, round_up(size_, 8), halves);
    std::copy_n(halves, size_, halves_.data() + value_offset(layer, head, slot));
  }

  /// Copies slot `from` to slot `to` in every layer and head.
  void move(std::size_t layers, std::size_t from, std::size_t to) noexcept {
    for (std::size_t layer = 0; layer < layers; ++layer) {
      for (std::size_t head = 0; head < heads_; ++head) {
        if (type_ == kv_type::f16) copy_slot(halves_.data(), layer, head, from, to);
        if (type_ == kv_type::f32) copy_slot(floats_.data(), layer, head, from, to);
      }
    }
  }

  /// Scores of the queries against slots [0, slots), rounded up to whole blocks.
  void score(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t slots,
             kv_queries queries, float* out, std::size_t stride) const noexcept {
    const std::size_t blocks = (slots + cpu::key_block - 1) / cpu::key_block;
    const std::size_t offset = key_offset(layer, head, 0);
    if (type_ == kv_type::f16) {
      kernels.score_f16({halves_.data() + offset, blocks, size_, queries.queries, queries.rows, out, stride});
    } else {
      kernels.score_f32({floats_.data() + offset, blocks, size_, queries.queries, queries.rows, out, stride});
    }
  }

  /// Adds the weighted values of slots [first, first + count) to `sums`, [rows][padded_size()].
  void mix(const cpu::kernel_table& kernels, std::size_t layer, std::size_t head, std::size_t first, std::size_t count,
           const float* weights, std::size_t stride, std::size_t rows, float* sums) const noexcept {
    const std::size_t offset = value_offset(layer, head, first);
    if (type_ == kv_type::f16) {
      kernels.mix_f16({halves_.data() + offset, count, padded_, weights, stride, rows, sums});
    } else {
      kernels.mix_f32({floats_.data() + offset, count, padded_, weights, stride, rows, sums});
    }
  }

 private:
  [[nodiscard]] std::size_t plane(std::size_t layer, std::size_t head) const noexcept {
    return (layer * heads_ + head) * capacity_ * (size_ + padded_);
  }
  [[nodiscard]] std::size_t key_offset(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    return plane(layer, head) + slot / cpu::key_block * cpu::key_block * size_ + slot % cpu::key_block;
  }
  [[nodiscard]] std::size_t value_offset(std::size_t layer, std::size_t head, std::size_t slot) const noexcept {
    return plane(layer, head) + capacity_ * size_ + slot * padded_;
  }

  template <class Element>
  void scatter(Element* column, const Element* from) const noexcept {
    for (std::size_t d = 0; d < size_; ++d) column[d * cpu::key_block] = from[d];
  }

  template <class Element>
  void copy_slot(Element* data, std::size_t layer, std::size_t head, std::size_t from, std::size_t to) const noexcept {
    const Element* source = data + key_offset(layer, head, from);
    Element* target = data + key_offset(layer, head, to);
    for (std::size_t d = 0; d < size_; ++d) target[d * cpu::key_block] = source[d * cpu::key_block];
    std::copy_n(data + value_offset(layer, head, from), size_, data + value_offset(layer, head, to));
  }

  std::size_t heads_ = 0;
  std::size_t size_ = 0;
  std::size_t padded_ = 0;
  std::size_t capacity_ = 0;
  kv_type type_ = kv_type::f16;
  aligned_buffer<std::uint16_t> halves_;
  aligned_buffer<float> floats_;
};

}  // namespace decant::inline DECANT_ABI

#endif
