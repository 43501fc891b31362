// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows: "the target's logits after node i", asked for lazily, so that a host may hand out a matrix, a callback, or
// device memory copied on demand. Only the nodes a verifier visits are ever asked for.
#ifndef DECANT_CORE_ROWS_HPP
#define DECANT_CORE_ROWS_HPP

#include <decant/core/types.hpp>

#include <concepts>
#include <utility>

namespace decant::inline DECANT_ABI {

/// `rows.row(n)` is the row after node `n`, one value per vocabulary token, valid until the host's next pass. An empty
/// span says that the row cannot be had; the step then fails and nothing changes.
template <class Rows>
concept RowSource = requires(Rows& rows, node_id n) {
  typename Rows::value_type;
  { rows.row(n) } -> std::convertible_to<std::span<const typename Rows::value_type>>;
};

/// Rows in one matrix, node after node, starting `first_row` rows in: how a host hands each of several sequences its
/// part of one pass.
template <class Real>
struct matrix_rows {
  using value_type = Real;

  std::span<const Real> values;
  std::size_t vocab_size = 0;
  std::size_t first_row = 0;

  [[nodiscard]] std::span<const Real> row(node_id n) const noexcept {
    const std::size_t begin = (first_row + index(n)) * vocab_size;
    return begin + vocab_size <= values.size() ? values.subspan(begin, vocab_size) : std::span<const Real>{};
  }
};

/// Rows from a function `fetch(node_id) -> std::span<const Real>`.
template <class Real, class Fetch>
struct callback_rows {
  using value_type = Real;

  Fetch fetch;

  [[nodiscard]] std::span<const Real> row(node_id n) { return fetch(n); }
};

/// Deduces the function's type: `rows_from<float>([&](node_id n) { return logits_of(n); })`.
template <class Real, class Fetch>
[[nodiscard]] callback_rows<Real, Fetch> rows_from(Fetch fetch) {
  return {std::move(fetch)};
}

static_assert(RowSource<matrix_rows<float>>);

}  // namespace decant::inline DECANT_ABI

#endif
