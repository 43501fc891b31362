// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sampler turns a row into the processed distribution: the target law p, or the draft law q. It is pure; what it must
// remember (penalty windows, budgets) is a separate state, advanced token by token along a tree path.
#ifndef DECANT_SAMPLE_SAMPLER_HPP
#define DECANT_SAMPLE_SAMPLER_HPP

#include <decant/core/distribution.hpp>
#include <decant/sample/candidates.hpp>

#include <concepts>
#include <tuple>
#include <utility>

namespace decant::inline DECANT_ABI {

/// State of a sampler that remembers nothing.
struct no_state {
  friend constexpr bool operator==(no_state, no_state) { return true; }
};

/// Requirements for scalar `Real`:
/// - `state_type`: copyable; copying onto a used object of the same history length allocates nothing;
/// - `initial_state()`: the state before the first token of a sequence;
/// - `advance(state, token)`: the state after one more token;
/// - `law(row, state, scratch, out)`: the distribution after the row, or the code of what is wrong with the row.
template <class S, class Real = float>
concept Sampler = requires(const S& sampler, typename S::state_type& state, const typename S::state_type& before,
                           token t, std::span<const Real> row, typename S::template scratch_type<Real>& scratch,
                           distribution<Real>& out) {
  { sampler.initial_state() } -> std::same_as<typename S::state_type>;
  sampler.advance(state, t);
  { sampler.law(row, before, scratch, out) } -> std::same_as<error_code>;
};

/// A sampler that also learns from what was drawn (mirostat, adaptive-p):
/// - `learns()`: whether it does, with its parameters;
/// - `observe(row, state, scratch, token)`: what there is to learn of a token drawn after `row`, a probability; NaN
///   where the row has no law;
/// - `learn(state, observed)`: the state with it, to be followed by `advance`. Tokens that nothing drew, those of a
///   prompt, are only advanced over.
/// Apart from `law`, so that a law that was asked for twice, or of a node that is never accepted, teaches nothing
/// (llama.cpp learns inside its law).
template <class S, class Real = float>
concept LearningSampler = Sampler<S, Real> &&
    requires(const S& sampler, typename S::state_type& state, const typename S::state_type& before, token t,
             std::span<const Real> row, typename S::template scratch_type<Real>& scratch, double observed) {
  { sampler.learns() } -> std::same_as<bool>;
  { sampler.observe(row, before, scratch, t) } -> std::same_as<double>;
  sampler.learn(state, observed);
};

/// Whether a sampler learns from what was drawn.
template <class Real, class S>
[[nodiscard]] constexpr bool learns(const S& sampler) {
  if constexpr (LearningSampler<S, Real>) {
    return sampler.learns();
  } else {
    return false;
  }
}

/// The state after one more token, and, unless `observed` is NaN, with what was observed of it.
template <class Real, class S>
void advance_observed(const S& sampler, typename S::state_type& state, token t, [[maybe_unused]] double observed) {
  if constexpr (LearningSampler<S, Real>) {
    if (observed == observed && sampler.learns()) sampler.learn(state, observed);
  }
  sampler.advance(state, t);
}

/// A sampler that tells the output from the prompt before it: `begin_output(state)` says that whatever the state was
/// advanced over is a prompt. It forgets what earlier calls said: afterwards the state depends on the text and on where
/// the last call was. Without any call the whole text is output.
template <class S>
concept OutputSampler = requires(const S& sampler, typename S::state_type& state) {
  sampler.begin_output(state);
};

/// The output begins here. For every sampler: most make no difference.
template <class S>
constexpr void begin_output([[maybe_unused]] const S& sampler, [[maybe_unused]] typename S::state_type& state) {
  if constexpr (OutputSampler<S>) sampler.begin_output(state);
}

/// The identity sampler for rows that already are distributions (weights, not logits): toy models with known laws,
/// exact scalars, hosts that process rows themselves. A negative or NaN weight is `row_not_finite`.
struct given_law {
  using state_type = no_state;
  template <class Real>
  using scratch_type = no_state;

  [[nodiscard]] no_state initial_state() const { return {}; }
  void advance(no_state&, token) const {}

