// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a target pass costs: the time of a pass over n nodes relative to one, as a table of measured points. Kernels
// work in tiles, so the curve is a staircase more often than a line; whoever chooses a number of nodes asks this table.
#ifndef DECANT_CONTROL_COST_CURVE_HPP
#define DECANT_CONTROL_COST_CURVE_HPP

#include <decant/core/error.hpp>

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

}  // namespace decant::inline DECANT_ABI

#endif
