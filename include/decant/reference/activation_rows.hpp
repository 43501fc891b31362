// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_REFERENCE_ACTIVATION_ROWS_HPP
#define DECANT_REFERENCE_ACTIVATION_ROWS_HPP

#include <decant/reference/aligned_buffer.hpp>
#include <decant/reference/kernel_table.hpp>

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
    block_stride_ = round_up(stride_ / cpu::block_elements, cache_line / sizeof(float));
    if (auto r = values_.allocate(rows * stride_); !r) return r;
    if (auto r = codes_.allocate(rows * stride_); !r) return r;
    if (auto r = scales_.allocate(rows * block_stride_); !r) return r;
    return sums_.allocate(rows * block_stride_);
  }

  [[nodiscard]] float* row(std::size_t r) noexcept { return values_.data() + r * stride_; }
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }

  /// Makes the codes of elements [first, last) of a row; both are multiples of 32 or the end.
  void quantise(const cpu::kernel_table& kernels, std::size_t r, std::size_t first, std::size_t last) noexcept {
    if (length_ % cpu::block_elements != 0) return;
    const std::size_t at = r * stride_ + first;
    const std::size_t block = r * block_stride_ + first / cpu::block_elements;
    kernels.quantise(values_.data() + at, (last - first) / cpu::block_elements, codes_.data() + at,
                     scales_.data() + block, sums_.data() + block);
  }
  void quantise(const cpu::kernel_table& kernels, std::size_t r) noexcept { quantise(kernels, r, 0, length_); }

  [[nodiscard]] cpu::activation_view view() const noexcept {
    return {values_.data(), codes_.data(), scales_.data(), sums_.data(), stride_, block_stride_};
  }

 private:
  std::size_t length_ = 0;
  std::size_t stride_ = 0;
  std::size_t block_stride_ = 0;
  aligned_buffer<float> values_;
  aligned_buffer<std::int8_t> codes_;
  aligned_buffer<float> scales_;
  aligned_buffer<float> sums_;
};

}  // namespace decant::inline DECANT_ABI

#endif
