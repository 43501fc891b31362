// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FineQuant (arXiv 2308.09723): weight-only quantisation to 4 or 8 bits with one group size per matrix, the largest
// that does not cost accuracy, chosen from the weights alone.
//
// Quantiser, for a group of neighbouring weights a of one output: s = 2 max|a| / (2^bits - 1), rounded to binary16;
// q = round(a / s), clamped to [-2^(bits-1), 2^(bits-1) - 1]; the weight is then s q. No zero point. A group of zeros
// has s = 0.
//
// Groups are multiples of 32, so a quantised matrix is, without loss, also one of Q4_0 or Q8_0 blocks whose scales
// repeat along a group (`blocks()`): the packed int8 kernels multiply with it, and any engine reads it from a GGUF
// file. The paper leaves rounding and the constants of its rule open: `group_by_range` is a reconstruction.
#ifndef DECANT_REFERENCE_FINEQUANT_HPP
#define DECANT_REFERENCE_FINEQUANT_HPP

#include <decant/core/error.hpp>
#include <decant/kernels/float16.hpp>
#include <decant/reference/quantisation.hpp>
#include <decant/reference/tensor_type.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A matrix of weights: `rows` outputs of `columns` inputs, row-major.
struct weight_view {
  std::span<const float> values;
  std::size_t rows = 0;
  std::size_t columns = 0;

  [[nodiscard]] std::span<const float> group(std::size_t row, std::size_t first, std::size_t size) const noexcept {
    return values.subspan(row * columns + first, size);
  }
};

/// Codes and scales: 4 or 8 bits a weight (a byte here), and a binary16 scale per group.
class finequant_matrix {
 public:
  /// Quantises. O(size). Errors: `invalid_argument` unless bits are 4 or 8, `group` is a multiple of 32 that divides
  /// the columns, the sizes fit, and every scale is a finite binary16 number.
  [[nodiscard]] static result<finequant_matrix> quantise(const weight_view& weights, int bits, std::size_t group) {
    if (bits != 4 && bits != 8) return error{error_code::invalid_argument, "bits"};
    const bool fits = group != 0 && group % 32 == 0 && weights.columns % group == 0;
    if (!fits || weights.values.size() != weights.rows * weights.columns) {
      return error{error_code::invalid_argument, "group"};
    }
    finequant_matrix matrix(weights.columns, bits, group);
    matrix.codes_.resize(weights.values.size());
    matrix.scales_.resize(weights.values.size() / group);
    for (std::size_t g = 0; g < matrix.scales_.size(); ++g) {
      if (!matrix.quantise_group(weights.values.subspan(g * group, group), g)) {
        return error{error_code::invalid_argument, "a weight is not finite or too large"};
      }
    }
    return matrix;
  }

  [[nodiscard]] int bits() const noexcept { return bits_; }
  [[nodiscard]] std::size_t group() const noexcept { return group_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::size_t rows() const noexcept { return columns_ == 0 ? 0 : codes_.size() / columns_; }
  [[nodiscard]] double bits_per_weight() const noexcept { return bits_ + 16.0 / static_cast<double>(group_); }

  /// The weight at a place of the row-major matrix.
  [[nodiscard]] float value(std::size_t i) const noexcept {
    return half_to_float(scales_[i / group_]) * static_cast<float>(codes_[i]);
  }

  /// Frobenius norm of the difference over that of the weights; 0 for zeros.
  [[nodiscard]] double relative_error(std::span<const float> weights) const noexcept {
    double wrong = 0;
    double size = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const auto exact = static_cast<double>(weights[i]);
      const double difference = static_cast<double>(value(i)) - exact;
      wrong += difference * difference;
      size += exact * exact;
    }
    return size > 0 ? std::sqrt(wrong / size) : 0;
  }

  /// The type of `blocks()`.
  [[nodiscard]] tensor_type block_type() const noexcept { return bits_ == 4 ? tensor_type::q4_0 : tensor_type::q8_0; }

  /// The same matrix as the bytes of a tensor of `block_type()`, with the same values.
  [[nodiscard]] std::vector<std::byte> blocks() const {
    const std::size_t size = traits_of(block_type()).block_bytes;
    std::vector<std::byte> bytes(codes_.size() / 32 * size);
    for (std::size_t b = 0; b < codes_.size() / 32; ++b) {
      const std::int8_t* codes = codes_.data() + 32 * b;
      std::byte* to = bytes.data() + b * size;
      block::store_u16(to, scales_[32 * b / group_]);
      if (bits_ == 4) block::store_nibbles(to + 2, [&](std::size_t i) { return codes[i] + 8; });
      if (bits_ == 8)
        std::transform(codes, codes + 32, to + 2, [](std::int8_t q) { return static_cast<std::byte>(q); });
    }
    return bytes;
  }

