// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rotary position embedding of consecutive pairs (the NORM convention of llama files): Su et al., RoFormer,
// arXiv 2104.09864.
#ifndef DECANT_REFERENCE_ROPE_TABLE_HPP
#define DECANT_REFERENCE_ROPE_TABLE_HPP

#include <decant/reference/aligned_buffer.hpp>
#include <decant/reference/llama_config.hpp>

#include <cmath>
#include <cstddef>
#include <span>

namespace decant::inline DECANT_ABI {

/// Cosines and sines for every position below `positions`. O(positions * head_size) memory.
class rope_table {
 public:
  /// `divisors` is empty or divides the angle of each of the head_size / 2 pairs.
  [[nodiscard]] result<void> build(const llama_config& config, std::span<const float> divisors, std::size_t positions) {
    pairs_ = config.head_size / 2;
    if (auto r = table_.allocate(positions * pairs_ * 2); !r) return r;
    for (std::size_t i = 0; i < pairs_; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(config.head_size);
      const double divisor = divisors.empty() ? 1.0 : static_cast<double>(divisors[i]);
      const double frequency = std::pow(config.rope_base, exponent) * config.rope_scale / divisor;
      for (std::size_t position = 0; position < positions; ++position) {
        const double angle = static_cast<double>(position) * frequency;
        float* entry = table_.data() + (position * pairs_ + i) * 2;
        entry[0] = static_cast<float>(std::cos(angle));
        entry[1] = static_cast<float>(std::sin(angle));
      }
    }
    return {};
  }

  /// Rotates one head of head_size floats in place. Precondition: `position` is below the table's positions. Products
  /// of floats are exact in double, so the result does not depend on whether a compiler fuses them.
  void rotate(std::size_t position, float* head) const noexcept {
    const float* entry = table_.data() + position * pairs_ * 2;
    for (std::size_t i = 0; i < 2 * pairs_; i += 2) {
      const double x = static_cast<double>(head[i]);
      const double y = static_cast<double>(head[i + 1]);
      const double cosine = static_cast<double>(entry[i]);
      const double sine = static_cast<double>(entry[i + 1]);
      head[i] = static_cast<float>(x * cosine - y * sine);
      head[i + 1] = static_cast<float>(x * sine + y * cosine);
    }
  }

 private:
  std::size_t pairs_ = 0;
  aligned_buffer<float> table_;
};

}  // namespace decant::inline DECANT_ABI

#endif
