// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measures the cost curve of a model on this machine: passes over chains of 1 to 64 nodes, the sizes interleaved so
// that a disturbance hits them all alike, medians, made monotone. Takes a bounded time whatever the model's size: the
// largest sizes are left out when they do not fit (the curve goes on with its last slope).
#ifndef DECANT_CONTROL_CALIBRATE_HPP
#define DECANT_CONTROL_CALIBRATE_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/control/isotonic.hpp>
#include <decant/model/model.hpp>

#include <array>

namespace decant::inline DECANT_ABI {

/// What passes of one model cost on one machine.
struct pass_costs {
  double plain_seconds = 0;  ///< time of a pass over one node
  std::size_t context = 0;   ///< tokens before the measured nodes
  cost_curve curve{};

  friend bool operator==(const pass_costs&, const pass_costs&) = default;
};

struct calibration_settings {
  std::size_t context = 256;     ///< tokens before the measured nodes; a model that holds more is measured as it is
  double context_seconds = 0.5;  ///< no further tokens are fed beyond this time
  double seconds = 2.0;          ///< no further passes are begun beyond this time
  std::size_t repetitions = 15;  ///< most passes per size

  friend constexpr bool operator==(const calibration_settings&, const calibration_settings&) = default;
};

/// Numbers of nodes that are measured.
inline constexpr std::array<std::size_t, 12> calibrated_sizes{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64};

namespace detail {

template <class M, class Clock>
class calibration {
 public:
  calibration(M& model, Clock& clock, const calibration_settings& settings)
      : model_(model), clock_(clock), settings_(settings), length_(model.length()) {}
  calibration(const calibration&) = delete;
  calibration& operator=(const calibration&) = delete;
  /// The model is left as it was found.
  ~calibration() { (void)model_.truncate(length_); }

  result<pass_costs> run() {
    if (auto fed = feed(); !fed) return fed.error();
    if (auto counted = count_sizes(); !counted) return counted.error();
    if (auto timed = repeat(); !timed) return timed.error();
    return summary();
  }

 private:
  [[nodiscard]] token filler(std::size_t i) const { return static_cast<token>(i * 7919 % model_.vocab_size()); }
  [[nodiscard]] std::size_t room() const { return model_.context_size() - model_.length(); }

  /// Fills the context with arbitrary tokens, in chunks, as far as time and room allow.
  result<void> feed() {
    constexpr std::size_t chunk = 32;
    constexpr std::size_t reserved = calibrated_sizes.back();
    const double end = clock_.now() + settings_.context_seconds;
    std::array<token, chunk> tokens{};
    for (std::size_t i = 0; i < chunk; ++i) tokens[i] = filler(i);
    while (model_.length() + chunk <= settings_.context && room() >= reserved + chunk && clock_.now() < end) {
      if (auto fed = model_.prefill(tokens); !fed) return fed;
    }
    return {};
  }

  /// Times every size once, ascending, until the next one would take more than its share of the time.
  result<void> count_sizes() {
    constexpr double share = 0.4;
    if (room() == 0) return error_code::context_full;
    if (auto warm = pass(1); !warm) return warm.error();
    started_ = clock_.now();
    double next = 0;
    while (sizes_ < calibrated_sizes.size() && calibrated_sizes[sizes_] <= room()) {
      if (sizes_ > 0 && clock_.now() - started_ + next > share * settings_.seconds) break;
      const auto taken = pass(calibrated_sizes[sizes_]);
      if (!taken) return taken.error();
      times_[sizes_++].push_back(*taken);
      if (sizes_ < calibrated_sizes.size()) {
        next =
            *taken * static_cast<double>(calibrated_sizes[sizes_]) / static_cast<double>(calibrated_sizes[sizes_ - 1]);
      }
    }
    return {};
  }

  result<void> repeat() {
    for (std::size_t round = 1; round < settings_.repetitions; ++round) {
      for (std::size_t i = 0; i < sizes_; ++i) {
        // There and back, so that no size always follows the largest.
        const std::size_t size = round % 2 == 0 ? i : sizes_ - 1 - i;
        if (clock_.now() - started_ + times_[size].front() > settings_.seconds) continue;
        const auto taken = pass(calibrated_sizes[size]);
        if (!taken) return taken.error();
        times_[size].push_back(*taken);
      }
    }
    return {};
  }

  /// Seconds of a pass over a chain of `nodes` nodes.
  result<double> pass(std::size_t nodes) {
    tree_.reset(filler(nodes));
    while (tree_.size() < nodes) tree_.append(static_cast<node_id>(tree_.size()) - 1, filler(13 * tree_.size()));
    const double start = clock_.now();
    auto rows = model_.evaluate(tree_, tree_.all());
    if (!rows) return rows.error();
    if (rows->row(static_cast<node_id>(nodes) - 1).empty()) return error_code::row_unavailable;
    const double taken = clock_.now() - start;
    if (auto dropped = model_.truncate(model_.length()); !dropped) return dropped.error();
    return taken;
  }

  [[nodiscard]] static double median(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

  result<pass_costs> summary() {
    std::array<double, calibrated_sizes.size()> medians{};
    for (std::size_t i = 0; i < sizes_; ++i) medians[i] = median(times_[i]);
    make_isotonic(std::span(medians).first(sizes_));
    if (!(medians[0] > 0)) return error{error_code::invalid_argument, "the clock stands still"};
    pass_costs costs{medians[0], model_.length(), {}};
    costs.curve.points.clear();
    for (std::size_t i = 0; i < sizes_; ++i)
      costs.curve.points.push_back({calibrated_sizes[i], medians[i] / medians[0]});
    if (auto sound = costs.curve.check(); !sound) return sound.error();
    return costs;
  }

  M& model_;
  Clock& clock_;
  calibration_settings settings_;
  std::size_t length_;
  token_tree tree_;
  double started_ = 0;
  std::size_t sizes_ = 0;  // how many of the sizes are measured
  std::array<std::vector<double>, calibrated_sizes.size()> times_;
};

}  // namespace detail

/// Measures t(1..64) at the model's present length, or after filler tokens if it holds fewer than `settings.context`;
/// they are taken back. `clock` has `now()` in seconds (`steady_clock`). Takes `context_seconds` + `seconds` and at
/// most one pass more. Errors: the model's own; `context_full` when not even one node fits; `invalid_argument` when the
/// clock does not move.
template <Model M, class Clock>
[[nodiscard]] result<pass_costs> calibrate(M& model, Clock clock, const calibration_settings& settings = {}) {
  return detail::calibration<M, Clock>(model, clock, settings).run();
}

}  // namespace decant::inline DECANT_ABI

#endif
