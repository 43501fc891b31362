// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns what a drafter thinks of its tokens into what happens to them: acceptance per confidence class, learnt while
// decoding. Old evidence fades, with every observation of its class and with every step, so that the estimates follow a
// text that changes and a class that looked hopeless is tried again.
#ifndef DECANT_CONTROL_ACCEPTANCE_ESTIMATES_HPP
#define DECANT_CONTROL_ACCEPTANCE_ESTIMATES_HPP

#include <decant/control/confidence.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

class acceptance_estimates {
 public:
  /// Probability that a token of this class is accepted where its parent was: the drafter's word, corrected by
  /// evidence.
  [[nodiscard]] double likely(confidence c) const noexcept {
    const counts& seen = by_class_[c.index()];
    return (seen.accepted + prior_weight * c.probability()) / (seen.judged + prior_weight);
  }
  /// The same, given the benefit of the doubt while there is little evidence.
  [[nodiscard]] double hopeful(confidence c) const noexcept {
    return std::min(1.0, likely(c) + curiosity / std::sqrt(by_class_[c.index()].judged + 1));
  }
  /// The same from evidence alone, as if two more tokens had been refused; 0 without evidence.
  [[nodiscard]] double proven(confidence c) const noexcept {
    const counts& seen = by_class_[c.index()];
    return seen.accepted / (seen.judged + 2);
  }

  /// A token of this class was accepted, or refused although its parent was accepted.
  void record(confidence c, bool accepted) noexcept {
    by_class_[c.index()].add(accepted);
    if (c.is_known()) by_class_[confidence().index()].add(accepted);
  }
  /// A step has passed.
  void fade() noexcept {
    for (counts& seen : by_class_) seen.scale(memory_of_steps);
  }

  friend bool operator==(const acceptance_estimates&, const acceptance_estimates&) = default;

 private:
  static constexpr double memory = 0.98;            // about the last 50 observations count
  static constexpr double memory_of_steps = 0.998;  // half the evidence is gone after 350 steps
  static constexpr double prior_weight = 5;         // observations that the drafter's word is worth
  static constexpr double curiosity = 0.25;         // benefit of the doubt without any evidence

  struct counts {
    double accepted = 0;
    double judged = 0;

    void add(bool was_accepted) noexcept {
      accepted = accepted * memory + (was_accepted ? 1 : 0);
      judged = judged * memory + 1;
    }
    void scale(double factor) noexcept {
      accepted *= factor;
      judged *= factor;
    }
    friend bool operator==(const counts&, const counts&) = default;
  };

  std::array<counts, confidence::classes> by_class_{};
};

}  // namespace decant::inline DECANT_ABI

#endif
