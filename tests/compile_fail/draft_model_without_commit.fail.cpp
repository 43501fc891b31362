// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: model_drafter: the first parameter must satisfy the Model concept
//
// A draft model lacks one of the operations of a Model.
#include <decant/draft/model_drafter.hpp>
#include <decant/tree/chain.hpp>

using namespace decant;

struct engine {
  using rows_type = matrix_rows<float>;
  [[nodiscard]] std::size_t vocab_size() const { return 4; }
  [[nodiscard]] std::size_t context_size() const { return 8; }
  [[nodiscard]] std::size_t length() const { return 0; }
  result<void> prefill(token_span) { return {}; }
  result<rows_type> evaluate(const token_tree&, node_span) { return rows_type{}; }
  result<void> truncate(std::size_t) { return {}; }
};
using drafter = model_drafter<engine, chain<ranked>>;
static_assert(drafter::chains_only);

int main() {}
