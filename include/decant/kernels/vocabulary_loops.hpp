// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The vocabulary loops for every scalar: the kernels of this machine for float, plain loops for others.
#ifndef DECANT_KERNELS_VOCABULARY_LOOPS_HPP
#define DECANT_KERNELS_VOCABULARY_LOOPS_HPP

#include <decant/kernels/vocabulary.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace decant::inline DECANT_ABI::cpu {

/// Plain loops; see vocabulary_table.hpp for what each does. Weights are exp((logit - top) / divisor).
template <class Real>
struct plain_loops {
  static constexpr Real no_logit = -std::numeric_limits<Real>::infinity();

  struct facts {
    Real largest;
    bool has_nan;
  };
  struct weigher {
    Real top;
    double divisor;
    [[nodiscard]] Real operator()(Real logit) const {
      return static_cast<Real>(std::exp((static_cast<double>(logit) - static_cast<double>(top)) / divisor));
    }
  };

  static facts scan(const Real* row, std::size_t count, Real* block_maxima, Real* copy) {
    facts found{no_logit, false};
    for (std::size_t i = 0; i < count; ++i) {
      if (i % logit_block == 0) block_maxima[i / logit_block] = no_logit;
      Real& in_block = block_maxima[i / logit_block];
      in_block = std::max(in_block, row[i]);
      found.largest = std::max(found.largest, row[i]);
      found.has_nan |= row[i] != row[i];
      if (copy != nullptr) copy[i] = row[i];
    }
    return found;
  }
  static Real largest(const Real* row, std::size_t count) {
    Real found = no_logit;
    for (std::size_t i = 0; i < count; ++i) found = std::max(found, row[i]);
    return found;
  }
  static std::size_t find(const Real* row, std::size_t count, Real value) {
    return static_cast<std::size_t>(std::find(row, row + count, value) - row);
  }
  static std::size_t count_at_least(const Real* row, std::size_t count, Real threshold) {
    return static_cast<std::size_t>(std::count_if(row, row + count, [&](Real x) { return x >= threshold; }));
  }
  static std::size_t collect_blocks(const blocked_row<Real>& row, Real threshold, std::int32_t* ids, Real* values) {
    std::size_t found = 0;
    for (std::size_t b = 0; b < row.blocks(); ++b) {
      if (!(row.block_maxima[b] >= threshold)) continue;
      const std::size_t first = b * logit_block;
      for (std::size_t i = 0; i < std::min(logit_block, row.size - first); ++i) {
        if (!(row.block(b)[i] >= threshold)) continue;
        ids[found] = static_cast<std::int32_t>(first + i);
        values[found++] = row.block(b)[i];
      }
    }
    return found;
  }
  static std::size_t retain(Real threshold, std::size_t count, std::int32_t* ids, Real* values) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      ids[kept] = ids[i];
      values[kept] = values[i];
      kept += values[kept] >= threshold ? 1 : 0;
    }
    return kept;
  }
  static void lane_maxima(const Real* row, std::size_t count, Real* maxima) {
    std::fill_n(maxima, (count + logit_block - 1) / logit_block * 16, no_logit);
    for (std::size_t i = 0; i < count; ++i) {
      Real& largest = maxima[i / logit_block * 16 + i % 16];
      largest = std::max(largest, row[i]);
    }
  }
  static double mass(const Real* row, std::size_t count, Real top, double divisor) {
    return mass_and_distance(row, count, top, divisor).mass;
  }
  static double rough_mass(const Real* row, std::size_t count, Real top, double divisor) {
    return mass(row, count, top, divisor);
  }
  static weight_sums mass_and_distance(const Real* row, std::size_t count, Real top, double divisor) {
    weight_sums sums{0, 0};
    for (std::size_t i = 0; i < count; ++i) {
      const auto weight = static_cast<double>(weigher{top, divisor}(row[i]));
      sums.mass += weight;
      if (weight > 0) sums.distance += weight * (static_cast<double>(top) - static_cast<double>(row[i]));
    }
    return sums;
  }
  static double weigh(const Real* row, std::size_t count, Real top, double divisor, Real* weights) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      weights[i] = weigher{top, divisor}(row[i]);
      sum += static_cast<double>(weights[i]);
    }
    return sum;
  }
  static mass_and_count mass_at_least(const Real* keys, const Real* weights, std::size_t count, Real threshold) {
    mass_and_count found{0, 0};
    for (std::size_t i = 0; i < count; ++i) {
      if (!(keys[i] >= threshold)) continue;
      found.mass += static_cast<double>(weights[i]);
      ++found.count;
    }
    return found;
  }
  static band between(const std::int32_t* ids, const Real* keys, const Real* weights, std::size_t count, Real low,
                      Real high, std::int32_t* out_ids, Real* out_keys, Real* out_weights) {
    const mass_and_count above = mass_at_least(keys, weights, count, high);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!(keys[i] >= low) || keys[i] >= high) continue;
      out_ids[kept] = ids == nullptr ? static_cast<std::int32_t>(i) : ids[i];
      out_keys[kept] = keys[i];
      out_weights[kept++] = weights[i];
    }
    return {above.mass, above.count, kept};
  }
  static void nearness(const Real* row, std::size_t count, Real centre, Real* keys, Real* block_maxima) {
    for (std::size_t i = 0; i < count; ++i) keys[i] = -std::abs(row[i] - centre);
    scan(keys, count, block_maxima, nullptr);
  }
  static spread spread_around(const Real* row, std::size_t count, Real centre) {
    spread found{0, 0, 0};
    for (std::size_t i = 0; i < count; ++i) {
      if (!(row[i] >= std::numeric_limits<Real>::lowest())) continue;
      const double d = static_cast<double>(row[i]) - static_cast<double>(centre);
      ++found.count;
      found.sum += d;
      found.squares += d * d;
    }
    return found;
  }
};

