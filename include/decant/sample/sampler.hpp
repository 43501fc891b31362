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
/// and `advance(state, token)`, and take the state as a second argument of `apply`.
template <class Step>
concept StatefulStep = requires(const Step& step, typename Step::state_type& state, token t) {
  { step.initial_state() } -> std::same_as<typename Step::state_type>;
  step.advance(state, t);
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
    const auto ask = [&first]<class Step>([[maybe_unused]] const Step& step) {
      if constexpr (requires { step.check(); }) {
        if (first.has_value()) first = step.check();
      }
    };
    std::apply([&](const Steps&... step) { (ask(step), ...); }, steps_);
    return first;
  }

  [[nodiscard]] state_type initial_state() const { return initial(std::index_sequence_for<Steps...>{}); }
  void advance(state_type& state, token t) const { advance(state, t, std::index_sequence_for<Steps...>{}); }

  template <class Real>
  [[nodiscard]] error_code law(std::span<const Real> row, const state_type& state, candidates<Real>& scratch,
                               distribution<Real>& out) const {
    const error_code loaded = scratch.load(row);
    if (loaded != error_code::none) return loaded;
    apply(scratch, state, std::index_sequence_for<Steps...>{});
    return scratch.write_law(out);
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
