// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instruction sets that the kernels are written for, and which of them this machine runs. No compiler flag is needed:
// the fastest set is chosen when the program runs. Where the target flags of a translation unit (-march, -m...) promise
// the fastest set that there is, the choice is made when it is compiled: nothing is asked of the processor, and calls
// of kernels can be inlined. Flags that promise less are a floor below which the choice does not ask.
//
// Units with different flags may be linked together and give the same bits. As with every header, the linker may keep
// the copy of an inline function that either of them made, so the program needs a processor that keeps all promises. A
// program that enters a unit only where the processor allows it compiles this unit with a DECANT_ABI of its own.
#ifndef DECANT_KERNELS_CPU_FEATURES_HPP
#define DECANT_KERNELS_CPU_FEATURES_HPP

#include <decant/config.hpp>

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)
#define DECANT_HAS_X86_KERNELS() 1
#include <cpuid.h>
#else
#define DECANT_HAS_X86_KERNELS() 0
#endif

// Code between DECANT_AVX2_BEGIN and DECANT_AVX2_END is compiled for AVX2, FMA and F16C whatever the command line says,
// and must only be called where `runs(instruction_set::avx2)`; likewise DECANT_AVX512_BEGIN and _END. Standard library
// templates must not be instantiated there: the linker could merge such a copy into code for older machines.
#if DECANT_HAS_X86_KERNELS()
#if defined(__clang__)
#define DECANT_AVX2_BEGIN \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c\"))), apply_to = function)")
#define DECANT_AVX2_END _Pragma("clang attribute pop")
#else
#define DECANT_AVX2_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c\")")
#define DECANT_AVX2_END _Pragma("GCC pop_options")
#endif
// A program that emulates AVX-512 (a test on a machine without it) defines its own pair.
#if !defined(DECANT_AVX512_BEGIN)
#if defined(__clang__)
#define DECANT_AVX512_BEGIN \
  _Pragma(                  \
      "clang attribute push(__attribute__((target(\"avx512bw,avx512vl,avx512dq,avx512vnni\"))), apply_to = function)")
#define DECANT_AVX512_END _Pragma("clang attribute pop")
#else
// GCC 12 takes the deliberately undefined operands of its own AVX-512 intrinsics for mistakes (GCC bug 105593).
#define DECANT_AVX512_BEGIN                                                                             \
  _Pragma("GCC push_options") _Pragma("GCC target(\"avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c\")") \
      _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wmaybe-uninitialized\"")        \
          _Pragma("GCC diagnostic ignored \"-Wuninitialized\"")
#define DECANT_AVX512_END _Pragma("GCC diagnostic pop") _Pragma("GCC pop_options")
#endif
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DECANT_IS_SANITIZED() 1
#elif defined(__has_feature)
#define DECANT_IS_SANITIZED() (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define DECANT_IS_SANITIZED() 0
#endif

// Placed before a loop of a small constant count whose arrays must live in registers; -O2 alone does not unroll it.
// With sanitizers nothing lives in registers, and unrolled checks take minutes to compile.
#if DECANT_IS_SANITIZED()
#define DECANT_UNROLL
#elif defined(__clang__)
#define DECANT_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define DECANT_UNROLL _Pragma("GCC unroll 16")
#else
#define DECANT_UNROLL
#endif

// What the target flags of this translation unit promise of the processor.
#if DECANT_HAS_X86_KERNELS() && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define DECANT_TARGETS_AVX2() 1
#else
#define DECANT_TARGETS_AVX2() 0
#endif
#if DECANT_TARGETS_AVX2() && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__) && defined(__AVX512VNNI__)
#define DECANT_TARGETS_AVX512() 1
#else
#define DECANT_TARGETS_AVX512() 0
#endif

#if defined(__ARM_FEATURE_SVE_BITS)
#define DECANT_TARGETS_SVE() (__ARM_FEATURE_SVE_BITS > 0)
#else
#define DECANT_TARGETS_SVE() 0
#endif

// A user who wants the vocabulary kernels on batches of xsimd, for processors that none are written for by hand,
// defines DECANT_WITH_XSIMD: that its headers can be found does not change what is compiled. There are such kernels for
// AArch64 and, for tests, where flags promise AVX2. Where an architecture has no fused multiply-add (SSE2, 32-bit
// NEON), forming its bits in another way leaves no gain over the scalar kernels.
#if !defined(DECANT_WITH_XSIMD)
#define DECANT_HAS_XSIMD() 0
#elif !__has_include(<xsimd/xsimd.hpp>)
#error "DECANT_WITH_XSIMD is defined, but <xsimd/xsimd.hpp> is not found: install xsimd (8.1 or newer) or undefine it."
#elif DECANT_TARGETS_AVX2() || defined(__aarch64__)
#define DECANT_HAS_XSIMD() 1
#else
#define DECANT_HAS_XSIMD() 0
#endif

// An inline namespace for functions whose code depends on these promises, and on whether xsimd is wanted: units that
// differ in them have each their own.
#if DECANT_TARGETS_AVX512()
#define DECANT_PROMISE for_avx512
#elif DECANT_TARGETS_AVX2()
#define DECANT_PROMISE for_avx2
#elif DECANT_TARGETS_SVE()
#define DECANT_PROMISE for_sve
#else
#define DECANT_PROMISE for_any
#endif
#if DECANT_HAS_XSIMD()
#define DECANT_TARGET with_xsimd::inline DECANT_PROMISE
#else
#define DECANT_TARGET DECANT_PROMISE
#endif

