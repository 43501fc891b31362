// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loosely speculative decoding (FLy, arXiv 2511.22972): a mismatch is harmless when the target, fed the draft's token,
// agrees with the draft for the next W - 1 tokens. Two gates: positions from K - W on are never relaxed (their window
// is not fully known), and where the target was sure, i.e. -sum p log p over its three most probable tokens (not
// renormalised) is below a threshold, a mismatch stands whatever the window says. Threshold of at most .01: gate off.
// Greedy drafts and greedy output; the released code's rule for sampling (accept what either of two target samples is)
// is neither exact nor bounded and is not copied. So are not the consecutive positions of its tree nodes.
// Guarantee: lossy, exactly this rule. Needs a chain longer than W. Complexity: one processed row per drafted token.
// Worked example (K = 10, W = 4, agreement 1011110111): the mismatch at 1 passes, that at 6 >= K - W does not: six
// tokens are accepted.
#ifndef DECANT_VERIFY_LOOSE_WINDOW_HPP
#define DECANT_VERIFY_LOOSE_WINDOW_HPP

#include <decant/verify/window_verifier.hpp>

namespace decant::inline DECANT_ABI {

struct loose_window {
  std::size_t window = 6;  ///< W, the mismatch included
  double min_entropy = 0;  ///< gate on the entropy of the three most probable tokens, in nats; off at or below .01

  [[nodiscard]] result<void> check() const {
    if (window == 0) return error{error_code::invalid_argument, "loose_window: window is 0"};
    if (!(min_entropy >= 0)) return error{error_code::invalid_argument, "loose_window: min_entropy is negative"};
    return {};
  }

  template <class Real>
  [[nodiscard]] bool may_pass(const chain_view<Real>& chain, std::size_t i) const {
    if (i + window >= chain.size()) return false;
    const auto following = chain.is_greedy.subspan(i + 1, window - 1);
    if (std::find(following.begin(), following.end(), std::uint8_t{0}) != following.end()) return false;
    return min_entropy <= gate_off || !(entropy_of_top(chain.laws[i]->view()) < min_entropy);
  }

  /// -sum p log p over the three most probable tokens.
  template <class Real>
  [[nodiscard]] static double entropy_of_top(distribution_view<Real> law) {
    std::array<Real, 3> top{};
    visit_heaviest(law, [&](const weighted_token<Real>& entry) {
      Real weight = entry.weight;
      for (Real& best : top) {
        if (best < weight) std::swap(best, weight);
      }
      return top.back();
    });
    double sum = 0;
    for (const Real& weight : top) {
      const double p = as_double(weight) / as_double(law.mass());
      if (p > 0) sum -= p * std::log(p);
    }
    return sum;
  }

  friend constexpr bool operator==(const loose_window&, const loose_window&) = default;

 private:
  static constexpr double gate_off = 0.01;
};

/// Loosely speculative decoding.
using loose_speculation = window_verifier<loose_window>;

static_assert(Verifier<loose_speculation>);

}  // namespace decant::inline DECANT_ABI

#endif