/// The loops for a scalar.
template <class Real>
struct vocabulary_loops : plain_loops<Real> {};

/// For float: the kernels, and plain loops where weights cannot be expressed by a rule.
template <>
struct vocabulary_loops<float> {
  using plain = plain_loops<float>;

  static const vocabulary_kernels& kernels() { return best_vocabulary_kernels(); }

  static row_facts scan(const float* row, std::size_t count, float* block_maxima, float* copy) {
    return kernels().scan(row, count, block_maxima, copy);
  }
  static float largest(const float* row, std::size_t count) { return kernels().largest(row, count); }
  static std::size_t find(const float* row, std::size_t count, float value) {
    return kernels().find(row, count, value);
  }
  static std::size_t count_at_least(const float* row, std::size_t count, float threshold) {
    return kernels().count_at_least(row, count, threshold);
  }
  static std::size_t collect_blocks(const blocked_row<float>& row, float threshold, std::int32_t* ids, float* values) {
    return kernels().collect_blocks(row, threshold, ids, values);
  }
  static std::size_t retain(float threshold, std::size_t count, std::int32_t* ids, float* values) {
    return kernels().retain(threshold, count, ids, values);
  }
  static void lane_maxima(const float* row, std::size_t count, float* maxima) {
    kernels().lane_maxima(row, count, maxima);
  }
  static double mass(const float* row, std::size_t count, float top, double divisor) {
    return has_weight_rule(top, divisor) ? kernels().mass(row, count, weight_rule_of(top, divisor))
                                         : plain::mass(row, count, top, divisor);
  }
  static double rough_mass(const float* row, std::size_t count, float top, double divisor) {
    return has_weight_rule(top, divisor) ? kernels().rough_mass(row, count, weight_rule_of(top, divisor))
                                         : plain::mass(row, count, top, divisor);
  }
  static weight_sums mass_and_distance(const float* row, std::size_t count, float top, double divisor) {
    return has_weight_rule(top, divisor) ? kernels().mass_and_distance(row, count, weight_rule_of(top, divisor))
                                         : plain::mass_and_distance(row, count, top, divisor);
  }
  static double weigh(const float* row, std::size_t count, float top, double divisor, float* weights) {
    return has_weight_rule(top, divisor) ? kernels().weigh(row, count, weight_rule_of(top, divisor), weights, nullptr)
                                         : plain::weigh(row, count, top, divisor, weights);
  }
  /// As above, with the masses of every 256 weights.
  static double weigh(const float* row, std::size_t count, float top, double divisor, float* weights,
                      double* block_masses) {
    if (has_weight_rule(top, divisor)) {
      return kernels().weigh(row, count, weight_rule_of(top, divisor), weights, block_masses);
    }
    plain::weigh(row, count, top, divisor, weights);
    return kernels().sum_blocks(weights, count, block_masses);
  }
  static mass_and_count mass_at_least(const float* keys, const float* weights, std::size_t count, float threshold) {
    return kernels().mass_at_least(keys, weights, count, threshold);
  }
  static band between(const std::int32_t* ids, const float* keys, const float* weights, std::size_t count, float low,
                      float high, std::int32_t* out_ids, float* out_keys, float* out_weights) {
    return kernels().between(ids, keys, weights, count, low, high, out_ids, out_keys, out_weights);
  }
  static void nearness(const float* row, std::size_t count, float centre, float* keys, float* block_maxima) {
    kernels().nearness(row, count, centre, keys, block_maxima);
  }
  static spread spread_around(const float* row, std::size_t count, float centre) {
    return kernels().spread_around(row, count, centre);
  }
};

}  // namespace decant::inline DECANT_ABI::cpu

#endif
