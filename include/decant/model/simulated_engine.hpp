// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speed without hardware: a model whose passes take simulated time. A pass over n nodes costs t(n) by a cost curve
// measured on some machine, in units of the target's plain pass (one node), and a virtual clock adds it up. The target
// and the draft model of one experiment share the clock; a drafter without a model is charged by `advance`. The
// speed-up of a decoder is the number of tokens it emitted divided by the time that has passed: plain decoding emits
// one token per unit.
#ifndef DECANT_MODEL_SIMULATED_ENGINE_HPP
#define DECANT_MODEL_SIMULATED_ENGINE_HPP

#include <decant/control/cost_curve.hpp>
#include <decant/model/model_wrapper.hpp>

namespace decant::inline DECANT_ABI {

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
