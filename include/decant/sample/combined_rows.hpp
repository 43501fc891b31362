// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rules of two models: at every node a second row (an unconditional prompt's, an amateur's, earlier layers') is
// combined with the target's into the row that the sampler chain then processes. A row source like any other, so the
// rule holds on every node of a tree, under every verifier, and the law that is kept is that of the combined rows.
//
//   combined_row_store<float> store;                                       // once per sequence
//   combined_rows rows(conditional, unconditional, guidance{1.5f}, store); // once per pass
//   machine.absorb(rows);
#ifndef DECANT_SAMPLE_COMBINED_ROWS_HPP
#define DECANT_SAMPLE_COMBINED_ROWS_HPP

#include <decant/core/rows.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// `rule(row, second, out)` writes the combined row, one value per value of `row`; false when it cannot be had, above
/// all when the second row does not fit. NaN it may pass on: the sampler refuses it.
template <class Rule, class Real = float>
concept RowRule = requires(const Rule& rule, std::span<const Real> row, std::span<Real> out) {
  { rule(row, row, out) } -> std::same_as<bool>;
};

/// The combined rows of one pass. Reused from pass to pass: it allocates only when there are more nodes than before.
template <class Real>
class combined_row_store {
 private:
  template <class, class, class>
  friend class combined_rows;

  void clear() noexcept {
    used_ = 0;
    slot_.clear();
  }
  [[nodiscard]] std::span<const Real> find(node_id n) const noexcept {
    if (index(n) >= slot_.size() || slot_[index(n)] == 0) return {};
    return rows_[slot_[index(n)] - 1];
  }
  /// Room for the next row, which becomes that of a node with `keep`.
  [[nodiscard]] std::span<Real> next(std::size_t size) {
    if (used_ == rows_.size()) rows_.emplace_back();
    rows_[used_].resize(size);
    return rows_[used_];
  }
  void keep(node_id n) {
    if (index(n) >= slot_.size()) slot_.resize(index(n) + 1, 0);
    slot_[index(n)] = ++used_;
  }

  std::vector<std::size_t> slot_;  ///< of each node: one more than the place of its row, 0 for none
  std::vector<std::vector<Real>> rows_;
  std::size_t used_ = 0;
};

/// The row source. Rows are valid as long as it is, and until another one is made over the same store. Refers to both
/// sources and the store. A row that either source lacks, or that the rule refuses, cannot be had.
template <class Rows, class SecondRows, class Rule>
class combined_rows {
 public:
  using value_type = typename Rows::value_type;
  static_assert(RowSource<Rows> && RowSource<SecondRows>);
  static_assert(std::is_same_v<value_type, typename SecondRows::value_type>, "both rows use the same scalar");
  static_assert(RowRule<Rule, value_type>, "combined_rows: this is no rule for two rows");

  combined_rows(Rows& rows, SecondRows& second, Rule rule, combined_row_store<value_type>& store)
      : rows_(rows), second_(second), rule_(std::move(rule)), store_(store) {
    store_.clear();
  }

  /// The combined row after node `n`, made when first asked for.
  [[nodiscard]] std::span<const value_type> row(node_id n) {
    const std::span<const value_type> known = store_.find(n);
    if (!known.empty()) return known;
    const std::span<const value_type> row = rows_.row(n);
    const std::span<const value_type> second = row.empty() ? row : second_.row(n);
    if (second.empty()) return {};
    const std::span<value_type> out = store_.next(row.size());
    if (!rule_(row, second, out)) return {};
    store_.keep(n);
    return out;
  }

 private:
  Rows& rows_;
  SecondRows& second_;
  Rule rule_;
  combined_row_store<value_type>& store_;
};

}  // namespace decant::inline DECANT_ABI

#endif
