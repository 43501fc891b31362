// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A Model that does nothing, for the programs of this folder; with or without tree evaluation.
#ifndef DECANT_TESTS_COMPILE_FAIL_ENGINE_HPP
#define DECANT_TESTS_COMPILE_FAIL_ENGINE_HPP

#include <decant/model/model.hpp>

template <bool Trees>
struct engine {
  using rows_type = decant::matrix_rows<float>;
  static constexpr bool evaluates_trees = Trees;
  [[nodiscard]] std::size_t vocab_size() const { return 4; }
  [[nodiscard]] std::size_t context_size() const { return 8; }
  [[nodiscard]] std::size_t length() const { return 0; }
  decant::result<void> prefill(decant::token_span) { return {}; }
  decant::result<rows_type> evaluate(const decant::token_tree&, decant::node_span) { return rows_type{}; }
  decant::result<void> commit(decant::node_span) { return {}; }
  decant::result<void> truncate(std::size_t) { return {}; }
};

#endif
