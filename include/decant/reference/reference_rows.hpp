// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows that go into and come out of a reference model.
#ifndef DECANT_REFERENCE_REFERENCE_ROWS_HPP
#define DECANT_REFERENCE_REFERENCE_ROWS_HPP

#include <decant/core/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace decant::inline DECANT_ABI {

/// Logits of the nodes of one evaluation: `vocab_size` floats a node. A view into the model.
class reference_rows {
 public:
  using value_type = float;

  reference_rows() noexcept = default;
  reference_rows(const float* logits, std::size_t stride, std::size_t vocabulary, std::span<const std::int32_t> rows)
      : logits_(logits), stride_(stride), vocabulary_(vocabulary), rows_(rows) {}

  /// The row after node `n`; empty for a node that this evaluation did not list.
  [[nodiscard]] std::span<const float> row(node_id n) const noexcept {
    if (n < 0 || index(n) >= rows_.size() || rows_[index(n)] < 0) return {};
    return {logits_ + index(rows_[index(n)]) * stride_, vocabulary_};
  }

 private:
  const float* logits_ = nullptr;
  std::size_t stride_ = 0;
  std::size_t vocabulary_ = 0;
  std::span<const std::int32_t> rows_;  // row of each node, or -1
};

/// Rows with positions and a mask of their own, where a tree cannot say what a row sees.
struct masked_rows {
  token_span tokens;
  std::span<const std::size_t> positions;  ///< one per row
  /// Row-major bits: bit j of row i says whether row i sees pending row j, counted from the last commit. A row takes
  /// `words_per_row` words, sees itself in any case, and may see no later row.
  std::span<const std::uint64_t> mask;
  std::size_t words_per_row = 0;
};

}  // namespace decant::inline DECANT_ABI

#endif