 private:
  finequant_matrix(std::size_t columns, int bits, std::size_t group) : columns_(columns), bits_(bits), group_(group) {}

  [[nodiscard]] bool quantise_group(std::span<const float> weights, std::size_t g) noexcept {
    const int levels = 1 << bits_;
    float greatest = 0;
    bool finite = true;
    for (const float a : weights) {
      greatest = std::max(greatest, std::fabs(a));
      finite = finite && std::isfinite(a);
    }
    scales_[g] = float_to_half(2.0F * greatest / static_cast<float>(levels - 1));
    const float scale = half_to_float(scales_[g]);
    const float inverse = block::inverse_or_zero(scale);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float code = std::round(weights[i] * inverse);
      const auto low = static_cast<float>(-levels / 2);
      codes_[g * group_ + i] = finite ? static_cast<std::int8_t>(std::clamp(code, low, -low - 1)) : std::int8_t{0};
    }
    return finite && std::isfinite(scale) && std::isfinite(inverse);
  }

  std::size_t columns_;
  int bits_;
  std::size_t group_;
  std::vector<std::int8_t> codes_;
  std::vector<std::uint16_t> scales_;
};

/// Group sizes that may be chosen: the divisors of `columns` that are multiples of `least`, the largest first. `least`
/// is a multiple of 32.
[[nodiscard]] inline std::vector<std::size_t> finequant_groups(std::size_t columns, std::size_t least) {
  std::vector<std::size_t> groups;
  for (std::size_t g = columns / least * least; g >= least; g -= least) {
    if (columns % g == 0) groups.push_back(g);
  }
  return groups;
}

/// The largest group whose relative error is at most 1 + `slack` times that of the smallest one. Exact by trial, no
/// other constant: O(size * number of groups). Errors: those of `quantise`; `invalid_argument` when `columns` has no
/// divisor that is a multiple of `least`.
[[nodiscard]] inline result<std::size_t> group_by_error(const weight_view& weights, int bits, std::size_t least,
                                                        double slack = 0.1) {
  if (least == 0 || least % 32 != 0) return error{error_code::invalid_argument, "least group"};
  const std::vector<std::size_t> groups = finequant_groups(weights.columns, least);
  if (groups.empty()) return error{error_code::invalid_argument, "columns"};
  const result<finequant_matrix> finest = finequant_matrix::quantise(weights, bits, groups.back());
  if (!finest) return finest.error();
  const double bound = (1 + slack) * finest->relative_error(weights.values);
  for (const std::size_t g : groups) {
    const result<finequant_matrix> matrix = finequant_matrix::quantise(weights, bits, g);
    if (!matrix) return matrix.error();
    if (matrix->relative_error(weights.values) <= bound) return g;
  }
  return groups.back();
}

/// The paper's kind of rule, as reconstructed: starting at one group per output, goes to the next group of at most half
/// the size while the mean range of outputs is more than `ratio` times the mean range of those groups. The range of an
/// output does not depend on the group, so what passes once passes down to the smallest. O(size * log(columns)).
/// Preconditions: `least` is a multiple of 32, and `columns` has a divisor that is a multiple of it.
[[nodiscard]] inline std::size_t group_by_range(const weight_view& weights, std::size_t least, double ratio = 1.2) {
  const auto mean_range = [&](std::size_t size) {
    double sum = 0;
    for (std::size_t row = 0; row < weights.rows; ++row) {
      for (std::size_t first = 0; first < weights.columns; first += size) {
        float greatest = 0;
        for (const float a : weights.group(row, first, size)) greatest = std::max(greatest, std::fabs(a));
        sum += static_cast<double>(greatest);
      }
    }
    return sum / static_cast<double>(weights.values.size() / size);
  };
  const std::vector<std::size_t> groups = finequant_groups(weights.columns, least);
  DECANT_PRECONDITION(!groups.empty());
  const double whole = mean_range(weights.columns);
  std::size_t chosen = groups.front();
  for (const std::size_t g : groups) {
    if (2 * g > chosen) continue;
    if (whole <= ratio * mean_range(g)) break;
    chosen = g;
  }
  return chosen;
}

}  // namespace decant::inline DECANT_ABI

#endif
