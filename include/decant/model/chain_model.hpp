// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model cut down to chains, as engines without a tree mask are: refuses any tree that branches or holds probes.
#ifndef DECANT_MODEL_CHAIN_MODEL_HPP
#define DECANT_MODEL_CHAIN_MODEL_HPP

#include <decant/model/model_wrapper.hpp>

namespace decant::inline DECANT_ABI {

template <class M>
class chain_model : public model_wrapper<M> {
 public:
  using typename model_wrapper<M>::model_type;
  using typename model_wrapper<M>::rows_type;
  static constexpr bool evaluates_trees = false;
  static constexpr bool general_mask = false;

  using model_wrapper<M>::model_wrapper;

  /// `unsupported` for a tree that is no chain; nothing has changed then.
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (!tree.is_chain()) return error{error_code::unsupported, "this model evaluates chains, not branching trees"};
    return model_wrapper<M>::evaluate(tree, nodes);
  }

  /// A fork owns its model, even where this wrapper refers to one.
  [[nodiscard]] result<chain_model<model_type>> fork() requires ForkableModel<model_type> {
    auto copy = this->model().fork();
    if (!copy) return copy.error();
    return chain_model<model_type>(*std::move(copy));
  }
};

template <class M>
chain_model(M&&) -> chain_model<M>;

}  // namespace decant::inline DECANT_ABI

#endif
