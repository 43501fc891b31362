// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef DECANT_CONTROL_ISOTONIC_HPP
#define DECANT_CONTROL_ISOTONIC_HPP

#include <decant/config.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace decant::inline DECANT_ABI {

/// Replaces measurements of something that cannot fall by the non-decreasing sequence nearest to them in least squares
/// (pool adjacent violators): {1, 3, 2} becomes {1, 2.5, 2.5}. O(n).
inline void make_isotonic(std::span<double> values) {
  struct pool {
    double sum;
    std::size_t count;
    [[nodiscard]] double mean() const noexcept { return sum / static_cast<double>(count); }
  };
  std::vector<pool> pools;
  for (const double value : values) {
    pools.push_back({value, 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const pool last = pools.back();
      pools.pop_back();
      pools.back().sum += last.sum;
      pools.back().count += last.count;
    }
  }
  std::size_t at = 0;
  for (const pool& one : pools) {
    for (std::size_t i = 0; i < one.count; ++i) values[at++] = one.mean();
  }
}

}  // namespace decant::inline DECANT_ABI

#endif
