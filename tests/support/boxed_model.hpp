// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Any model of float rows behind one type, so that a test over many models and many policies is compiled once.
#ifndef DECANT_TESTS_SUPPORT_BOXED_MODEL_HPP
#define DECANT_TESTS_SUPPORT_BOXED_MODEL_HPP

#include <decant/model/model.hpp>

#include <memory>
#include <optional>
#include <utility>

namespace decant_test {

class boxed_model {
  struct base {
    virtual ~base() = default;
    [[nodiscard]] virtual std::unique_ptr<base> clone() const = 0;
    [[nodiscard]] virtual std::size_t vocab_size() const = 0;
    [[nodiscard]] virtual std::size_t context_size() const = 0;
    [[nodiscard]] virtual std::size_t length() const = 0;
    virtual decant::result<void> prefill(decant::token_span) = 0;
    virtual decant::result<void> evaluate(const decant::token_tree&, decant::node_span) = 0;
    virtual std::span<const float> row(decant::node_id) = 0;
    virtual decant::result<void> commit(decant::node_span) = 0;
    virtual decant::result<void> truncate(std::size_t) = 0;
  };

 public:
  class rows_type {
   public:
    using value_type = float;
    [[nodiscard]] std::span<const float> row(decant::node_id n) { return held_->row(n); }

   private:
    friend class boxed_model;
    explicit rows_type(base* held) : held_(held) {}
    base* held_;
  };
  static constexpr bool evaluates_trees = true;
  static constexpr bool batch_invariant = true;

  template <class M>
  requires(!std::is_same_v<M, boxed_model>)
      boxed_model(M model)  // NOLINT(google-explicit-constructor): any model is one
      : held_(std::make_unique<holder<M>>(std::move(model))) {}
  boxed_model(const boxed_model& other) : held_(other.held_->clone()) {}
  boxed_model(boxed_model&&) = default;
  boxed_model& operator=(boxed_model other) {
    held_ = std::move(other.held_);
    return *this;
  }
  ~boxed_model() = default;

  [[nodiscard]] std::size_t vocab_size() const { return held_->vocab_size(); }
  [[nodiscard]] std::size_t context_size() const { return held_->context_size(); }
  [[nodiscard]] std::size_t length() const { return held_->length(); }
  decant::result<void> prefill(decant::token_span tokens) { return held_->prefill(tokens); }
  decant::result<rows_type> evaluate(const decant::token_tree& tree, decant::node_span nodes) {
    if (auto done = held_->evaluate(tree, nodes); !done) return done.error();
    return rows_type(held_.get());
  }
  decant::result<void> commit(decant::node_span path) { return held_->commit(path); }
  decant::result<void> truncate(std::size_t length) { return held_->truncate(length); }

 private:
  template <class M>
  struct holder final : base {
    explicit holder(M m) : model(std::move(m)) {}
    [[nodiscard]] std::unique_ptr<base> clone() const override { return std::make_unique<holder>(model); }
    [[nodiscard]] std::size_t vocab_size() const override { return model.vocab_size(); }
    [[nodiscard]] std::size_t context_size() const override { return model.context_size(); }
    [[nodiscard]] std::size_t length() const override { return model.length(); }
    decant::result<void> prefill(decant::token_span tokens) override { return model.prefill(tokens); }
    decant::result<void> evaluate(const decant::token_tree& tree, decant::node_span nodes) override {
      auto evaluated = model.evaluate(tree, nodes);
      if (!evaluated) return evaluated.error();
      rows.emplace(*evaluated);
      return {};
    }
    std::span<const float> row(decant::node_id n) override { return rows->row(n); }
    decant::result<void> commit(decant::node_span path) override { return model.commit(path); }
    decant::result<void> truncate(std::size_t length) override { return model.truncate(length); }
    M model;
    std::optional<typename M::rows_type> rows;
  };

  std::unique_ptr<base> held_;
};

static_assert(decant::TreeModel<boxed_model>);

}  // namespace decant_test

#endif
