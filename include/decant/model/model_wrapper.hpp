// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Base of models that wrap another one: hands every operation and capability through, so that a wrapper states only
// what it changes.
#ifndef DECANT_MODEL_MODEL_WRAPPER_HPP
#define DECANT_MODEL_MODEL_WRAPPER_HPP

#include <decant/model/model.hpp>

#include <utility>

namespace decant::inline DECANT_ABI {

/// `M` may be a model, or a reference to one that the caller keeps alive.
template <class M>
class model_wrapper {
 public:
  using model_type = std::remove_reference_t<M>;
  static_assert(Model<model_type>, "model_wrapper: the parameter must satisfy the Model concept");
  using rows_type = typename model_type::rows_type;

  static constexpr bool evaluates_trees = TreeModel<model_type>;
  static constexpr bool batch_invariant = BatchInvariantModel<model_type>;
  static constexpr bool general_mask = GeneralMaskModel<model_type>;
  static constexpr rollback_kind rollback = [] {
    if constexpr (requires { model_type::rollback; }) {
      return model_type::rollback;
    } else {
      return rollback_kind::by_reevaluation;
    }
  }();

  explicit model_wrapper(M&& model) : model_(std::forward<M>(model)) {}

  [[nodiscard]] std::size_t vocab_size() const { return model_.vocab_size(); }
  [[nodiscard]] std::size_t context_size() const { return model_.context_size(); }
  [[nodiscard]] std::size_t length() const { return model_.length(); }
  result<void> prefill(token_span tokens) { return model_.prefill(tokens); }
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) { return model_.evaluate(tree, nodes); }
  result<void> commit(node_span path) { return model_.commit(path); }
  result<void> truncate(std::size_t length) { return model_.truncate(length); }

  /// The wrapped model.
  [[nodiscard]] model_type& model() noexcept { return model_; }
  [[nodiscard]] const model_type& model() const noexcept { return model_; }

 private:
  M model_;
};

}  // namespace decant::inline DECANT_ABI

#endif
