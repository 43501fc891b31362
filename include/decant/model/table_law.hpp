// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A law given by a table: one row of weights for every context of up to `order` tokens. A context shorter than the
// order has a row of its own (no start symbol is invented for it); of a longer one the last `order` tokens count.
// Memory: (V^(order+1) - 1) / (V - 1) rows of V weights.
#ifndef DECANT_MODEL_TABLE_LAW_HPP
#define DECANT_MODEL_TABLE_LAW_HPP

#include <decant/model/law.hpp>

namespace decant::inline DECANT_ABI {

template <class Real>
class table_law {
 public:
  using value_type = Real;

  /// Every row starts uniform (all weights 1). `vocab_size` is at least 1.
  table_law(std::size_t vocab_size, std::size_t order) : vocab_size_(vocab_size), order_(order) {
    DECANT_PRECONDITION(vocab_size >= 1);
    std::size_t last_row = 0;
    for (std::size_t i = 0; i < order; ++i) last_row = (last_row + 1) * vocab_size;
    weights_.assign((last_row + 1) * vocab_size, Real(1));
  }
  /// A law that looks at nothing: one row.
  explicit table_law(std::span<const Real> row) : vocab_size_(row.size()), order_(0), weights_(row.begin(), row.end()) {
    DECANT_PRECONDITION(!row.empty());
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t order() const noexcept { return order_; }
  /// Number of rows; they are numbered by length of their context, then in lexicographic order.
  [[nodiscard]] std::size_t row_count() const noexcept { return weights_.size() / vocab_size_; }

  /// The row after a context, to be read or written. The context's tokens are below `vocab_size()`.
  [[nodiscard]] std::span<Real> row(token_span context) noexcept { return row(row_number(context)); }
  [[nodiscard]] std::span<const Real> row(token_span context) const noexcept { return row(row_number(context)); }
  /// The row of a number below `row_count()`.
  [[nodiscard]] std::span<Real> row(std::size_t number) noexcept {
    return std::span<Real>(weights_).subspan(number * vocab_size_, vocab_size_);
  }
  [[nodiscard]] std::span<const Real> row(std::size_t number) const noexcept {
    return std::span<const Real>(weights_).subspan(number * vocab_size_, vocab_size_);
  }

  /// O(V + order).
  void weights(token_span context, std::span<Real> out) const {
    const std::span<const Real> known = row(context);
    std::copy(known.begin(), known.end(), out.begin());
  }

  friend bool operator==(const table_law&, const table_law&) = default;

 private:
  /// Bijective base-V numeration of the last tokens: distinct for contexts of every length up to the order.
  [[nodiscard]] std::size_t row_number(token_span context) const noexcept {
    std::size_t number = 0;
    for (const token t : detail::last_tokens(context, order_)) {
      DECANT_PRECONDITION(t >= 0 && index(t) < vocab_size_);
      number = number * vocab_size_ + index(t) + 1;
    }
    return number;
  }

  std::size_t vocab_size_;
  std::size_t order_;
  std::vector<Real> weights_;
};

static_assert(TokenLaw<table_law<float>> && TokenLaw<table_law<double>>);

}  // namespace decant::inline DECANT_ABI

#endif
