// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where the time of passes goes, for benchmarks.
#ifndef DECANT_REFERENCE_PASS_CLOCK_HPP
#define DECANT_REFERENCE_PASS_CLOCK_HPP

#include <decant/config.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace decant::inline DECANT_ABI {

/// The parts of a pass, each with the wait for the other threads at its end.
enum class pass_part : std::uint8_t {
  embedding,        ///< first residual rows
  norm,             ///< normalisation, and quantisation of its result
  query_key_value,  ///< with rotation, and storing of keys and values
  attention,
  requantise,  ///< of what attention gave
  attention_output,
  gate_up,
  activation,  ///< gating, and quantisation of its result
  down,
  logits,
};
inline constexpr std::size_t pass_part_count = 10;
inline constexpr const char* pass_part_names[pass_part_count] = {
    "embedding",        "norm",    "query_key_value", "attention", "requantise",
    "attention_output", "gate_up", "activation",      "down",      "logits"};

/// Seconds by part, as the calling thread sees them, summed over passes.
class pass_clock {
 public:
  void start() noexcept { last_ = std::chrono::steady_clock::now(); }
  /// The time since the last call belongs to `part`.
  void charge(pass_part part) noexcept {
    const auto now = std::chrono::steady_clock::now();
    seconds_[static_cast<std::size_t>(part)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  [[nodiscard]] double seconds(pass_part part) const noexcept { return seconds_[static_cast<std::size_t>(part)]; }

 private:
  std::array<double, pass_part_count> seconds_{};
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace decant::inline DECANT_ABI

#endif