  template <class Real>
  [[nodiscard]] error_code law(std::span<const Real> row, const no_state&, no_state&, distribution<Real>& out) const {
    if (row.empty()) return error_code::row_unavailable;
    const std::span<Real> weights = out.begin_dense(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!(row[i] >= Real(0))) return error_code::row_not_finite;
      weights[i] = row[i];
    }
    return out.finish();
  }

  friend constexpr bool operator==(given_law, given_law) { return true; }
};

static_assert(Sampler<given_law, float> && Sampler<given_law, double>);

/// One step of a chain: edits or thins out the candidates. Steps with memory also have `state_type`, `initial_state()`
/// and `advance(state, token)`, and take the state as a second argument of `apply`; those that tell the output from the
/// prompt also have `begin_output(state)`, as samplers do.
template <class Step>
concept StatefulStep = requires(const Step& step, typename Step::state_type& state, token t) {
  { step.initial_state() } -> std::same_as<typename Step::state_type>;
  step.advance(state, t);
};

/// A step with memory that tells the output from the prompt.
template <class Step>
concept OutputStep = StatefulStep<Step> && OutputSampler<Step>;

/// A step with memory that also learns from what was drawn: `observe(set, state, token)` takes the place of `apply` and
/// returns a probability of the token, `learn(state, observed)` makes use of it. `learns()` says whether it does with
/// its parameters. At most one step of a chain learns.
template <class Step, class Real = float>
concept LearningStep = StatefulStep<Step> &&
    requires(const Step& step, candidates<Real>& set, typename Step::state_type& state,
             const typename Step::state_type& before, token t) {
  { step.learns() } -> std::same_as<bool>;
  { step.observe(set, before, t) } -> std::same_as<double>;
  step.learn(state, 0.5);
};

/// What a step says of itself: `static constexpr step_traits traits`. Documentation that tests hold it to; no step is
/// ever left out or moved because of it.
struct step_traits {
  /// What it keeps does not change when all logits are divided by a temperature before it.
  bool temperature_invariant = false;
  /// The best candidate stays the best one.
  bool keeps_argmax = false;
  /// A constant added to all logits changes nothing.
  bool shift_invariant = true;
};

/// What a chain is made of. A step may also have `check() -> result<void>`, which explains a parameter out of range.
template <class Step, class Real = float>
concept SamplerStep = requires(const Step& step, candidates<Real>& set) {
  step.apply(set);
}
|| (StatefulStep<Step> && requires(const Step& step, candidates<Real>& set, const typename Step::state_type& state) {
  step.apply(set, state);
});

namespace detail {

template <class Step>
struct step_state {
  using type = no_state;
};
template <StatefulStep Step>
struct step_state<Step> {
  using type = typename Step::state_type;
};

}  // namespace detail

/// A chain of steps, applied in the order written; a value. The order is never changed behind the user's back: with
/// temperature last (llama.cpp) or first (Hugging Face, vLLM) the same numbers admit different sets.
/// An empty chain is the plain soft-max of the row.
template <class... Steps>
class sampler_chain {
  static_assert((SamplerStep<Steps> && ...),
                "every step of a chain needs apply(candidates&), or a state and apply(candidates&, const state&)");
  static_assert((std::size_t{0} + ... + std::size_t{LearningStep<Steps>}) <= 1,
                "at most one step of a chain learns from what was drawn");
  static constexpr bool tells_output = (false || ... || OutputStep<Steps>);
  static constexpr bool has_learner = (false || ... || LearningStep<Steps>);
  /// The place of the learning step, the number of steps if none does.
  static constexpr std::size_t learner = [] {
    std::size_t place = 0;
    static_cast<void>((false || ... || (LearningStep<Steps> || (++place, false))));
    return place;
  }();

 public:
  using state_type = std::tuple<typename detail::step_state<Steps>::type...>;
  template <class Real>
  using scratch_type = candidates<Real>;

  sampler_chain() = default;
  explicit sampler_chain(std::tuple<Steps...> steps) : steps_(std::move(steps)) {}

  /// The steps, to be read or changed by type: `chain.get<temperature>().value = 0.7f`.
  template <class Step>
  [[nodiscard]] Step& get() noexcept {
    return std::get<Step>(steps_);
  }
  template <class Step>
  [[nodiscard]] const Step& get() const noexcept {
    return std::get<Step>(steps_);
  }

