// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A sampler chosen at run time, its state included. One virtual call per processed row and per advanced token.
#ifndef DECANT_SAMPLE_ANY_SAMPLER_HPP
#define DECANT_SAMPLE_ANY_SAMPLER_HPP

#include <decant/core/owning_ptr.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Any sampler, for one scalar. Copies share nothing.
template <class Real = float>
class any_sampler {
  struct state_base {
    state_base() = default;
    state_base(const state_base&) = default;
    state_base& operator=(const state_base&) = default;
    virtual ~state_base() = default;
    [[nodiscard]] virtual state_base* clone() const = 0;
    virtual void assign(const state_base& other) = 0;
  };

 public:
  /// A state of whatever sampler made it. Copying onto a state of the same sampler reuses its memory.
  class state_type {
   public:
    state_type(const state_type& other) : held_(other.held_->clone()) {}
    state_type(state_type&&) noexcept = default;
    state_type& operator=(const state_type& other) {
      if (held_) {
        held_->assign(*other.held_);
      } else {
        held_ = owning_ptr<state_base>(other.held_->clone());
      }
      return *this;
    }
    state_type& operator=(state_type&&) noexcept = default;
    ~state_type() = default;

   private:
    friend class any_sampler;
    explicit state_type(state_base* held) : held_(held) {}
    owning_ptr<state_base> held_;
  };

  template <class>
  using scratch_type = owning_ptr<erased_work>;

  template <class S>
  requires(!std::is_same_v<S, any_sampler>)
      any_sampler(S sampler)  // NOLINT(google-explicit-constructor): any sampler is one
      : held_(new holder<S>(std::move(sampler))) {
    static_assert(Sampler<S, Real>, "any_sampler: this is not a sampler for this scalar");
  }
  any_sampler(const any_sampler& other) : held_(other.held_->clone()) {}
  any_sampler(any_sampler&&) noexcept = default;
  any_sampler& operator=(any_sampler other) noexcept {
    held_ = std::move(other.held_);
    return *this;
  }
  ~any_sampler() = default;

  /// The held sampler's complaint about its parameters, if it has any.
  [[nodiscard]] result<void> check() const { return held_->check(); }
  [[nodiscard]] state_type initial_state() const { return state_type(held_->initial_state()); }
  void advance(state_type& state, token t) const { held_->advance(*state.held_, t); }
  void begin_output(state_type& state) const { held_->begin_output(*state.held_); }
  [[nodiscard]] error_code law(std::span<const Real> row, const state_type& state, owning_ptr<erased_work>& scratch,
                               distribution<Real>& out) const {
    return held_->law(row, *state.held_, scratch, out);
  }

  [[nodiscard]] bool learns() const { return held_->learns(); }
  [[nodiscard]] double observe(std::span<const Real> row, const state_type& state, owning_ptr<erased_work>& scratch,
                               token t) const {
    return held_->observe(row, *state.held_, scratch, t);
  }
  void learn(state_type& state, double observed) const { held_->learn(*state.held_, observed); }

 private:
  template <class State>
  struct state_of final : state_base {
    explicit state_of(State s) : value(std::move(s)) {}
    [[nodiscard]] state_base* clone() const override { return new state_of(*this); }
    void assign(const state_base& other) override { value = static_cast<const state_of&>(other).value; }
    State value;
  };
  struct base {
    base() = default;
    base(const base&) = default;
    base& operator=(const base&) = delete;
    virtual ~base() = default;
    [[nodiscard]] virtual base* clone() const = 0;
    [[nodiscard]] virtual result<void> check() const = 0;
    [[nodiscard]] virtual state_base* initial_state() const = 0;
    virtual void advance(state_base&, token) const = 0;
    virtual void begin_output(state_base&) const = 0;
    [[nodiscard]] virtual error_code law(std::span<const Real>, const state_base&, owning_ptr<erased_work>&,
                                         distribution<Real>&) const = 0;
    [[nodiscard]] virtual bool learns() const = 0;
    [[nodiscard]] virtual double observe(std::span<const Real>, const state_base&, owning_ptr<erased_work>&,
                                         token) const = 0;
    virtual void learn(state_base&, double) const = 0;
  };
  template <class S>
  struct holder final : base {
    using own_state = state_of<typename S::state_type>;
    explicit holder(S s) : sampler(std::move(s)) {}
    [[nodiscard]] base* clone() const override { return new holder(*this); }
    [[nodiscard]] result<void> check() const override { return check_of(sampler); }
    [[nodiscard]] state_base* initial_state() const override { return new own_state(sampler.initial_state()); }
    void advance(state_base& state, token t) const override {
      sampler.advance(static_cast<own_state&>(state).value, t);
    }
    void begin_output(state_base& state) const override {
      decant::begin_output(sampler, static_cast<own_state&>(state).value);
    }
    [[nodiscard]] error_code law(std::span<const Real> row, const state_base& state, owning_ptr<erased_work>& scratch,
                                 distribution<Real>& out) const override {
      return sampler.law(row, static_cast<const own_state&>(state).value,
                         work_in<typename S::template scratch_type<Real>>(scratch), out);
    }
    [[nodiscard]] bool learns() const override { return decant::learns<Real>(sampler); }
    [[nodiscard]] double observe([[maybe_unused]] std::span<const Real> row, [[maybe_unused]] const state_base& state,
                                 [[maybe_unused]] owning_ptr<erased_work>& scratch,
                                 [[maybe_unused]] token t) const override {
      if constexpr (LearningSampler<S, Real>) {
        return sampler.observe(row, static_cast<const own_state&>(state).value,
                               work_in<typename S::template scratch_type<Real>>(scratch), t);
      } else {
        return std::numeric_limits<double>::quiet_NaN();
      }
    }
    void learn([[maybe_unused]] state_base& state, [[maybe_unused]] double observed) const override {
      if constexpr (LearningSampler<S, Real>) sampler.learn(static_cast<own_state&>(state).value, observed);
    }
    S sampler;
  };

  owning_ptr<base> held_;
};

static_assert(Sampler<any_sampler<float>, float>);

}  // namespace decant::inline DECANT_ABI

#endif
