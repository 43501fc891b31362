// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The n-gram law of a token sequence, interpolated over all orders, without back-off and without approximation. With
// c(h) the number of places of the sequence that follow h, c(h v) those that continue with v, and h' = h without its
// first token:
//   p(v | h) = (c(h v) + a p(v | h')) / (c(h) + a),     p(v | nothing) = (c(v) + a / V) / (N + a),
// the predictive rule of a hierarchy of Dirichlet priors of strength a. Every probability is positive when a > 0, and
// it is a rational number when a is.
#ifndef DECANT_MODEL_NGRAM_LAW_HPP
#define DECANT_MODEL_NGRAM_LAW_HPP

#include <decant/model/law.hpp>

#include <utility>

namespace decant::inline DECANT_ABI {

template <class Real>
class ngram_law {
 public:
  using value_type = Real;

  /// `order` is the number of context tokens (2 for trigrams); `smoothing` is a >= 0. The sequence's tokens are below
  /// `vocab_size`; it may be empty: then the law is uniform. O(N log N) comparisons of contexts.
  ngram_law(std::size_t vocab_size, std::size_t order, token_span sequence, Real smoothing)
      : vocab_size_(vocab_size),
        order_(order),
        smoothing_(std::move(smoothing)),
        sequence_(sequence.begin(), sequence.end()),
        places_(sequence.size()) {
    DECANT_PRECONDITION(vocab_size >= 1);
    for (std::size_t i = 0; i < places_.size(); ++i) places_[i] = i;
    std::sort(places_.begin(), places_.end(), [this](std::size_t a, std::size_t b) { return precedes(a, b); });
  }

  [[nodiscard]] std::size_t vocab_size() const noexcept { return vocab_size_; }
  [[nodiscard]] std::size_t order() const noexcept { return order_; }

  /// O(order * V + occurrences of the contexts). The weights sum to 1.
  void weights(token_span context, std::span<Real> out) const {
    for (Real& weight : out) weight = Real(1) / Real(static_cast<int>(vocab_size_));
    const std::size_t longest = std::min(order_, context.size());
    places following{places_};
    mix_in(following, out);
    for (std::size_t length = 1; length <= longest; ++length) {
      following = narrowed(following, length, context[context.size() - length]);
      mix_in(following, out);
    }
  }

 private:
  /// Places of the sequence, sorted by what precedes them, read backwards: the places that follow one context are a
  /// run, and the runs of longer contexts lie inside it.
  using places = std::span<const std::size_t>;

  /// The token `distance` before a place, `no_token` before the sequence begins.
  [[nodiscard]] token before(std::size_t place, std::size_t distance) const noexcept {
    return distance <= place ? sequence_[place - distance] : no_token;
  }

  [[nodiscard]] bool precedes(std::size_t a, std::size_t b) const noexcept {
    for (std::size_t distance = 1; distance <= order_; ++distance) {
      const token x = before(a, distance);
      const token y = before(b, distance);
      if (x != y) return x < y;
    }
    return a < b;
  }

  [[nodiscard]] places narrowed(places run, std::size_t distance, token wanted) const {
    const auto first = std::lower_bound(run.begin(), run.end(), wanted,
                                        [&](std::size_t place, token t) { return before(place, distance) < t; });
    const auto last = std::upper_bound(first, run.end(), wanted,
                                       [&](token t, std::size_t place) { return t < before(place, distance); });
    return {first, last};
  }

  /// out = (counts + a out) / (count + a).
  void mix_in(places run, std::span<Real> out) const {
    if (run.empty()) return;
    const Real total = Real(static_cast<int>(run.size())) + smoothing_;
    for (Real& weight : out) weight = weight * smoothing_;
    for (const std::size_t place : run) out[index(sequence_[place])] += Real(1);
    for (Real& weight : out) weight = weight / total;
  }

  std::size_t vocab_size_;
  std::size_t order_;
  Real smoothing_;
  std::vector<token> sequence_;
  std::vector<std::size_t> places_;
};

static_assert(TokenLaw<ngram_law<float>> && TokenLaw<ngram_law<double>>);

}  // namespace decant::inline DECANT_ABI

#endif
