// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A target without tree evaluation cannot verify trees.
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

struct engine {
  using rows_type = matrix_rows<float>;
  static constexpr bool evaluates_trees = false;
  [[nodiscard]] std::size_t vocab_size() const { return 4; }
  [[nodiscard]] std::size_t context_size() const { return 8; }
  [[nodiscard]] std::size_t length() const { return 0; }
  result<void> prefill(token_span) { return {}; }
  result<rows_type> evaluate(const token_tree&, node_span) { return rows_type{}; }
  result<void> commit(node_span) { return {}; }
  result<void> truncate(std::size_t) { return {}; }
};
struct tree_engine : engine {
  static constexpr bool evaluates_trees = true;
};

using machine = speculation<model_drafter<tree_engine, static_widths<ranked>>, match>;
result<finish_reason> run(tree_engine& target, machine& m) { return resume(target, m); }

int main() {}