  /// The first complaint of a step about its parameters. With parameters out of range a law is unspecified, yet some
  /// law or an error.
  [[nodiscard]] result<void> check() const {
    result<void> first;
    const auto ask = [&first](const auto& step) {
      if (first.has_value()) first = check_of(step);
    };
    std::apply([&](const Steps&... step) { (ask(step), ...); }, steps_);
    return first;
  }

  [[nodiscard]] state_type initial_state() const { return initial(std::index_sequence_for<Steps...>{}); }
  void advance(state_type& state, token t) const { advance(state, t, std::index_sequence_for<Steps...>{}); }
  void begin_output(state_type& state) const requires tells_output {
    begin_output(state, std::index_sequence_for<Steps...>{});
  }

  template <class Real>
  [[nodiscard]] error_code law(std::span<const Real> row, const state_type& state, candidates<Real>& scratch,
                               distribution<Real>& out) const {
    const error_code loaded = scratch.view(row);
    if (loaded != error_code::none) return loaded;
    apply(scratch, state, std::index_sequence_for<Steps...>{});
    return scratch.write_law(out);
  }

  /// Whether a step learns from what was drawn.
  [[nodiscard]] bool learns() const requires has_learner { return std::get<learner>(steps_).learns(); }
  /// What the learning step sees of a token drawn after the row. The work of a law, up to that step.
  template <class Real>
  [[nodiscard]] double observe(std::span<const Real> row, const state_type& state, candidates<Real>& scratch,
                               token t) const requires has_learner {
    if (scratch.view(row) != error_code::none) return std::numeric_limits<double>::quiet_NaN();
    apply(scratch, state, std::make_index_sequence<learner>{});
    return std::get<learner>(steps_).observe(scratch, std::get<learner>(state), t);
  }
  void learn(state_type& state, double observed) const requires has_learner {
    std::get<learner>(steps_).learn(std::get<learner>(state), observed);
  }

  friend bool operator==(const sampler_chain&, const sampler_chain&) = default;

 private:
  template <std::size_t... I>
  [[nodiscard]] state_type initial(std::index_sequence<I...>) const {
    return state_type{initial_of(std::get<I>(steps_))...};
  }
  template <class Step>
  [[nodiscard]] static auto initial_of([[maybe_unused]] const Step& step) {
    if constexpr (StatefulStep<Step>) {
      return step.initial_state();
    } else {
      return no_state{};
    }
  }

  template <std::size_t... I>
  void advance([[maybe_unused]] state_type& state, [[maybe_unused]] token t, std::index_sequence<I...>) const {
    (advance_one(std::get<I>(steps_), std::get<I>(state), t), ...);
  }
  template <class Step, class State>
  static void advance_one([[maybe_unused]] const Step& step, [[maybe_unused]] State& state, [[maybe_unused]] token t) {
    if constexpr (StatefulStep<Step>) step.advance(state, t);
  }

  template <std::size_t... I>
  void begin_output(state_type& state, std::index_sequence<I...>) const {
    (begin_output_of_one(std::get<I>(steps_), std::get<I>(state)), ...);
  }
  template <class Step, class State>
  static void begin_output_of_one([[maybe_unused]] const Step& step, [[maybe_unused]] State& state) {
    if constexpr (OutputStep<Step>) step.begin_output(state);
  }

  template <class Real, std::size_t... I>
  void apply([[maybe_unused]] candidates<Real>& set, [[maybe_unused]] const state_type& state,
             std::index_sequence<I...>) const {
    (apply_one(std::get<I>(steps_), set, std::get<I>(state)), ...);
  }
  template <class Step, class Real, class State>
  static void apply_one(const Step& step, candidates<Real>& set, [[maybe_unused]] const State& state) {
    if constexpr (StatefulStep<Step>) {
      step.apply(set, state);
    } else {
      step.apply(set);
    }
  }

  std::tuple<Steps...> steps_{};
};

/// `make_sampler(top_k{40}, temperature{0.8f})`: a chain of these steps in this order.
template <class... Steps>
[[nodiscard]] sampler_chain<Steps...> make_sampler(Steps... steps) {
  return sampler_chain<Steps...>(std::tuple<Steps...>(std::move(steps)...));
}

static_assert(Sampler<sampler_chain<>, float> && Sampler<sampler_chain<>, double>);

}  // namespace decant::inline DECANT_ABI

#endif
