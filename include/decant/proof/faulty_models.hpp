// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Models that fail on purpose, for walks over every place where a decoder can be hit: a call that throws, a call that
// returns an error, a row that is unusable. Each wraps a working model and fails once, at a place chosen by number;
// run with number 0, 1, 2, ... until nothing fails any more (`fired()` is false) and every place has been hit.
#ifndef DECANT_PROOF_FAULTY_MODELS_HPP
#define DECANT_PROOF_FAULTY_MODELS_HPP

#include <decant/model/model_wrapper.hpp>

#include <array>
#include <limits>
#include <vector>

namespace decant::inline DECANT_ABI::proof {

/// `fail_at` of a model that never fails.
inline constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

/// Counts events and fires at one of them.
class fuse {
 public:
  explicit constexpr fuse(std::size_t fail_at = never) noexcept : fail_at_(fail_at) {}

  /// One event; true at the chosen one.
  constexpr bool burns() noexcept { return count_++ == fail_at_; }
  [[nodiscard]] constexpr std::size_t count() const noexcept { return count_; }
  [[nodiscard]] constexpr bool fired() const noexcept { return count_ > fail_at_; }

 private:
  std::size_t fail_at_;
  std::size_t count_ = 0;
};

/// Runs `fault()` (which returns an error or throws) in place of the chosen call of prefill, evaluate or commit;
/// truncate never fails. The wrapped model does not see the call, so its committed tokens stay as they were.
template <class M, class Fault>
class interrupted_model : public model_wrapper<M> {
 public:
  using typename model_wrapper<M>::rows_type;

  explicit interrupted_model(M&& model, std::size_t fail_at = never, Fault fault = {})
      : model_wrapper<M>(std::forward<M>(model)), fuse_(fail_at), fault_(fault) {}

  result<void> prefill(token_span tokens) {
    if (fuse_.burns()) return fault_();
    return model_wrapper<M>::prefill(tokens);
  }
  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    if (fuse_.burns()) return fault_();
    return model_wrapper<M>::evaluate(tree, nodes);
  }
  result<void> commit(node_span path) {
    if (fuse_.burns()) return fault_();
    return model_wrapper<M>::commit(path);
  }

  /// Calls so far that could have failed.
  [[nodiscard]] std::size_t calls() const noexcept { return fuse_.count(); }
  [[nodiscard]] bool fired() const noexcept { return fuse_.fired(); }

 private:
  fuse fuse_;
  Fault fault_;
};

/// The fault of `failing_model`.
struct returned_fault {
  error value{error_code::model_failed, "a failure on purpose"};
  [[nodiscard]] error operator()() const noexcept { return value; }
};

/// `failing_model(model, n)`: call number n returns `model_failed`.
template <class M>
class failing_model : public interrupted_model<M, returned_fault> {
 public:
  using interrupted_model<M, returned_fault>::interrupted_model;
};
template <class M>
failing_model(M&&, std::size_t) -> failing_model<M>;
template <class M>
failing_model(M&&, std::size_t, returned_fault) -> failing_model<M>;

#if DECANT_HAS_EXCEPTIONS()
/// What `throwing_model` throws.
struct injected_failure : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "a failure on purpose"; }
};

/// The fault of `throwing_model`.
struct thrown_fault {
  injected_failure value{};
  [[noreturn]] error operator()() const { throw value; }
};

/// `throwing_model(model, n)`: call number n throws `injected_failure`.
template <class M>
class throwing_model : public interrupted_model<M, thrown_fault> {
 public:
  using interrupted_model<M, thrown_fault>::interrupted_model;
};
template <class M>
throwing_model(M&&, std::size_t) -> throwing_model<M>;
#endif

/// What is wrong with a row.
enum class row_fault : std::uint8_t {
  nan,                 ///< one entry is NaN
  infinity,            ///< one entry is +infinity
  too_short,           ///< the last entry is missing
  missing,             ///< there is no row
  all_minus_infinity,  ///< no token is possible (rows of logits)
  all_zero             ///< no token is possible (rows of weights; for logits it is a sound, uniform row)
};

inline constexpr std::array<row_fault, 5> logits_faults{row_fault::nan, row_fault::infinity, row_fault::too_short,
                                                        row_fault::missing, row_fault::all_minus_infinity};
inline constexpr std::array<row_fault, 5> weights_faults{row_fault::nan, row_fault::infinity, row_fault::too_short,
                                                         row_fault::missing, row_fault::all_zero};

/// The error a decoder must report.
[[nodiscard]] constexpr error_code expected_error(row_fault fault) noexcept {
  switch (fault) {
    case row_fault::nan:
    case row_fault::infinity: return error_code::row_not_finite;
    case row_fault::too_short: return error_code::row_wrong_size;
    case row_fault::missing: return error_code::row_unavailable;
    case row_fault::all_minus_infinity:
    case row_fault::all_zero: return error_code::row_empty;
  }
  return error_code::none;
}

/// Hands out row number n (counted as they are asked for) with a fault. The model itself stays sound.
template <class M>
class corrupt_rows_model : public model_wrapper<M> {
  using base = model_wrapper<M>;
  using inner_rows = typename base::rows_type;

 public:
  using real = typename inner_rows::value_type;
  static_assert(std::is_floating_point_v<real>, "corrupt_rows_model: the faults need a floating-point scalar");

  class rows_type {
   public:
    using value_type = real;
    [[nodiscard]] std::span<const real> row(node_id n) { return owner_->spoil(inner_.row(n)); }

   private:
    friend class corrupt_rows_model;
    rows_type(inner_rows inner, corrupt_rows_model& owner) : inner_(std::move(inner)), owner_(&owner) {}
    inner_rows inner_;
    corrupt_rows_model* owner_;
  };

  explicit corrupt_rows_model(M&& model, std::size_t fail_at = never, row_fault fault = row_fault::nan)
      : base(std::forward<M>(model)), fuse_(fail_at), fault_(fault) {}

  result<rows_type> evaluate(const token_tree& tree, node_span nodes) {
    auto rows = base::evaluate(tree, nodes);
    if (!rows) return rows.error();
    return rows_type(*std::move(rows), *this);
  }

  /// Rows asked for so far.
  [[nodiscard]] std::size_t rows_asked() const noexcept { return fuse_.count(); }
  [[nodiscard]] bool fired() const noexcept { return fuse_.fired(); }

 private:
  [[nodiscard]] std::span<const real> spoil(std::span<const real> row) {
    if (!fuse_.burns()) return row;
    spoilt_.assign(row.begin(), row.end());
    switch (fault_) {
      case row_fault::nan: spoilt_.front() = std::numeric_limits<real>::quiet_NaN(); break;
      case row_fault::infinity: spoilt_.front() = std::numeric_limits<real>::infinity(); break;
      case row_fault::too_short: spoilt_.pop_back(); break;
      case row_fault::missing: spoilt_.clear(); break;
      case row_fault::all_minus_infinity: spoilt_.assign(row.size(), -std::numeric_limits<real>::infinity()); break;
      case row_fault::all_zero: spoilt_.assign(row.size(), real(0)); break;
    }
    return spoilt_;
  }

  fuse fuse_;
  row_fault fault_;
  std::vector<real> spoilt_;
};
template <class M>
corrupt_rows_model(M&&, std::size_t, row_fault) -> corrupt_rows_model<M>;

}  // namespace decant::inline DECANT_ABI::proof

#endif
