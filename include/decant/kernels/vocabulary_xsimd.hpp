// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels on batches of xsimd; see vocabulary_scalar.hpp for the meaning of each operation.
#ifndef DECANT_KERNELS_VOCABULARY_XSIMD_HPP
#define DECANT_KERNELS_VOCABULARY_XSIMD_HPP

#include <decant/kernels/lanes_xsimd.hpp>
#include <decant/kernels/vocabulary_scalar.hpp>
#include <decant/kernels/vocabulary_table.hpp>

#if DECANT_HAS_XSIMD()

namespace decant::inline DECANT_ABI::cpu::xsimd_set::inline DECANT_TARGET {

using scalar::count_bits;
using scalar::put_selected;
using scalar::put_selected_ids;

inline constexpr unsigned every_lane = (1U << lane_count) - 1;
[[nodiscard]] inline unsigned bits_at_least(const lanes& a, const lanes& b) noexcept {
  unsigned bits = 0;
  DECANT_UNROLL
  for (std::size_t i = 0; i < part_count; ++i) bits |= mask_of(a.part[i] >= b.part[i]) << i * batch<float>::size;
  return bits;
}
class nan_watch {
 public:
  void include(std::size_t, const lanes& a, const lanes& b) noexcept {
    DECANT_UNROLL  // not by a != a, which is false for NaN in xsimd 8.1 on AVX
        for (std::size_t i = 0; i < part_count; ++i) {
      seen_ = seen_ | ::xsimd::isnan(a.part[i]) | ::xsimd::isnan(b.part[i]);
    }
  }
  [[nodiscard]] bool found() const noexcept { return ::xsimd::any(seen_); }

 private:
  batch_bool seen_ = batch_bool(false);
};
inline void greatest_of_each(const lanes (&a)[4], float* to) noexcept {
  for (std::size_t i = 0; i < 4; ++i) to[i] = greatest(a[i]);
}

[[nodiscard]] inline lanes times_power_of_2(const lanes& p, const lanes& n) noexcept {
  return each([&](std::size_t i) {
    const batch<std::int32_t> power = ::xsimd::to_int(::xsimd::floor(n.part[i]));
    const batch<std::int32_t> half = power >> 1;
    const batch<std::int32_t> bias(127);
    const batch<float> first = bits_as<float>((half + bias) << 23);
    const batch<float> second = bits_as<float>((power - half + bias) << 23);
    return (p.part[i] * first) * second;
  });
}
[[nodiscard]] inline lanes look_up(const float (&table)[16], const lanes& a) noexcept {
  return as_scalar([&](const scalar::lanes& x) { return scalar::look_up(table, x); }, a);
}
[[nodiscard]] inline lanes positive_difference(const lanes& r, const lanes& q, double scale, double factor) noexcept {
  return as_scalar(
      [=](const scalar::lanes& x, const scalar::lanes& y) { return scalar::positive_difference(x, y, scale, factor); },
      r, q);
}
[[nodiscard]] inline lanes blended(const lanes& p, const lanes& q, const blend_rule& rule) noexcept {
  return as_scalar([&](const scalar::lanes& x, const scalar::lanes& y) { return scalar::blended(x, y, rule); }, p, q);
}
[[nodiscard]] inline lanes fma_minus(const lanes& a, const lanes& b, const lanes& c) noexcept {
  return each([&](std::size_t i) { return ::xsimd::fms(a.part[i], b.part[i], c.part[i]); });
}

class wide_sum {
 public:
  void include(const lanes (&a)[logit_block / lane_count]) noexcept {
    constexpr std::size_t step = 16 / lane_count;
    alignas(64) float sums[16];
    DECANT_UNROLL
    for (std::size_t v = 0; v < step; ++v) {
      store(sums + v * lane_count, add(add(a[v], a[v + step]), add(a[v + 2 * step], a[v + 3 * step])));
    }
    sum_.include(sums);
  }
  [[nodiscard]] double total() const noexcept { return sum_.total(); }

 private:
  scalar::wide_sum sum_;
};

#include <decant/kernels/vocabulary_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::xsimd_set::inline DECANT_TARGET

#endif
#endif
