// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a pass costs, learnt while decoding (ProPD, arXiv 2402.13485): a weighted least-squares line through the times
// of recent passes, time = base + slope * nodes, older ones fading. It follows a context that grows and a machine that
// is shared, which a calibration made beforehand cannot. As a `cost_curve` it serves everything that asks one. The
// weights of the paper were not available: each pass counts `memory` times as much as the next. O(1) a pass.
//
// Example: passes of 1, 3 and 5 nodes took 2, 3 and 4 ms: base 1.5, slope 0.5, t(1) = 2 ms; relative to it t(5) = 2.
#ifndef DECANT_CONTROL_PASS_TIME_LINE_HPP
#define DECANT_CONTROL_PASS_TIME_LINE_HPP

#include <decant/control/cost_curve.hpp>

namespace decant::inline DECANT_ABI {

class pass_time_line {
 public:
  /// `memory` in (0, 1]: weight of a pass relative to the next one.
  explicit pass_time_line(double memory = 0.95) : memory_(memory) {}

  /// A target pass over `nodes` nodes took `time`, in any unit. Passes that took no time are not counted.
  void observe(std::size_t nodes, double time) noexcept {
    if (!(time > 0) || nodes == 0) return;
    const auto x = static_cast<double>(nodes);
    for (double* sum : {&weight_, &x_, &t_, &xx_, &xt_}) *sum *= memory_;
    weight_ += 1;
    x_ += x;
    t_ += time;
    xx_ += x * x;
    xt_ += x * time;
  }

  /// Whether passes of different sizes have been seen lately, so that there is a line at all.
  [[nodiscard]] bool is_known() const noexcept { return spread() > 1e-9 * weight_ * xx_; }

  /// The time of a pass over `nodes` nodes by the line, in the unit of the observations; a constant while the line is
  /// not known or would fall. Precondition: something was observed.
  [[nodiscard]] double time(std::size_t nodes) const {
    DECANT_PRECONDITION(weight_ > 0);
    const double slope = is_known() ? std::max(0.0, (weight_ * xt_ - x_ * t_) / spread()) : 0;
    const double at_mean = t_ / weight_;
    const double line = at_mean + slope * (static_cast<double>(nodes) - x_ / weight_);
    return std::max(line, 1e-3 * at_mean);  // a steep line must not reach 0
  }

  /// The line relative to its value for one node; always passes `check()`. Precondition: something was observed.
  [[nodiscard]] cost_curve curve() const {
    const double plain = time(1);
    return {{{1, 1.0}, {1024, std::max(1.0, time(1024) / plain)}}};
  }

 private:
  [[nodiscard]] double spread() const noexcept { return weight_ * xx_ - x_ * x_; }

  double memory_;
  double weight_ = 0;  // weighted sums of 1, nodes, times, nodes^2, nodes * times
  double x_ = 0;
  double t_ = 0;
  double xx_ = 0;
  double xt_ = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
