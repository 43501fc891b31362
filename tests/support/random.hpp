// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small deterministic generator for property tests: the same cases on every machine and compiler.
#ifndef DECANT_TESTS_SUPPORT_RANDOM_HPP
#define DECANT_TESTS_SUPPORT_RANDOM_HPP

#include <decant/core/philox.hpp>

#include <numeric>
#include <utility>
#include <vector>

namespace decant_test {

/// Counts Philox blocks upwards under one seed.
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : seed_(seed) {}

  [[nodiscard]] std::uint64_t bits() {
    const decant::philox_block block = decant::philox4x32({next_++, 0, 0, 0}, seed_);
    return (std::uint64_t{block[0]} << 32) | block[1];
  }
  /// Uniform in [0, 1).
  [[nodiscard]] double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  [[nodiscard]] double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in [0, bound); bound > 0. The bias of the remainder, below bound / 2^64, does not matter to tests.
  [[nodiscard]] std::size_t below(std::size_t bound) { return static_cast<std::size_t>(bits() % bound); }
  /// Uniform in [low, high], both included.
  [[nodiscard]] std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  [[nodiscard]] bool coin(double probability = 0.5) { return uniform() < probability; }
  [[nodiscard]] decant::token token_below(std::size_t bound) { return static_cast<decant::token>(below(bound)); }

  /// Roughly normal with mean 0 and deviation 1 (a sum of twelve uniforms): no library function, so the same bits
  /// everywhere.
  [[nodiscard]] double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

  /// A row of logits with deviation `spread`.
  template <class Real>
  [[nodiscard]] std::vector<Real> logits(std::size_t size, double spread = 2) {
    std::vector<Real> row(size);
    for (Real& logit : row) logit = static_cast<Real>(spread * normal());
    return row;
  }
  /// Weights in [0, 1), each zero with the given probability but one of them positive.
  template <class Real>
  [[nodiscard]] std::vector<Real> weights(std::size_t size, double zero_probability = 0) {
    std::vector<Real> row(size);
    for (Real& weight : row) weight = coin(zero_probability) ? Real(0) : static_cast<Real>(uniform());
    row[below(size)] = static_cast<Real>(uniform(0.25, 1));
    return row;
  }
  /// A random order of 0, 1, ..., size-1.
  [[nodiscard]] std::vector<std::size_t> permutation(std::size_t size) {
    std::vector<std::size_t> order(size);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
    return order;
  }

 private:
  std::uint64_t seed_;
  std::uint32_t next_ = 0;
};

}  // namespace decant_test

#endif
