// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A verifier chosen at run time. Its guarantee and needs travel as values; a pairing that would not compile is refused
// with the same sentence when a sequence begins. Costs one virtual call per step (and a plain function call per visited
// row, whose processing costs a thousand times more).
#ifndef DECANT_VERIFY_ANY_VERIFIER_HPP
#define DECANT_VERIFY_ANY_VERIFIER_HPP

#include <decant/core/owning_ptr.hpp>
#include <decant/core/philox.hpp>
#include <decant/verify/verifier.hpp>

namespace decant::inline DECANT_ABI {

/// The laws of one step behind two function pointers.
template <class Real>
class erased_laws {
 public:
  using value_type = Real;

  template <class Laws>
  explicit erased_laws(Laws& laws)
      : laws_(&laws),
        law_([](void* object, node_id n) { return static_cast<Laws*>(object)->law(n); }),
        status_([](const void* object) { return static_cast<const Laws*>(object)->status(); }) {}

  [[nodiscard]] const distribution<Real>* law(node_id n) { return law_(laws_, n); }
  [[nodiscard]] error_code status() const { return status_(laws_); }

 private:
  void* laws_;
  const distribution<Real>* (*law_)(void*, node_id);
  error_code (*status_)(const void*);
};

/// Any verifier, for one scalar and one kind of chance source. Copies share nothing.
template <class Real = float, class Chance = philox_chance>
class any_verifier {
 public:
  // The least that can be relied on before the object is known.
  static constexpr guarantee promises = guarantee::lossy;
  static constexpr edge_needs needs = edge_needs::nothing;
  static constexpr shape_needs shape = shape_needs::any_tree;
  template <class>
  using work = owning_ptr<erased_work>;

  template <class V>
  requires(!std::is_same_v<V, any_verifier>)
      any_verifier(V verifier)  // NOLINT(google-explicit-constructor): any verifier is one
      : held_(new holder<V>(std::move(verifier))) {
    static_assert(Verifier<V>, "any_verifier: this is not a verifier");
  }
  any_verifier(const any_verifier& other) : held_(other.held_->clone()) {}
  any_verifier(any_verifier&&) noexcept = default;
  any_verifier& operator=(any_verifier other) noexcept {
    held_ = std::move(other.held_);
    return *this;
  }
  ~any_verifier() = default;

  [[nodiscard]] guarantee promise() const noexcept { return held_->facts.promises; }
  [[nodiscard]] edge_needs needs_value() const noexcept { return held_->facts.needs; }
  [[nodiscard]] shape_needs shape_value() const noexcept { return held_->facts.shape; }

  /// What is wrong with the parameters of the verifier it holds.
  [[nodiscard]] result<void> check() const { return held_->check(); }

  template <class DraftReal, class Laws, class Source>
  [[nodiscard]] error_code verify(const token_draft<DraftReal>& draft, Laws& target, Source& chance,
                                  std::uint64_t root_position, owning_ptr<erased_work>& memory, verdict& out) const {
    if constexpr (std::is_same_v<DraftReal, Real> && std::is_same_v<Source, Chance>) {
      erased_laws<Real> laws(target);
      return held_->verify(draft, laws, chance, root_position, memory, out);
    } else {
      // Reached only by concept checks, which ask with types of their own.
      return error_code::unsupported;
    }
  }

 private:
  struct known_facts {
    guarantee promises;
    edge_needs needs;
    shape_needs shape;
  };
  struct base {
    explicit base(known_facts f) : facts(f) {}
    base(const base&) = default;
    base& operator=(const base&) = delete;
    virtual ~base() = default;
    [[nodiscard]] virtual base* clone() const = 0;
    [[nodiscard]] virtual result<void> check() const = 0;
    [[nodiscard]] virtual error_code verify(const token_draft<Real>&, erased_laws<Real>&, Chance&, std::uint64_t,
                                            owning_ptr<erased_work>&, verdict&) const = 0;
    known_facts facts;
  };
  template <class V>
  struct holder final : base {
    explicit holder(V v) : base({V::promises, V::needs, V::shape}), verifier(std::move(v)) {}
    [[nodiscard]] base* clone() const override { return new holder(*this); }
    [[nodiscard]] result<void> check() const override { return check_of(verifier); }
    [[nodiscard]] error_code verify(const token_draft<Real>& draft, erased_laws<Real>& laws, Chance& chance,
                                    std::uint64_t root_position, owning_ptr<erased_work>& memory,
                                    verdict& out) const override {
      return verifier.verify(draft, laws, chance, root_position, work_in<typename V::template work<Real>>(memory), out);
    }
    V verifier;
  };

  owning_ptr<base> held_;
};

static_assert(Verifier<any_verifier<>>);

}  // namespace decant::inline DECANT_ABI

#endif
