// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Eight floats in batches of xsimd, or sixteen where a register holds them; see lanes_scalar.hpp for the meaning of
// each operation. For processors that no set is written for by hand. This header and vocabulary_xsimd.hpp are the only
// ones that know xsimd, and take every version from 8.1 on: what they use has had one name and meaning since, but for
// the two functions that ask for the version.
#ifndef DECANT_KERNELS_LANES_XSIMD_HPP
#define DECANT_KERNELS_LANES_XSIMD_HPP

#include <decant/kernels/cpu_features.hpp>
#include <decant/kernels/lanes_scalar.hpp>

#if DECANT_HAS_XSIMD()
#include <xsimd/xsimd.hpp>

namespace decant::inline DECANT_ABI::cpu::xsimd_set::inline DECANT_TARGET {

// One architecture per DECANT_TARGET, since it is part of what functions of one name mean; with fused operations in
// every version of xsimd. (Those for AVX-512 are not in 8.1.)
#if DECANT_TARGETS_AVX2()
using architecture = ::xsimd::fma3<::xsimd::avx2>;
#elif DECANT_TARGETS_SVE()
using architecture = ::xsimd::default_arch;
#else
using architecture = ::xsimd::neon64;
#endif

template <class T>
using batch = ::xsimd::batch<T, architecture>;
using batch_bool = ::xsimd::batch_bool<float, architecture>;

/// The bits of a batch as other elements of their size.
template <class To, class From>
[[nodiscard]] inline batch<To> bits_as(const batch<From>& a) noexcept {
#if XSIMD_VERSION_MAJOR >= 11
  return ::xsimd::bitwise_cast<To>(a);
#else
  return ::xsimd::bitwise_cast<batch<To>>(a);
#endif
}

/// A bit for every lane that is true.
[[nodiscard]] inline unsigned mask_of(const batch_bool& a) noexcept {
#if XSIMD_VERSION_MAJOR >= 9
  return static_cast<unsigned>(a.mask());
#else
  constexpr float powers[16] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const batch<float> bits = ::xsimd::select(a, batch<float>::load_unaligned(powers), batch<float>(0.0F));
  return static_cast<unsigned>(::xsimd::hadd(bits));
#endif
}

inline constexpr std::size_t lane_count = batch<float>::size > 8 ? batch<float>::size : 8;
inline constexpr std::size_t part_count = lane_count / batch<float>::size;
static_assert(lane_count == 8 || lane_count == 16,
              "Kernels are written on 8 or 16 lanes: leave DECANT_WITH_XSIMD out.");

struct lanes {
  batch<float> part[part_count];
};
struct words {
  batch<std::uint32_t> part[part_count];
};

template <class Result = lanes, class Operation>
[[nodiscard]] inline Result each(const Operation& operation) noexcept {
  Result result;
  DECANT_UNROLL
  for (std::size_t i = 0; i < part_count; ++i) result.part[i] = operation(i);
  return result;
}

[[nodiscard]] inline lanes splat(float x) noexcept {
  return each([x](std::size_t) { return batch<float>(x); });
}
[[nodiscard]] inline lanes load(const float* from) noexcept {
  return each([from](std::size_t i) { return batch<float>::load_unaligned(from + i * batch<float>::size); });
}
inline void store(float* to, const lanes& a) noexcept {
  DECANT_UNROLL
  for (std::size_t i = 0; i < part_count; ++i) a.part[i].store_unaligned(to + i * batch<float>::size);
}

/// What the scalar set makes of lanes: for operations in double, and for those that xsimd lacks.
template <class Operation, class... Lanes>
[[nodiscard]] inline lanes as_scalar(const Operation& operation, const Lanes&... operands) noexcept {
  constexpr std::size_t count = sizeof...(operands);
  alignas(64) float values[count][lane_count];
  std::size_t next = 0;
  (store(values[next++], operands), ...);
  for (std::size_t i = 0; i < lane_count; i += scalar::lane_count) {
    const auto result = [&]<std::size_t... At>(std::index_sequence<At...>) {
      return operation(scalar::load(values[At] + i)...);
    }
    (std::make_index_sequence<count>());
    scalar::store(values[0] + i, result);
  }
  return load(values[0]);
}

[[nodiscard]] inline lanes add(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.part[i] + b.part[i]; });
}
[[nodiscard]] inline lanes subtract(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.part[i] - b.part[i]; });
}
[[nodiscard]] inline lanes multiply(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return a.part[i] * b.part[i]; });
}
/// Not by xsimd, which multiplies with an approximate reciprocal on NEON.
[[nodiscard]] inline lanes divide(const lanes& a, const lanes& b) noexcept {
  return as_scalar([](const scalar::lanes& x, const scalar::lanes& y) { return scalar::divide(x, y); }, a, b);
}
[[nodiscard]] inline lanes fma(const lanes& a, const lanes& b, const lanes& c) noexcept {
  return each([&](std::size_t i) { return ::xsimd::fma(a.part[i], b.part[i], c.part[i]); });
}
// By comparison: what xsimd's own minimum and maximum make of NaN differs from architecture to architecture.
[[nodiscard]] inline lanes maximum(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return ::xsimd::select(a.part[i] > b.part[i], a.part[i], b.part[i]); });
}
[[nodiscard]] inline lanes minimum(const lanes& a, const lanes& b) noexcept {
  return each([&](std::size_t i) { return ::xsimd::select(a.part[i] < b.part[i], a.part[i], b.part[i]); });
}
[[nodiscard]] inline lanes zero_below(const lanes& a, const lanes& x, float limit) noexcept {
  return each(
      [&](std::size_t i) { return ::xsimd::select(x.part[i] < batch<float>(limit), batch<float>(0.0F), a.part[i]); });
}
[[nodiscard]] inline float greatest(const lanes& a) noexcept {
  float values[lane_count];
  store(values, a);
  float best = values[0];
  for (const float x : values) best = x > best ? x : best;
  return best;
}

[[nodiscard]] inline words shift_right(const words& a, int bits) noexcept {
  return each<words>([&](std::size_t i) { return a.part[i] >> bits; });
}
[[nodiscard]] inline words splat_word(std::uint32_t a) noexcept {
  return each<words>([a](std::size_t) { return batch<std::uint32_t>(a); });
}
[[nodiscard]] inline words keep_bits(const words& a, std::uint32_t mask) noexcept {
  return each<words>([&](std::size_t i) { return a.part[i] & batch<std::uint32_t>(mask); });
}
[[nodiscard]] inline words unite(const words& a, const words& b) noexcept {
  return each<words>([&](std::size_t i) { return a.part[i] | b.part[i]; });
}
[[nodiscard]] inline lanes to_floats(const words& a) noexcept {
  return each([&](std::size_t i) { return ::xsimd::to_float(bits_as<std::int32_t>(a.part[i])); });
}
[[nodiscard]] inline lanes as_lanes(const words& a) noexcept {
  return each([&](std::size_t i) { return bits_as<float>(a.part[i]); });
}
[[nodiscard]] inline words as_words(const lanes& a) noexcept {
  return each<words>([&](std::size_t i) { return bits_as<std::uint32_t>(a.part[i]); });
}

}  // namespace decant::inline DECANT_ABI::cpu::xsimd_set::inline DECANT_TARGET

#endif
#endif
