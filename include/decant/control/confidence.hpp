// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_CONTROL_CONFIDENCE_HPP
#define DECANT_CONTROL_CONFIDENCE_HPP

#include <decant/config.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// A drafter's opinion of a token, coarse enough to be learnt about: the odds of its estimated acceptance in steps of
/// half a power of two, from 1:16 to 181:1, or unknown.
class confidence {
 public:
  static constexpr std::size_t classes = 25;  ///< the last one is "unknown"

  constexpr confidence() noexcept = default;
  /// Of an estimated probability; outside (0, 1] it is unknown.
  explicit confidence(double probability) noexcept {
    if (!(probability > 0 && probability <= 1)) return;
    const double steps = 2 * std::log2(probability / std::max(1 - probability, 1e-9));
    class_ = static_cast<std::uint8_t>(std::clamp(std::lround(steps), lowest, highest) - lowest);
  }

  [[nodiscard]] constexpr std::size_t index() const noexcept { return class_; }
  [[nodiscard]] constexpr bool is_known() const noexcept { return class_ != classes - 1; }
  /// The probability it stands for; when unknown, what a fair draft model reaches.
  [[nodiscard]] double probability() const noexcept {
    if (!is_known()) return 0.8;
    const double odds = std::exp2(0.5 * static_cast<double>(static_cast<long>(class_) + lowest));
    return odds / (1 + odds);
  }

  friend constexpr bool operator==(confidence, confidence) = default;

 private:
  static constexpr long lowest = -8;
  static constexpr long highest = 15;
  std::uint8_t class_ = classes - 1;
};

}  // namespace decant::inline DECANT_ABI

#endif
