// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The partial state of attention over a set of keys, and its merge: (m, l, o) = greatest score, sum of w, sum of w *
// value with w = exp(score - m). No keys: (-infinity, 0, 0). Disjoint sets merge by rescaling to the greater m (arXiv
// 1805.02867, 2205.14135); the end result is o / l, and m + ln l the logarithm of the whole weight, a natural one where
// some engines use base 2. Associative but for the last bits: whoever wants the same bits keeps the same order.
#ifndef DECANT_KERNELS_ATTENTION_STATE_HPP
#define DECANT_KERNELS_ATTENTION_STATE_HPP

#include <decant/kernels/attention_table.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace decant::inline DECANT_ABI::cpu {

/// A view of a state; `sums` has room for `width` floats, the value dimension rounded up to 16.
struct attention_state {
  attention_mass* mass = nullptr;
  float* sums = nullptr;
  std::size_t width = 0;

  void clear() const noexcept {
    *mass = {};
    std::fill_n(sums, width, 0.0F);
  }
  /// The state of an attention sink, a learned score without a value; of -infinity it is no key at all.
  void start_with_sink(float score) const noexcept {
    clear();
    if (score > -HUGE_VALF) *mass = {score, 1.0F};
  }
  void merge(const attention_table& kernels, const attention_state& other) const noexcept {
    kernels.merge(*mass, sums, *other.mass, other.sums, width);
  }
  /// out[d] = o[d] / l; zeros without keys, NaN after a NaN score.
  void finish(std::size_t dimension, float* out) const noexcept {
    const float inverse = mass->total == 0 ? 0.0F : 1.0F / mass->total;
    for (std::size_t d = 0; d < dimension; ++d) out[d] = sums[d] * inverse;
  }
  /// m + ln l, -infinity without keys.
  [[nodiscard]] float log_weight() const noexcept {
    return mass->total == 0 ? -HUGE_VALF : mass->greatest + std::log(mass->total);
  }
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
