// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tree builder chosen at run time, to be used in a `guided_drafter` or `model_drafter`. At compile time it vouches
// for nothing; `produces_value()` says what its trees are.
#ifndef DECANT_TREE_ANY_BUILDER_HPP
#define DECANT_TREE_ANY_BUILDER_HPP

#include <decant/core/owning_ptr.hpp>
#include <decant/core/philox.hpp>
#include <decant/tree/builder.hpp>

namespace decant::inline DECANT_ABI {

/// Any builder, for one scalar and one kind of chance source. Copies share nothing. One virtual call per operation.
template <class Real = float, class Chance = philox_chance>
class any_builder {
 public:
  static constexpr tree_class produces = tree_class::arbitrary;
  static constexpr bool chains_only = false;
  template <class>
  using work = owning_ptr<erased_work>;

  template <class B>
  requires(!std::is_same_v<B, any_builder>)
      any_builder(B builder)  // NOLINT(google-explicit-constructor): any builder is one
      : held_(new holder<B>(std::move(builder))) {
    static_assert(TreeBuilder<B, Real>, "any_builder: this is not a tree builder for this scalar");
  }
  any_builder(const any_builder& other) : held_(other.held_->clone()) {}
  any_builder(any_builder&&) noexcept = default;
  any_builder& operator=(any_builder other) noexcept {
    held_ = std::move(other.held_);
    return *this;
  }
  ~any_builder() = default;

  [[nodiscard]] tree_class produces_value() const noexcept { return held_->produces; }
  [[nodiscard]] bool chains_only_value() const noexcept { return held_->chains_only; }
  /// The held builder's complaint about its parameters, if it has any.
  [[nodiscard]] result<void> check() const { return held_->check(); }

  void start(owning_ptr<erased_work>& memory, token_draft<Real>& draft, const draft_limits& limits) const {
    held_->start(memory, draft, limits);
  }
  [[nodiscard]] node_span wanted(const owning_ptr<erased_work>& memory) const {
    return memory ? held_->wanted(memory) : node_span{};
  }
  template <class Source>
  void grow([[maybe_unused]] owning_ptr<erased_work>& memory, [[maybe_unused]] token_draft<Real>& draft,
            [[maybe_unused]] std::uint64_t root_position, [[maybe_unused]] Source& chance) const {
    // Concept checks ask with a chance type of their own; everything else uses `Chance`.
    if constexpr (std::is_same_v<Source, Chance>) held_->grow(memory, draft, root_position, chance);
  }

 private:
  struct base {
    base(tree_class made, bool chains) : produces(made), chains_only(chains) {}
    base(const base&) = default;
    base& operator=(const base&) = delete;
    virtual ~base() = default;
    [[nodiscard]] virtual base* clone() const = 0;
    [[nodiscard]] virtual result<void> check() const = 0;
    virtual void start(owning_ptr<erased_work>&, token_draft<Real>&, const draft_limits&) const = 0;
    [[nodiscard]] virtual node_span wanted(const owning_ptr<erased_work>&) const = 0;
    virtual void grow(owning_ptr<erased_work>&, token_draft<Real>&, std::uint64_t, Chance&) const = 0;
    tree_class produces;
    bool chains_only;
  };
  template <class B>
  struct holder final : base {
    using work_type = typename B::template work<Real>;
    explicit holder(B b) : base(produces_of(b), makes_chains_only(b)), builder(std::move(b)) {}
    [[nodiscard]] base* clone() const override { return new holder(*this); }
    [[nodiscard]] result<void> check() const override { return check_of(builder); }
    void start(owning_ptr<erased_work>& memory, token_draft<Real>& draft, const draft_limits& limits) const override {
      builder.start(work_in<work_type>(memory), draft, limits);
    }
    [[nodiscard]] node_span wanted(const owning_ptr<erased_work>& memory) const override {
      return builder.wanted(static_cast<const erased_work_of<work_type>*>(memory.get())->value);
    }
    void grow(owning_ptr<erased_work>& memory, token_draft<Real>& draft, std::uint64_t root_position,
              Chance& chance) const override {
      builder.grow(work_in<work_type>(memory), draft, root_position, chance);
    }
    B builder;
  };

  owning_ptr<base> held_;
};

static_assert(TreeBuilder<any_builder<>>);

}  // namespace decant::inline DECANT_ABI

#endif
