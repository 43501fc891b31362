// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rows that are written when they are first asked for, for models whose rows cost more than the pass itself. Memory is
// one buffer per pending slot, reused from pass to pass.
#ifndef DECANT_MODEL_LAZY_ROWS_HPP
#define DECANT_MODEL_LAZY_ROWS_HPP

#include <decant/core/rows.hpp>

#include <vector>

namespace decant::inline DECANT_ABI {

/// The buffers. A pass has a number; every call on the model ends it, so that an old row is known as old.
template <class Real>
class lazy_rows {
 public:
  /// A new pass that offers the rows of slots from `first_slot` on.
  void begin_pass(std::size_t first_slot) noexcept {
    first_slot_ = first_slot;
    ++pass_;
  }
  /// No pass is current any more.
  void end_pass() noexcept { ++pass_; }
  [[nodiscard]] std::size_t pass() const noexcept { return pass_; }
  /// Number of rows written so far.
  [[nodiscard]] std::size_t written() const noexcept { return written_; }

  /// The row of a slot in a pass, written by `write(std::span<Real>)` if it is new; empty when the pass is over or did
  /// not hold the slot. Valid until the pass ends.
  template <class Write>
  [[nodiscard]] std::span<const Real> row(std::size_t slot, std::size_t pass, std::size_t vocab_size, Write&& write) {
    if (pass != pass_ || slot < first_slot_) return {};
    if (buffers_.size() <= slot) buffers_.resize(slot + 1);
    buffer& found = buffers_[slot];
    if (found.pass == pass_) return found.values;
    found.values.resize(vocab_size);
    write(std::span<Real>(found.values));
    found.pass = pass_;
    ++written_;
    return found.values;
  }

 private:
  struct buffer {
    std::vector<Real> values;
    std::size_t pass = 0;  // the pass whose row it holds
  };

  std::vector<buffer> buffers_;
  std::size_t first_slot_ = 0;
  std::size_t pass_ = 1;
  std::size_t written_ = 0;
};

/// The row source of one pass of a model `M` that has `row_after(node, pass)`.
template <class M, class Real>
class pass_rows {
 public:
  using value_type = Real;

  pass_rows(M& model, std::size_t pass) noexcept : model_(&model), pass_(pass) {}
  [[nodiscard]] std::span<const Real> row(node_id n) { return model_->row_after(n, pass_); }

 private:
  M* model_;
  std::size_t pass_;
};

}  // namespace decant::inline DECANT_ABI

#endif
