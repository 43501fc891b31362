// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_KERNELS_ACTIVATION_ROWS_HPP
#define DECANT_KERNELS_ACTIVATION_ROWS_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/kernels/kernel_table.hpp>

#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// Inputs of matrix products: `rows` rows of `length` floats and, when the length is whole blocks, their int8 codes.
/// Each row starts on a cache line of its own, so threads that fill different rows do not share lines.
class activation_rows {
 public:
  [[nodiscard]] result<void> allocate(std::size_t rows, std::size_t length) {
    length_ = length;
    stride_ = round_up(length, cache_line);
    block_stride_ = round_up(stride_ / cpu::block_elements * sizeof(cpu::activation_block), cache_line) /
                    sizeof(cpu::activation_block);
    if (auto r = values_.allocate(rows * stride_); !r) return r;
    return blocks_.allocate(rows * block_stride_);
  }

  [[nodiscard]] float* row(std::size_t r) noexcept { return values_.data() + r * stride_; }
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }

  /// Makes the codes of elements [first, last) of a row; both are multiples of 32 or the end. Not needed by products
  /// that take floats (see `packed_matrix::takes_codes`).
  void quantise(const cpu::kernel_table& kernels, std::size_t r, std::size_t first, std::size_t last) noexcept {
    if (length_ % cpu::block_elements != 0) return;
    kernels.quantise(values_.data() + r * stride_ + first, (last - first) / cpu::block_elements,
                     blocks_.data() + r * block_stride_ + first / cpu::block_elements);
  }
  void quantise(const cpu::kernel_table& kernels, std::size_t r) noexcept { quantise(kernels, r, 0, length_); }

  [[nodiscard]] cpu::activation_view view() const noexcept {
    return {values_.data(), blocks_.data(), stride_, block_stride_};
  }

 private:
  std::size_t length_ = 0;
  std::size_t stride_ = 0;
  std::size_t block_stride_ = 0;
  aligned_buffer<float> values_;
  aligned_buffer<cpu::activation_block> blocks_;
};

}  // namespace decant::inline DECANT_ABI

#endif
