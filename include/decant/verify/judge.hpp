// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Judge decoding (arXiv 2501.19309): the target's last hidden state AT a drafted token betrays whether the token was a
// mistake. A linear head on it, f = w h + b, accepts the token when sigmoid(f) > threshold, OR-ed with the standard
// test. h is the residual row of the drafted token itself (not of the token before it), after all layers and before the
// output norm.
// Correction: when both tests have failed, the residual of the standard test, or its most probable token
// [reconstructed]. Tokens that end a text are accepted by the standard test alone unless `ends` says otherwise.
// Guarantee: lossy, no bound. Two limits: a threshold of 1 is the standard test (recursive rejection or greedy, bit for
// bit), a threshold of 0 accepts every draft but end tokens.
// AutoJudge (arXiv 2504.20039) trains the head on important tokens and a standardised [h_draft; h_target]: accept when
// the token is the target's most probable one or P(important) < t. That is the negated head with threshold 1 - t and
// `standard_test::greedy`; `fold_scaler` puts the standardisation into the head once.
// Needs: hidden rows of the drafted nodes; true edge laws when the standard test is rejection. Heads hold for one
// checkpoint in one quantisation. Complexity: one dot product per draw that the standard test refuses.
// Example: h = (1, -2), w = (.5, .25), b = .1: f = .1, sigmoid(f) = .525, accepted at the default threshold.
#ifndef DECANT_VERIFY_JUDGE_HPP
#define DECANT_VERIFY_JUDGE_HPP

#include <decant/verify/predicate_verifier.hpp>

#include <concepts>
#include <tuple>

namespace decant::inline DECANT_ABI {

/// `hidden(node)`: a row that belongs to a drafted node, empty when it cannot be had.
template <class H>
concept HiddenRows = requires(const H& rows, node_id n) {
  { rows.hidden(n) } -> std::convertible_to<std::span<const float>>;
};

/// One level of the residual stream of a model that keeps it (`capture_hidden` first): for a judge the one before the
/// output norm, `model.layer_count()`. Refers to the model.
template <class M>
struct hidden_level {
  const M* model = nullptr;
  std::size_t level = 0;

  [[nodiscard]] std::span<const float> hidden(node_id n) const { return model->hidden(level, n); }

  friend bool operator==(const hidden_level&, const hidden_level&) = default;
};

/// A linear classifier: w h + b.
struct linear_head {
  std::vector<float> weights{};
  double bias = 0;

  /// The same classifier with its two answers exchanged.
  [[nodiscard]] linear_head negated() const {
    linear_head result = *this;
    for (float& w : result.weights) w = -w;
    result.bias = -bias;
    return result;
  }

  friend bool operator==(const linear_head&, const linear_head&) = default;
};

/// The head on raw features of one that was trained on standardised ones, (h - mean) / scale: w' = w / scale,
/// b' = b - sum w mean / scale. Error: `invalid_argument` for unequal sizes or a scale of zero.
[[nodiscard]] inline result<linear_head> fold_scaler(std::span<const double> weights, double bias,
                                                     std::span<const double> mean, std::span<const double> scale) {
  if (mean.size() != weights.size() || scale.size() != weights.size()) {
    return error{error_code::invalid_argument, "fold_scaler: weights, mean and scale differ in size"};
  }
  linear_head folded{{}, bias};
  folded.weights.reserve(weights.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!(std::abs(scale[i]) > 0)) return error{error_code::invalid_argument, "fold_scaler: a scale is zero"};
    folded.weights.push_back(static_cast<float>(weights[i] / scale[i]));
    folded.bias -= weights[i] * mean[i] / scale[i];
  }
  return folded;
}

/// The judge as a predicate. The features are the rows of the sources, one after the other; their sizes must add up to
/// that of the head. The sources are not owned.
template <HiddenRows... Sources>
struct judge_test {
  static_assert(sizeof...(Sources) > 0, "judge_test: a judge looks at some hidden row");
  static constexpr bool law_only = false;
  template <class Real>
  using work = no_work<Real>;

  linear_head head{};
  double threshold = 0.5;  ///< on the sigmoid; in [0, 1]
  std::tuple<const Sources*...> sources{};

  [[nodiscard]] result<void> check() const {
    if (head.weights.empty()) return error{error_code::invalid_argument, "judge_test: the head has no weights"};
    if (!(threshold >= 0 && threshold <= 1)) {
      return error{error_code::invalid_argument, "judge_test: threshold is not in [0, 1]"};
    }
    const bool is_complete = std::apply([](const auto*... s) { return ((s != nullptr) && ...); }, sources);
    if (!is_complete) return error{error_code::invalid_argument, "judge_test: a source of hidden rows is missing"};
    return {};
  }

  /// w h + b at a node; empty when a row cannot be had or the sizes do not fit.
  [[nodiscard]] std::optional<double> score(node_id n) const {
    double sum = head.bias;
    std::size_t used = 0;
    const bool is_complete =
        std::apply([&](const auto*... s) { return (add(s->hidden(n), used, sum) && ...); }, sources);
    if (!is_complete || used != head.weights.size()) return std::nullopt;
    return sum;
  }

  template <class Real>
  [[nodiscard]] auto at(const predicate_site<Real>&, no_work<Real>&) const {
    // sigmoid(f) > t without overflow; infinite at the two limits.
    return [this, limit = std::log(threshold) - std::log1p(-threshold)](token, node_id child) -> std::optional<bool> {
      const std::optional<double> f = score(child);
      if (!f) return std::nullopt;
      return *f > limit;
    };
  }

  friend bool operator==(const judge_test&, const judge_test&) = default;

 private:
  [[nodiscard]] bool add(std::span<const float> row, std::size_t& used, double& sum) const {
    if (row.empty() || used + row.size() > head.weights.size()) return false;
    for (const float h : row) sum += static_cast<double>(head.weights[used++]) * static_cast<double>(h);
    return true;
  }
};

/// Judge decoding with the rejection test (sampling) or the greedy one.
template <standard_test Standard, class... Sources>
using judge = predicate_verifier<judge_test<Sources...>, Standard>;

/// AutoJudge: `important` is the folded head that says how important a mismatch is; mismatches below `limit` pass.
template <class... Sources>
[[nodiscard]] judge<standard_test::greedy, Sources...> auto_judge(const linear_head& important, double limit,
                                                                  const Sources*... sources) {
  return {{important.negated(), 1 - limit, {sources...}}};
}

namespace detail {

struct no_hidden_rows {
  [[nodiscard]] static std::span<const float> hidden(node_id) { return {}; }
};

}  // namespace detail

static_assert(Verifier<judge<standard_test::rejection, detail::no_hidden_rows>>);

}  // namespace decant::inline DECANT_ABI

#endif
