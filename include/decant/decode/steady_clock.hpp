// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A clock for `generate`. Not in the umbrella: <chrono> alone costs 0.7 s of parsing on GCC 12.
#ifndef DECANT_DECODE_STEADY_CLOCK_HPP
#define DECANT_DECODE_STEADY_CLOCK_HPP

#include <decant/config.hpp>

#include <chrono>

namespace decant::inline DECANT_ABI {

/// Seconds since an arbitrary start, never going back.
struct steady_clock {
  [[nodiscard]] double now() const noexcept {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

}  // namespace decant::inline DECANT_ABI

#endif
