// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rotary position embedding: Su et al., RoFormer, arXiv 2104.09864; its extension YaRN: Peng et al., arXiv 2309.00071
// (the form that GGUF files are made for: one ramp between interpolated and kept frequencies, and one factor for the
// magnitude of queries and keys).
#ifndef DECANT_REFERENCE_ROPE_TABLE_HPP
#define DECANT_REFERENCE_ROPE_TABLE_HPP

#include <decant/kernels/aligned_buffer.hpp>
#include <decant/reference/llama_config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace decant::inline DECANT_ABI {

/// Angle per position of every rotated pair, and what the rotated pair is multiplied by.
class rope_frequencies {
 public:
  /// `divisors` is empty or divides the angle of each of the head_size / 2 pairs.
  rope_frequencies(const llama_config& config, std::span<const float> divisors) noexcept
      : config_(config), divisors_(divisors) {
    if (config.rope_scaling != rope_scaling_kind::yarn) return;
    first_ = std::max(0.0, std::floor(pair_of_turns(config.yarn_fast_turns)));
    last_ = std::min(static_cast<double>(config.head_size - 1), std::ceil(pair_of_turns(config.yarn_slow_turns)));
  }

  [[nodiscard]] double angle(std::size_t pair) const noexcept {
    const double exponent = -2.0 * static_cast<double>(pair) / static_cast<double>(config_.head_size);
    const double divisor = divisors_.empty() ? 1.0 : static_cast<double>(divisors_[pair]);
    const double kept = std::pow(config_.rope_base, exponent) / divisor;
    const double share = kept_share(pair);
    return kept * (config_.rope_scale * (1 - share) + share);
  }

  [[nodiscard]] double magnitude() const noexcept {
    if (config_.rope_scaling != rope_scaling_kind::yarn) return 1.0;
    return config_.yarn_magnitude * (1.0 + 0.1 * std::max(0.0, std::log(1.0 / config_.rope_scale)));
  }

 private:
  /// How much of a pair's own frequency is kept: 1 for pairs that turn fast, 0 for slow ones.
  [[nodiscard]] double kept_share(std::size_t pair) const noexcept {
    if (config_.rope_scaling != rope_scaling_kind::yarn) return 0.0;
    const double ramp = (static_cast<double>(pair) - first_) / std::max(0.001, last_ - first_);
    return config_.yarn_extrapolation * (1.0 - std::clamp(ramp, 0.0, 1.0));
  }
  /// The pair, as a real number, that makes so many turns over the original context.
  [[nodiscard]] double pair_of_turns(double turns) const noexcept {
    constexpr double two_pi = 6.283185307179586;
    const auto context = static_cast<double>(config_.original_context);
    const auto size = static_cast<double>(config_.head_size);
    return size * std::log(context / (turns * two_pi)) / (2.0 * std::log(config_.rope_base));
  }

  const llama_config& config_;
  std::span<const float> divisors_;
  double first_ = 0;
  double last_ = 0;
};

/// Cosines and sines for every position below `positions`. O(positions * head_size) memory.
class rope_table {
 public:
  [[nodiscard]] result<void> build(const llama_config& config, std::span<const float> divisors, std::size_t positions) {
    pairs_ = config.head_size / 2;
    const bool neighbours = config.rope_pairs == rope_pairing::neighbours;
    step_ = neighbours ? 2 : 1;
    partner_ = neighbours ? 1 : pairs_;
    if (auto r = table_.allocate(positions * pairs_ * 2); !r) return r;
    const rope_frequencies frequencies(config, divisors);
    const double magnitude = frequencies.magnitude();
    for (std::size_t i = 0; i < pairs_; ++i) {
      const double frequency = frequencies.angle(i);
      for (std::size_t position = 0; position < positions; ++position) {
        const double angle = static_cast<double>(position) * frequency;
        float* entry = table_.data() + (position * pairs_ + i) * 2;
        entry[0] = static_cast<float>(std::cos(angle) * magnitude);
        entry[1] = static_cast<float>(std::sin(angle) * magnitude);
      }
    }
    return {};
  }

  /// Rotates one head of head_size floats in place. Precondition: `position` is below the table's positions. Products
  /// of floats are exact in double, so the result does not depend on whether a compiler fuses them.
  void rotate(std::size_t position, float* head) const noexcept {
    const float* entry = table_.data() + position * pairs_ * 2;
    for (std::size_t i = 0; i < pairs_; ++i) {
      float& first = head[i * step_];
      float& second = head[i * step_ + partner_];
      const double x = static_cast<double>(first);
      const double y = static_cast<double>(second);
      const double cosine = static_cast<double>(entry[2 * i]);
      const double sine = static_cast<double>(entry[2 * i + 1]);
      first = static_cast<float>(x * cosine - y * sine);
      second = static_cast<float>(x * sine + y * cosine);
    }
  }

 private:
  std::size_t pairs_ = 0;
  std::size_t step_ = 2;     // from pair to pair
  std::size_t partner_ = 1;  // from the first of a pair to the second
  aligned_buffer<float> table_;
};

}  // namespace decant::inline DECANT_ABI

#endif
