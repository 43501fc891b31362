// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A drafter chosen at run time: self-driven or waiting for rows of the host, whatever it holds. What its trees are
// travels as a value; at compile time it vouches for nothing, so a typed coupling verifier refuses it.
#ifndef DECANT_DRAFT_ANY_DRAFTER_HPP
#define DECANT_DRAFT_ANY_DRAFTER_HPP

#include <decant/core/owning_ptr.hpp>
#include <decant/core/philox.hpp>
#include <decant/core/rows.hpp>
#include <decant/draft/drafter.hpp>

namespace decant::inline DECANT_ABI {

/// Rows behind a function pointer.
template <class Real>
class erased_rows {
 public:
  using value_type = Real;

  template <class Rows>
  explicit erased_rows(Rows& rows)
      : rows_(&rows),
        row_([](void* object, node_id n) -> std::span<const Real> { return static_cast<Rows*>(object)->row(n); }) {}

  [[nodiscard]] std::span<const Real> row(node_id n) { return row_(rows_, n); }

 private:
  void* rows_;
  std::span<const Real> (*row_)(void*, node_id);
};

/// Any drafter, for one scalar and one kind of chance source. Move-only, since a drafter follows one sequence.
/// One virtual call per operation.
template <class Real = float, class Chance = philox_chance>
class any_drafter {
 public:
  static constexpr tree_class produces = tree_class::arbitrary;
  static constexpr bool chains_only = false;

  template <class D>
  requires(!std::is_same_v<D, any_drafter>)
      any_drafter(D drafter)  // NOLINT(google-explicit-constructor): any drafter is one
      : held_(new holder<D>(std::move(drafter))) {
    static_assert(Drafter<D, Real>, "any_drafter: this is not a drafter for this scalar");
  }

  [[nodiscard]] tree_class produces_value() const noexcept { return held_->produces; }
  [[nodiscard]] bool chains_only_value() const noexcept { return held_->chains_only; }
  /// The held drafter's complaint about its parameters, if it has any.
  [[nodiscard]] result<void> check() const { return held_->check(); }

  [[nodiscard]] std::size_t length() const { return held_->length(); }
  result<void> extend(token_span tokens) { return held_->extend(tokens); }
  result<void> truncate(std::size_t length) { return held_->truncate(length); }
  [[nodiscard]] node_span wanted() const { return held_->wanted(); }
  void observe(const token_tree& tree, node_span kept) { held_->observe(tree, kept); }

  template <class Source>
  result<void> start(token_draft<Real>& draft, const draft_site& site, Source& chance) {
    return with_chance(chance, [&](Chance& known) { return held_->start(draft, site, known); });
  }
  /// Finishes the draft if the drafter can do so by itself; otherwise leaves it waiting.
  template <class Source>
  result<void> run(token_draft<Real>& draft, Source& chance) {
    return with_chance(chance, [&](Chance& known) { return held_->run(draft, known); });
  }
  /// Error `wrong_call_order` when the drafter takes no rows.
  template <RowSource Rows, class Source>
  result<void> supply(token_draft<Real>& draft, Rows& rows, Source& chance) {
    erased_rows<Real> erased(rows);
    return with_chance(chance, [&](Chance& known) { return held_->supply(draft, erased, known); });
  }

 private:
  /// Concept checks ask with a chance type of their own; everything else uses `Chance`.
  template <class Source, class Call>
  static result<void> with_chance([[maybe_unused]] Source& chance, [[maybe_unused]] const Call& call) {
    if constexpr (std::is_same_v<Source, Chance>) {
      return call(chance);
    } else {
      return error_code::unsupported;
    }
  }

  struct base {
    base(tree_class made, bool chains) : produces(made), chains_only(chains) {}
    base(const base&) = delete;
    base& operator=(const base&) = delete;
    virtual ~base() = default;
    [[nodiscard]] virtual result<void> check() const = 0;
    [[nodiscard]] virtual std::size_t length() const = 0;
    virtual result<void> extend(token_span) = 0;
    virtual result<void> truncate(std::size_t) = 0;
    virtual result<void> start(token_draft<Real>&, const draft_site&, Chance&) = 0;
    virtual result<void> run(token_draft<Real>&, Chance&) = 0;
    virtual result<void> supply(token_draft<Real>&, erased_rows<Real>&, Chance&) = 0;
    [[nodiscard]] virtual node_span wanted() const = 0;
    virtual void observe(const token_tree&, node_span) = 0;
    tree_class produces;
    bool chains_only;
  };
  template <class D>
  struct holder final : base {
    explicit holder(D d) : base(produces_of(d), makes_chains_only(d)), drafter(std::move(d)) {}
    [[nodiscard]] result<void> check() const override { return check_of(drafter); }
    [[nodiscard]] std::size_t length() const override { return drafter.length(); }
    result<void> extend(token_span tokens) override { return drafter.extend(tokens); }
    result<void> truncate(std::size_t length) override { return drafter.truncate(length); }
    result<void> start(token_draft<Real>& draft, const draft_site& site, Chance& chance) override {
      return drafter.start(draft, site, chance);
    }
    result<void> run([[maybe_unused]] token_draft<Real>& draft, [[maybe_unused]] Chance& chance) override {
      if constexpr (SelfDrivenDrafter<D, Real>) {
        return drafter.run(draft, chance);
      } else {
        return {};
      }
    }
    result<void> supply([[maybe_unused]] token_draft<Real>& draft, [[maybe_unused]] erased_rows<Real>& rows,
                        [[maybe_unused]] Chance& chance) override {
      if constexpr (HostDrivenDrafter<D, Real>) {
        return drafter.supply(draft, rows, chance);
      } else {
        return error{error_code::wrong_call_order, "this drafter takes no rows"};
      }
    }
    [[nodiscard]] node_span wanted() const override { return drafter.wanted(); }
    void observe(const token_tree& tree, node_span kept) override { drafter.observe(tree, kept); }
    D drafter;
  };

  owning_ptr<base> held_;
};

static_assert(SelfDrivenDrafter<any_drafter<>> && HostDrivenDrafter<any_drafter<>>);

}  // namespace decant::inline DECANT_ABI

#endif
