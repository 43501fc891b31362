// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instruction sets that the kernels are written for, and which of them this machine runs.
#ifndef DECANT_REFERENCE_CPU_FEATURES_HPP
#define DECANT_REFERENCE_CPU_FEATURES_HPP

#include <decant/config.hpp>

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define DECANT_HAS_AVX2_KERNELS() 1
#include <cpuid.h>
#else
#define DECANT_HAS_AVX2_KERNELS() 0
#endif

// Code between DECANT_AVX2_BEGIN and DECANT_AVX2_END is compiled for AVX2, FMA and F16C whatever the command line says,
// and must only be called where `runs(instruction_set::avx2)`. Standard library templates must not be instantiated
// there: the linker could merge such a copy into code for older machines.
#if DECANT_HAS_AVX2_KERNELS()
#if defined(__clang__)
#define DECANT_AVX2_BEGIN \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c\"))), apply_to = function)")
#define DECANT_AVX2_END _Pragma("clang attribute pop")
#else
#define DECANT_AVX2_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c\")")
#define DECANT_AVX2_END _Pragma("GCC pop_options")
#endif
#endif

// Placed before a loop of a small constant count whose arrays must live in registers; -O2 alone does not unroll it.
#if defined(__clang__)
#define DECANT_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define DECANT_UNROLL _Pragma("GCC unroll 16")
#else
#define DECANT_UNROLL
#endif

namespace decant::inline DECANT_ABI {

enum class instruction_set : std::uint8_t {
  scalar,  ///< plain C++: the specification of every kernel
  avx2,    ///< AVX2 with FMA and F16C
};

[[nodiscard]] constexpr const char* name_of(instruction_set set) noexcept {
  return set == instruction_set::avx2 ? "avx2" : "scalar";
}

#if DECANT_HAS_AVX2_KERNELS()
/// Half-precision conversion instructions; asked of the processor because Clang 14's builtin does not know the name.
[[nodiscard]] inline bool has_f16c() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1U << 29)) != 0;
}
#endif

/// Whether this machine and this build run kernels of the set.
[[nodiscard]] inline bool runs(instruction_set set) noexcept {
#if DECANT_HAS_AVX2_KERNELS()
  if (set == instruction_set::avx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  }
#endif
  return set == instruction_set::scalar;
}

/// The fastest set that this machine runs.
[[nodiscard]] inline instruction_set best_instruction_set() noexcept {
  return runs(instruction_set::avx2) ? instruction_set::avx2 : instruction_set::scalar;
}

}  // namespace decant::inline DECANT_ABI

#endif
