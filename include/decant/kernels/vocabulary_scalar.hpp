// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary kernels in plain C++: the specification of every other set.
#ifndef DECANT_KERNELS_VOCABULARY_SCALAR_HPP
#define DECANT_KERNELS_VOCABULARY_SCALAR_HPP

#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/lanes_scalar.hpp>
#include <decant/kernels/vocabulary_table.hpp>

namespace decant::inline DECANT_ABI::cpu::scalar {

[[nodiscard]] inline std::size_t count_bits(unsigned bits) noexcept {
  return static_cast<std::size_t>(__builtin_popcount(bits));
}
inline constexpr unsigned every_lane = 0xFF;
/// A bit for every lane in which a >= b.
[[nodiscard]] inline unsigned bits_at_least(const lanes& a, const lanes& b) noexcept {
  unsigned bits = 0;
  for (unsigned i = 0; i < lane_count; ++i) bits |= (a.v[i] >= b.v[i] ? 1U : 0U) << i;
  return bits;
}
/// Whether NaN has been among what was included, into any of four watches that do not wait for each other.
class nan_watch {
 public:
  void include(std::size_t, const lanes& a, const lanes& b) noexcept {
    for (std::size_t i = 0; i < lane_count; ++i) found_ |= a.v[i] != a.v[i] || b.v[i] != b.v[i];
  }
  [[nodiscard]] bool found() const noexcept { return found_; }

 private:
  bool found_ = false;
};
/// The greatest lane of each of four.
inline void greatest_of_each(const lanes (&a)[4], float* to) noexcept {
  for (std::size_t i = 0; i < 4; ++i) to[i] = greatest(a[i]);
}

/// 2^n for integral n in [-126, 127].
[[nodiscard]] inline float power_of_2(std::int32_t n) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23);
}
/// p * 2^floor(n), rounded once, for p in [1/2, 2] and n in [-161, 1]; NaN where p is NaN.
[[nodiscard]] inline lanes times_power_of_2(const lanes& p, const lanes& n) noexcept {
  return each([&](std::size_t i) {
    const auto power = n.v[i] == n.v[i] ? static_cast<std::int32_t>(std::floor(n.v[i])) : 0;
    const std::int32_t half = power >> 1;
    return (p.v[i] * power_of_2(half)) * power_of_2(power - half);
  });
}
/// The entries of a table by the last four bits of each lane.
[[nodiscard]] inline lanes look_up(const float (&table)[16], const lanes& a) noexcept {
  return each([&](std::size_t i) { return table[std::bit_cast<std::uint32_t>(a.v[i]) & 15U]; });
}

/// The greater of x and 0; 0 for NaN. Without a branch, which would be mispredicted, and from which GCC makes one.
[[nodiscard]] inline double positive_part(double x) noexcept {
  const std::uint64_t every_bit = x > 0.0 ? ~std::uint64_t{0} : 0;
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) & every_bit);
}
/// max(scale * r - factor * q, 0) in double, with the product of r rounded first.
[[nodiscard]] inline lanes positive_difference(const lanes& r, const lanes& q, double scale, double factor) noexcept {
  return each([&](std::size_t i) {
    const double d = std::fma(-factor, static_cast<double>(q.v[i]), scale * static_cast<double>(r.v[i]));
    return static_cast<float>(positive_part(d));
  });
}

/// What a blend_rule makes of p and q, in double; products are rounded on their own unless an fma says otherwise.
[[nodiscard]] inline lanes blended(const lanes& p, const lanes& q, const blend_rule& rule) noexcept {
  return each([&](std::size_t i) {
    const auto x = static_cast<double>(p.v[i]);
    const auto y = static_cast<double>(q.v[i]);
    const double first = rule.limit * x;
    const double second = rule.second_limit * x;
    double sum = std::fma(rule.share, first < y ? first : y, rule.keep * x);
    sum = std::fma(rule.second_share, second < y ? second : y, sum);
    return static_cast<float>(positive_part(sum));
  });
}

/// a * b - c, rounded once.
[[nodiscard]] inline lanes fma_minus(const lanes& a, const lanes& b, const lanes& c) noexcept {
  return each([&](std::size_t i) { return fma(a.v[i], b.v[i], -c.v[i]); });
}
/// Sums of blocks of 64 floats: four of a block, 16 apart, are added as floats, what they give in 16 running sums in
/// double. So the order does not depend on how many lanes an instruction set has, and few conversions are needed.
class wide_sum {
 public:
  void include(const lanes (&a)[8]) noexcept {
    float sums[16];
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t v = i / 8;
      const std::size_t lane = i % 8;
      sums[i] = (a[v].v[lane] + a[v + 2].v[lane]) + (a[v + 4].v[lane] + a[v + 6].v[lane]);
    }
    include(sums);
  }
  /// A block whose floats have been added already.
  void include(const float (&sums)[16]) noexcept {
    for (std::size_t i = 0; i < 16; ++i) part_[i] += static_cast<double>(sums[i]);
  }
  [[nodiscard]] double total() const noexcept {
    double sums[16];
    for (std::size_t i = 0; i < 16; ++i) sums[i] = part_[i];
    for (std::size_t half = 8; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    return sums[0];
  }

 private:
  double part_[16] = {};
};

/// Writes the lanes whose bits are set one after the other. At least one is.
template <class T>
inline void put_selected(unsigned bits, const T* from, T* to) noexcept {
  for (; bits != 0; bits &= bits - 1) *to++ = from[__builtin_ctz(bits)];
}
/// The numbers of these lanes, counted from `first`.
inline void put_selected_ids(unsigned bits, std::int32_t first, std::int32_t* to) noexcept {
  for (; bits != 0; bits &= bits - 1) *to++ = first + __builtin_ctz(bits);
}

#include <decant/kernels/vocabulary_kernels.inl>

}  // namespace decant::inline DECANT_ABI::cpu::scalar

#endif
