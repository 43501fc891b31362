// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: generate: the model's rows and the machine must use the same scalar
//
// Rows and machine share one scalar.
#include <decant/decode/generate.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/verify/match.hpp>

using namespace decant;

struct engine {
  using rows_type = matrix_rows<float>;
  [[nodiscard]] std::size_t vocab_size() const { return 4; }
  [[nodiscard]] std::size_t context_size() const { return 8; }
  [[nodiscard]] std::size_t length() const { return 0; }
  result<void> prefill(token_span) { return {}; }
  result<rows_type> evaluate(const token_tree&, node_span) { return rows_type{}; }
  result<void> commit(node_span) { return {}; }
  result<void> truncate(std::size_t) { return {}; }
};

using machine = speculation<no_drafter, match, given_law, philox_chance, double>;
result<finish_reason> run(engine& target, machine& m) { return resume(target, m); }

int main() {}
