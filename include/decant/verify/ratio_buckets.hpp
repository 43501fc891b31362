// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ratios of two laws in buckets of equal width in their logarithm, 256 for every doubling: a row is put in the order of
// p / q in two passes (mentored decoding of 128,256 tokens: 0.4 ms, 29 ms with a sort), and what has nearly the same
// ratio is taken together.
#ifndef DECANT_VERIFY_RATIO_BUCKETS_HPP
#define DECANT_VERIFY_RATIO_BUCKETS_HPP

#include <decant/core/distances.hpp>

#include <bit>

namespace decant::inline DECANT_ABI::detail {

/// Ratios from 2^First up to 2^Last, a power of two each; the first and the last bucket hold what lies beyond.
template <int First, int Last>
struct ratio_buckets {
  static constexpr std::uint32_t count = static_cast<std::uint32_t>(Last - First) * 256 + 1;

  /// The bucket of a ratio; negative ones belong to none.
  [[nodiscard]] static std::uint32_t of(float ratio) {
    // Without branches, which would be mispredicted.
    const std::uint32_t key = std::bit_cast<std::uint32_t>(ratio) >> dropped_bits;
    return std::min(std::max(key, first_key) - first_key, count - 1);
  }
  /// The least ratio of a bucket.
  [[nodiscard]] static float start(std::uint32_t bucket) {
    return bucket == 0 ? 0.0F : std::bit_cast<float>((first_key + bucket) << dropped_bits);
  }

 private:
  static constexpr int dropped_bits = 15;
  static constexpr std::uint32_t first_key = static_cast<std::uint32_t>(First + 127) << (23 - dropped_bits);
};

/// p / q of every token, both normalised and at most `most`; -1 where q is 0. For laws that kernels take.
inline void write_ratios(distribution_view<float> p, distribution_view<float> q, float most,
                         std::vector<float>& ratios) {
  ratios.resize(p.size());
  cpu::best_vocabulary_kernels().ratios(p.weights().data(), q.weights().data(), p.size(),
                                        static_cast<float>(q.mass() / p.mass()), most, ratios.data());
}

}  // namespace decant::inline DECANT_ABI::detail

#endif
