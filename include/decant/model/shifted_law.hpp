// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One row, shifted by the sum of the tokens so far: p(v | s) = base[(v + step * sum(s)) mod V], where s is the context
// from its token number `start` on. The smallest law whose every row depends on every token; the golden values of the
// verifiers are computed on the two toys below. Their weights are small integers, hence exact in every scalar.
#ifndef DECANT_MODEL_SHIFTED_LAW_HPP
#define DECANT_MODEL_SHIFTED_LAW_HPP

#include <decant/model/law.hpp>

#include <initializer_list>

namespace decant::inline DECANT_ABI {

template <class Real>
class shifted_law {
 public:
  using value_type = Real;

  /// `start` is the number of leading context tokens (the prompt) that do not count.
  shifted_law(std::initializer_list<int> base, std::int64_t step, std::size_t start) : step_(step), start_(start) {
    DECANT_PRECONDITION(base.size() >= 1);
    base_.reserve(base.size());
    for (const int weight : base) base_.push_back(Real(weight));
  }

  // Toy A: target and draft differ by much, and relu(p - q) has a single token at the root.
  [[nodiscard]] static shifted_law toy_a_target(std::size_t start) { return {{4, 3, 2, 1}, 1, start}; }
  [[nodiscard]] static shifted_law toy_a_draft(std::size_t start) { return {{1, 4, 2, 3}, 2, start}; }
  /// A second drafter for toy A, for trees merged from two models.
  [[nodiscard]] static shifted_law toy_a_second_draft(std::size_t start) { return {{6, 2, 7, 5}, 3, start}; }

  // Toy B: relu(p - q) has two tokens, so that it tells apart mistakes which toy A hides.
  [[nodiscard]] static shifted_law toy_b_target(std::size_t start) { return {{7, 6, 4, 3}, 1, start}; }
  [[nodiscard]] static shifted_law toy_b_draft(std::size_t start) { return {{3, 3, 6, 8}, 2, start}; }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return base_.size(); }
  [[nodiscard]] std::size_t order() const noexcept { return whole_context; }

  /// O(V + context).
  void weights(token_span context, std::span<Real> out) const {
    const auto size = static_cast<std::int64_t>(base_.size());
    std::int64_t shift = 0;
    for (const token t : context.subspan(std::min(start_, context.size()))) shift = (shift + step_ * t) % size;
    if (shift < 0) shift += size;
    for (std::size_t v = 0; v < base_.size(); ++v) out[v] = base_[(v + static_cast<std::size_t>(shift)) % base_.size()];
  }

  friend bool operator==(const shifted_law&, const shifted_law&) = default;

 private:
  std::vector<Real> base_;
  std::int64_t step_;
  std::size_t start_;
};

static_assert(TokenLaw<shifted_law<float>> && TokenLaw<shifted_law<double>>);

}  // namespace decant::inline DECANT_ABI

#endif