namespace decant::inline DECANT_ABI {

enum class instruction_set : std::uint8_t {
  scalar,  ///< plain C++: the specification of every kernel
  xsimd,   ///< what xsimd makes of the target flags, for vocabulary kernels; the others are the scalar ones
  avx2,    ///< AVX2 with FMA and F16C
  avx512,  ///< AVX-512 F, BW, VL, DQ and VNNI
};
/// The slowest first.
inline constexpr instruction_set every_instruction_set[] = {instruction_set::scalar, instruction_set::xsimd,
                                                            instruction_set::avx2, instruction_set::avx512};

[[nodiscard]] constexpr const char* name_of(instruction_set set) noexcept {
  switch (set) {
    case instruction_set::avx512: return "avx512";
    case instruction_set::avx2: return "avx2";
    case instruction_set::xsimd: return "xsimd";
    case instruction_set::scalar: break;
  }
  return "scalar";
}

#if DECANT_HAS_X86_KERNELS()
namespace cpu {

/// Feature bits of the processor and the registers that the system saves when it switches threads. Asked of the
/// processor itself: the compilers' builtins differ in the names they know.
struct x86_features {
  unsigned leaf1_c = 0;
  unsigned leaf7_b = 0;
  unsigned leaf7_c = 0;
  unsigned saved = 0;  ///< low half of XCR0

  [[nodiscard]] static x86_features read() noexcept {
    x86_features features;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0) features.leaf1_c = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
      features.leaf7_b = b;
      features.leaf7_c = c;
    }
    constexpr unsigned osxsave = 1U << 27;
    if ((features.leaf1_c & osxsave) != 0) __asm__("xgetbv" : "=a"(features.saved), "=d"(d) : "c"(0));
    return features;
  }

  [[nodiscard]] bool has_avx2() const noexcept {
    constexpr unsigned fma_avx_f16c = 1U << 12 | 1U << 28 | 1U << 29;
    constexpr unsigned avx2 = 1U << 5;
    constexpr unsigned xmm_ymm = 1U << 1 | 1U << 2;
    return all(leaf1_c, fma_avx_f16c) && all(leaf7_b, avx2) && all(saved, xmm_ymm);
  }
  [[nodiscard]] bool has_avx512() const noexcept {
    constexpr unsigned f_dq_bw_vl = 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;
    constexpr unsigned vnni = 1U << 11;
    constexpr unsigned opmask_zmm = 1U << 5 | 1U << 6 | 1U << 7;
    return has_avx2() && all(leaf7_b, f_dq_bw_vl) && all(leaf7_c, vnni) && all(saved, opmask_zmm);
  }

 private:
  [[nodiscard]] static constexpr bool all(unsigned bits, unsigned wanted) noexcept { return (bits & wanted) == wanted; }
};

}  // namespace cpu
#endif

}  // namespace decant::inline DECANT_ABI

namespace decant::inline DECANT_ABI::inline DECANT_TARGET {

/// Whether this build has kernels of the set.
[[nodiscard]] constexpr bool is_built(instruction_set set) noexcept {
  switch (set) {
    case instruction_set::avx512:
    case instruction_set::avx2: return DECANT_HAS_X86_KERNELS() != 0;
    case instruction_set::xsimd: return DECANT_HAS_XSIMD() != 0;
    case instruction_set::scalar: break;
  }
  return true;
}

/// Whether every processor that keeps the promises of this translation unit's target flags runs the set.
[[nodiscard]] constexpr bool is_promised(instruction_set set) noexcept {
  switch (set) {
    case instruction_set::avx512: return DECANT_TARGETS_AVX512() != 0;
    case instruction_set::avx2: return DECANT_TARGETS_AVX2() != 0;
    case instruction_set::xsimd: return DECANT_HAS_XSIMD() != 0;
    case instruction_set::scalar: break;
  }
  return true;
}

/// Whether this machine and this build run kernels of the set.
[[nodiscard]] inline bool runs(instruction_set set) noexcept {
  if (is_promised(set)) return true;
#if DECANT_HAS_X86_KERNELS()
  static const cpu::x86_features features = cpu::x86_features::read();
  if (set == instruction_set::avx2) return features.has_avx2();
  if (set == instruction_set::avx512) return features.has_avx512();
#endif
  return false;
}

/// The fastest set for which the condition holds.
template <class Condition>
[[nodiscard]] constexpr instruction_set fastest_set_that(const Condition& condition) noexcept {
  instruction_set fastest = instruction_set::scalar;
  for (const instruction_set set : every_instruction_set) fastest = condition(set) ? set : fastest;
  return fastest;
}

/// The fastest set that needs no question.
inline constexpr instruction_set static_instruction_set = fastest_set_that(is_promised);
/// Whether it is the fastest of all.
inline constexpr bool is_static_choice = static_instruction_set == fastest_set_that(is_built);

/// The fastest set that this machine runs.
[[nodiscard]] inline instruction_set best_instruction_set() noexcept {
  if constexpr (is_static_choice) {
    return static_instruction_set;
  } else {
    return fastest_set_that(runs);
  }
}

}  // namespace decant::inline DECANT_ABI::inline DECANT_TARGET

namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET {

/// The fastest kernels of this machine, for a function that gives those of a set. Without a static choice they are
/// chosen at the first call.
template <auto KernelsOf>
[[nodiscard]] inline const auto& best_of() noexcept {
  if constexpr (is_static_choice) {
    return KernelsOf(static_instruction_set);
  } else {
    static const auto& best = KernelsOf(best_instruction_set());
    return best;
  }
}

}  // namespace decant::inline DECANT_ABI::cpu::inline DECANT_TARGET

#endif
