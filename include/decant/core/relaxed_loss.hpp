// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a relaxed verifier gives away, in plain sums that are merged over steps: how far the law it emits is from the
// target's, how often it accepts what the standard test refuses, and what those tokens cost.
//   total variation TV(p, pi) and divergence KL(p || pi), p the target's law and pi the emitted one, summed over the
//   positions where pi is known. By the chain rule the sum of KL bounds the divergence of the sequences along the
//   relaxed text; once a relaxed token is committed, every later p follows a text the target might never have written.
//   regret log p(argmax) - log p(x) of each relaxed acceptance x.
#ifndef DECANT_CORE_RELAXED_LOSS_HPP
#define DECANT_CORE_RELAXED_LOSS_HPP

#include <decant/core/distribution.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// Sums of one step, or of many once merged. Never allocates.
struct relaxed_loss {
  static constexpr std::size_t regret_bins = 64;
  static constexpr double regret_bin_width = 0.25;  ///< nats; the last bin holds everything from 15.75 on

  std::uint64_t passes = 0;      ///< target passes
  std::uint64_t tokens = 0;      ///< tokens the verifier decided on (a stop may cut some off later)
  std::uint64_t relaxed = 0;     ///< of these, acceptances the standard test did not or might not have made
  std::uint64_t positions = 0;   ///< laws compared
  std::uint64_t unbounded = 0;   ///< of these, with infinite KL(p || pi): pi lacks a token the target may emit
  double total_variation = 0;    ///< sum of TV(p, pi)
  double divergence = 0;         ///< sum of the finite KL(p || pi), in nats
  double regret = 0;             ///< sum of the finite regrets, in nats
  std::uint64_t regrets = 0;     ///< regrets measured
  std::uint64_t impossible = 0;  ///< of these infinite: the target's law excludes the token
  std::array<std::uint32_t, regret_bins> regret_counts{};
  std::uint64_t greedy_run = 0;  ///< tokens before the first that is not the target's most probable one
  bool left_greedy = false;      ///< whether there was one

  void add_law(double variation, double kl) {
    ++positions;
    total_variation += variation;
    if (kl < std::numeric_limits<double>::infinity()) {
      divergence += kl;
    } else {
      ++unbounded;
    }
  }
  void add_regret(double value) {
    ++regrets;
    const bool finite = value < std::numeric_limits<double>::infinity();
    if (finite) {
      regret += value;
    } else {
      ++impossible;
    }
    const bool below_last = value < regret_bin_width * (regret_bins - 1);
    ++regret_counts[below_last ? static_cast<std::size_t>(std::max(value, 0.0) / regret_bin_width) : regret_bins - 1];
  }
  /// One more emitted token of the text, in order.
  void add_choice(bool is_greedy) {
    left_greedy = left_greedy || !is_greedy;
    greedy_run += !left_greedy;
  }

  /// Adds what later steps gave away.
  void merge(const relaxed_loss& later) {
    passes += later.passes;
    tokens += later.tokens;
    relaxed += later.relaxed;
    positions += later.positions;
    unbounded += later.unbounded;
    total_variation += later.total_variation;
    divergence += later.divergence;
    regret += later.regret;
    regrets += later.regrets;
    impossible += later.impossible;
    for (std::size_t i = 0; i < regret_bins; ++i) regret_counts[i] += later.regret_counts[i];
    if (!left_greedy) {
      greedy_run += later.greedy_run;
      left_greedy = later.left_greedy;
    }
  }

  // Figures; 0 where nothing was measured.

  [[nodiscard]] double mean_total_variation() const { return ratio(total_variation, positions); }
  /// Mean over the positions where it is finite.
  [[nodiscard]] double mean_divergence() const { return ratio(divergence, positions - unbounded); }
  [[nodiscard]] double mean_regret() const { return ratio(regret, regrets - impossible); }
  [[nodiscard]] double relaxed_share() const { return ratio(static_cast<double>(relaxed), tokens); }
  [[nodiscard]] double tokens_per_pass() const { return ratio(static_cast<double>(tokens), passes); }
  /// The regret that a share (0.99) of the relaxed acceptances does not exceed: the upper edge of its bin, infinite for
  /// the last one.
  [[nodiscard]] double regret_percentile(double share) const {
    if (regrets == 0) return 0;
    const double wanted = share * static_cast<double>(regrets);
    std::uint64_t below = 0;
    std::size_t bin = 0;
    for (; bin + 1 < regret_bins; ++bin) {
      below += regret_counts[bin];
      if (static_cast<double>(below) >= wanted) return regret_bin_width * static_cast<double>(bin + 1);
    }
    return std::numeric_limits<double>::infinity();
  }

  friend bool operator==(const relaxed_loss&, const relaxed_loss&) = default;

 private:
  [[nodiscard]] static double ratio(double sum, std::uint64_t count) {
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
  }
};

/// log p(argmax) - log p(x); infinite for a token outside the law.
template <class Real>
[[nodiscard]] double regret_of(distribution_view<Real> law, token id) {
  const double best = law.probability(argmax(law));
  const double chosen = law.probability(id);
  return chosen > 0 ? std::log(best / chosen) : std::numeric_limits<double>::infinity();
}

}  // namespace decant::inline DECANT_ABI

#endif
