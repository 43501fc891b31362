// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The ready-made loop: drives a speculation machine over a Model until the sequence ends. Everything it does, a host
// can do itself with plan() and absorb(); it adds prefilling in chunks, progress, cancellation, timing, and the promise
// that after any failure, exceptions of the model included, model, drafter and sampler agree and `resume` can go on.
#ifndef DECANT_DECODE_GENERATE_HPP
#define DECANT_DECODE_GENERATE_HPP

#include <decant/decode/speculation.hpp>
#include <decant/model/model.hpp>

namespace decant::inline DECANT_ABI {

/// No clock: times stay 0. `steady_clock` (decode/steady_clock.hpp) measures.
struct no_clock {
  [[nodiscard]] double now() const noexcept { return 0; }
};

/// Hooks of a run; derive and override what is needed by hiding it, or pass the struct itself.
struct generate_hooks {
  /// Emitted tokens of each step, as they come.
  void on_step(const decode_step&) {}
  /// Prompt tokens processed so far, of how many.
  void on_prefill(std::size_t /*done*/, std::size_t /*total*/) {}
  /// Asked before every pass; true ends the run with `finish_reason::cancelled`.
  [[nodiscard]] bool cancelled() { return false; }
};

/// Prompt tokens given to the model at once.
inline constexpr std::size_t prefill_chunk = 256;

namespace detail {

/// Drops whatever a pass left pending in the model unless it was committed.
template <class M>
class pass_guard {
 public:
  explicit pass_guard(M& model) : model_(model) {}
  pass_guard(const pass_guard&) = delete;
  pass_guard& operator=(const pass_guard&) = delete;
  ~pass_guard() {
    if (!committed_) (void)model_.truncate(model_.length());
  }
  result<void> commit(node_span path) {
    auto done = model_.commit(path);
    committed_ = done.has_value();
    return done;
  }

 private:
  M& model_;
  bool committed_ = false;
};

/// Adds the time since the last lap to a counter.
template <class Clock>
class stopwatch {
 public:
  explicit stopwatch(Clock& clock) : clock_(clock), last_(clock.now()) {}
  void lap(double& total) {
    const double now = clock_.now();
    total += now - std::exchange(last_, now);
  }
  /// The time since the last lap counts nowhere.
  void skip() { last_ = clock_.now(); }

 private:
  Clock& clock_;
  double last_;
};

/// Brings the model to all committed tokens but the last.
template <class M, class Machine, class Hooks>
result<void> synchronise(M& model, Machine& machine, Hooks& hooks) {
  const token_span wanted = machine.context().first(machine.context().size() - 1);
  const std::size_t usable = std::min(machine.still_valid(), wanted.size());
  if (auto dropped = model.truncate(std::min<std::size_t>(model.length(), usable)); !dropped) return dropped;
  while (model.length() < wanted.size()) {
    if (hooks.cancelled()) return error_code::cancelled;
    const std::size_t count = std::min(prefill_chunk, wanted.size() - model.length());
    if (auto fed = model.prefill(wanted.subspan(model.length(), count)); !fed) return fed;
    hooks.on_prefill(model.length(), wanted.size());
  }
  return {};
}

template <class M, class Machine, class Hooks, class Watch>
result<void> one_step(M& model, Machine& machine, Hooks& hooks, Watch& watch) {
  auto plan = machine.plan();
  watch.lap(machine.seconds().draft);
  if (!plan) return plan.error();
  pass_guard<M> pass(model);
  auto rows = model.evaluate(plan->tree, plan->tree.all());
  watch.lap(machine.seconds().target);
  if (!rows) return rows.error();
  auto step = machine.absorb(*rows);
  watch.lap(machine.seconds().verify);
  if (!step) return step.error();
  // Shown first: the tokens stand now, and must not be lost if the model refuses to commit or throws. If the hook
  // throws the pass is dropped. Either way `resume` feeds the model what it lacks.
  hooks.on_step(*step);
  watch.skip();
  auto committed = pass.commit(step->kept);
  watch.lap(machine.seconds().commit);
  return committed;
}

}  // namespace detail

/// Goes on with the machine's sequence until it ends: after `machine.append`, `machine.rewind`, or an earlier failure.
/// Returns why it ended, or the first error; then everything emitted so far stands and `resume` may be called again.
template <Model M, class Machine, class Hooks = generate_hooks, class Clock = no_clock>
result<finish_reason> resume(M& model, Machine& machine, Hooks&& hooks = {}, Clock clock = {}) {
  static_assert(std::is_same_v<typename M::rows_type::value_type, typename Machine::real>,
                "generate: the model's rows and the machine must use the same scalar");
  static_assert(TreeModel<M> || Machine::drafts_chains_only,
                "generate: this model evaluates chains only, so the drafter must make chains");
  if (model.vocab_size() != machine.options().vocab_size) {
    return error{error_code::refused_pairing, "the model's vocabulary size differs from the machine's"};
  }
  if (machine.context().empty()) return error{error_code::wrong_call_order, "resume before begin"};
  detail::stopwatch<Clock> watch(clock);
  const auto ready = detail::synchronise(model, machine, hooks);
  watch.lap(machine.seconds().prefill);
  if (ready.code() == error_code::cancelled) {
    machine.cancel();
    return machine.finish();
  }
  if (!ready) return ready.error();
  while (!machine.finished()) {
    if (hooks.cancelled()) {
      machine.cancel();
      break;
    }
    if (auto stepped = detail::one_step(model, machine, hooks, watch); !stepped) return stepped.error();
  }
  return machine.finish();
}

/// Decodes a new sequence from a prompt: `begin`, then `resume` on an emptied model. The model is emptied first: if
/// `begin` fails, the sequence before it can still be resumed.
template <Model M, class Machine, class Hooks = generate_hooks, class Clock = no_clock>
result<finish_reason> generate(M& model, Machine& machine, token_span prompt, Hooks&& hooks = {}, Clock clock = {}) {
  if (auto emptied = model.truncate(0); !emptied) return emptied.error();
  if (auto begun = machine.begin(prompt); !begun) return begun.error();
  return resume(model, machine, std::forward<Hooks>(hooks), std::move(clock));
}

}  // namespace decant::inline DECANT_ABI

#endif
