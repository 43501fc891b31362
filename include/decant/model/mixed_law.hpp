// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A mixture of two laws: (1 - share) a / |a| + share b / |b|. With a target law as `a` and another hashed law as `b` it
// is a draft law of controlled quality: its total variation distance from the target is share * TV(a, b), and a chain's
// acceptance rate is 1 minus that.
#ifndef DECANT_MODEL_MIXED_LAW_HPP
#define DECANT_MODEL_MIXED_LAW_HPP

#include <decant/model/law.hpp>

#include <utility>

namespace decant::inline DECANT_ABI {

/// Not for use by two threads at once: a call writes to scratch memory of the object. Copies are independent.
template <TokenLaw A, TokenLaw B>
class mixed_law {
 public:
  using value_type = typename A::value_type;
  static_assert(std::is_same_v<value_type, typename B::value_type>, "mixed_law: both laws must use the same scalar");

  /// `share` in [0, 1] is the part of `b`. Both laws have the same vocabulary.
  mixed_law(A a, B b, value_type share)
      : a_(std::move(a)), b_(std::move(b)), share_(std::move(share)), scratch_(b_.vocab_size(), value_type(0)) {
    DECANT_PRECONDITION(a_.vocab_size() == b_.vocab_size());
    DECANT_PRECONDITION(!(share_ < value_type(0)) && !(value_type(1) < share_));
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return a_.vocab_size(); }
  [[nodiscard]] std::size_t order() const noexcept { return std::max<std::size_t>(a_.order(), b_.order()); }

  /// Both laws' costs and O(V). The weights sum to 1.
  void weights(token_span context, std::span<value_type> out) const {
    a_.weights(context, out);
    b_.weights(context, scratch_);
    using mass = mass_t<value_type>;
    const mass share(share_);
    const mass factor_a = (mass(1) - share) / detail::sum_of<value_type>(out);
    const mass factor_b = share / detail::sum_of<value_type>(scratch_);
    for (std::size_t v = 0; v < out.size(); ++v) {
      out[v] =
          static_cast<value_type>(static_cast<mass>(out[v]) * factor_a + static_cast<mass>(scratch_[v]) * factor_b);
    }
  }

  friend bool operator==(const mixed_law& x, const mixed_law& y) {
    return x.a_ == y.a_ && x.b_ == y.b_ && x.share_ == y.share_;
  }

 private:
  A a_;
  B b_;
  value_type share_;
  mutable std::vector<value_type> scratch_;
};

/// `target` blended with a part of `other`.
template <TokenLaw A, TokenLaw B>
[[nodiscard]] mixed_law<A, B> blend(A target, B other, typename A::value_type share) {
  return {std::move(target), std::move(other), std::move(share)};
}

}  // namespace decant::inline DECANT_ABI

#endif
