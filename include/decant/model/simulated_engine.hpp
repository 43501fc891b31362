// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speed without hardware: a model whose passes take simulated time. A pass over n nodes costs t(n) by a cost curve
// measured on some machine, in units of the target's plain pass (one node), and a virtual clock adds it up. The target
// and the draft model of one experiment share the clock; a drafter without a model is charged by `advance`. The
// speed-up of a decoder is the number of tokens it emitted divided by the time that has passed: plain decoding emits
// one token per unit.
#ifndef DECANT_MODEL_SIMULATED_ENGINE_HPP
#define DECANT_MODEL_SIMULATED_ENGINE_HPP

#include <decant/model/model_wrapper.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace decant::inline DECANT_ABI {

/// A measured pass: over `nodes` nodes it took `time`, where a pass over one takes 1.
struct cost_point {
  std::size_t nodes;
  double time;

  friend constexpr bool operator==(cost_point, cost_point) = default;
};

/// Time of a target pass over n nodes relative to one: linear between the measured points, beyond the last with the
/// slope of the last two.
struct cost_curve {
  std::vector<cost_point> points{{1, 1.0}};

  /// Small weights streamed from memory by two cores that soon run out of arithmetic: SmolLM2-135M on a laptop class
  /// processor.
  [[nodiscard]] static cost_curve cpu_like() {
    return {{{1, 1.0}, {2, 1.86}, {4, 2.82}, {8, 4.0}, {16, 7.5}, {32, 17.7}, {64, 33.0}}};
  }
  /// Idealised accelerator: bound by memory up to tens of nodes.
  [[nodiscard]] static cost_curve flat() { return {{{1, 1.0}, {32, 1.05}, {64, 1.15}, {256, 2.0}, {1024, 6.5}}}; }
  /// Idealised engine that fetches its weights over a slow link in every pass: hundreds of nodes are nearly free.
  [[nodiscard]] static cost_curve offload() { return {{{1, 1.0}, {512, 1.1}, {2048, 1.6}}}; }

  /// `invalid_argument` unless the first point is (1, 1), nodes ascend, and times are finite and never fall.
  [[nodiscard]] result<void> check() const {
    if (points.empty() || points.front() != cost_point{1, 1.0}) {
      return error{error_code::invalid_argument, "a cost curve begins with one node at time 1"};
    }
    for (std::size_t i = 1; i < points.size(); ++i) {
      if (points[i].nodes <= points[i - 1].nodes) {
        return error{error_code::invalid_argument, "the points of a cost curve are not in ascending order of nodes"};
      }
      if (!(points[i].time >= points[i - 1].time && points[i].time <= std::numeric_limits<double>::max())) {
        return error{error_code::invalid_argument, "the times of a cost curve fall or are not finite"};
      }
    }
    return {};
  }

  /// t(n); 0 for a pass over nothing. Precondition: check(). O(log points).
  [[nodiscard]] double time(std::size_t nodes) const {
    if (nodes == 0) return 0;
    if (points.size() == 1) return points.front().time;
    const auto behind = std::lower_bound(points.begin() + 1, points.end() - 1, nodes,
                                         [](const cost_point& point, std::size_t n) { return point.nodes < n; });
    const cost_point& a = *(behind - 1);
    const cost_point& b = *behind;
    const double slope = (b.time - a.time) / static_cast<double>(b.nodes - a.nodes);
    return a.time + slope * (static_cast<double>(nodes) - static_cast<double>(a.nodes));
  }

  friend bool operator==(const cost_curve&, const cost_curve&) = default;
};

/// Simulated time, in units of the target's plain pass.
struct virtual_clock {
  double now = 0;

  void advance(double time) noexcept { now += time; }
};

/// A model on the clock. Prefills are passes over their tokens. What fails takes no time.
template <class M>
class simulated_engine : public model_wrapper<M> {
  using base = model_wrapper<M>;

 public:
  using typename base::rows_type;

  /// `plain_pass` is the cost of this model's pass over one node: 1 for the target, for a draft model its share of
  /// that. The clock outlives the engine. Precondition: curve.check().
  simulated_engine(M&& model, cost_curve curve, virtual_clock& clock, double plain_pass = 1)
      : base(std::forward<M>(model)), curve_(std::move(curve)), clock_(&clock), plain_pass_(plain_pass) {
    DECANT_PRECONDITION(curve_.check().has_value());
  }

  result<void> prefill(token_span tokens) {
    auto done = base::prefill(tokens);
    if (done) charge(tokens.size());
    return done;
  }
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    auto rows = base::evaluate(tree, nodes);
    if (rows) charge(nodes.size());
    return rows;
  }

  [[nodiscard]] const cost_curve& curve() const noexcept { return curve_; }
  /// Simulated time this engine was busy, prefills included.
  [[nodiscard]] double busy() const noexcept { return busy_; }

 private:
  void charge(std::size_t nodes) {
    const double time = plain_pass_ * curve_.time(nodes);
    busy_ += time;
    clock_->advance(time);
  }

  cost_curve curve_;
  virtual_clock* clock_;
  double plain_pass_;
  double busy_ = 0;
};

template <class M>
simulated_engine(M&&, cost_curve, virtual_clock&) -> simulated_engine<M>;
template <class M>
simulated_engine(M&&, cost_curve, virtual_clock&, double) -> simulated_engine<M>;

}  // namespace decant::inline DECANT_ABI

#endif
