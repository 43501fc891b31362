// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Infill, for filling in the middle of a text; after top-k or top-p. Rule, with n candidates, of which the ends have
// probability E together and the others, the texts, T: when 3 E n > T only the ends stay. Otherwise a text that is the
// beginning of another is merged with it into the likelier of the two; texts below 0.2 go; when none is left the law is
// `end` alone; else probabilities are made to sum to 1 and texts below 1 / (number of texts + 1) go.
// Parameters: bytes, the text of a token; ends, the tokens that end a generation; end, the one that is emitted when no
// text is left (end of turn, or end of sequence).
// Edge cases: tokens without bytes are never merged. At least one candidate stays; `end` is emitted in place of the
// texts even where it had been banned.
// Engine differences: only llama.cpp has it. There the merged probability decides who stays, but the draw goes back to
// the logits before the merge; here the law is the merged one. Its buffer for long texts grew by a negative length.
// Source: llama.cpp (llama_sampler_infill); no paper.
#ifndef DECANT_SAMPLE_INFILL_HPP
#define DECANT_SAMPLE_INFILL_HPP

#include <decant/core/token_bytes.hpp>
#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// Merges texts with a common beginning and ends early. O(candidates^2) comparisons of texts: for sets that a
/// truncation has made small.
struct infill {
  token_bytes bytes{};
  std::vector<token> ends{};
  token end = no_token;

  static constexpr step_traits traits{};

  [[nodiscard]] result<void> check() const {
    if (!bytes) return error{error_code::invalid_argument, "infill needs the bytes of tokens"};
    if (end >= 0 && std::find(ends.begin(), ends.end(), end) != ends.end()) return {};
    return error{error_code::invalid_argument, "the end of infill must be one of its ends"};
  }

  template <class Real>
  void apply(candidates<Real>& set) const {
    const soft_max_sums sums = set.soft_max();
    if (set.ranked().empty()) return;
    std::vector<candidate<Real>>& ranked = set.scratch();  // its logits become probabilities
    double text = 0;
    double over = 0;
    for (candidate<Real>& c : ranked) {
      const double p = sums.probability(static_cast<double>(c.logit));
      c.logit = static_cast<Real>(p);
      (is_end(c.id) ? over : text) += p;
    }
    if (3 * over * static_cast<double>(ranked.size()) > text) {
      drop_texts_below(std::numeric_limits<Real>::infinity(), ranked);
    } else {
      merge(ranked);
      drop_texts_below(Real(0.2), ranked);
      const auto texts = std::count_if(ranked.begin(), ranked.end(), [&](const auto& c) { return !is_end(c.id); });
      if (texts == 0) ranked.assign(1, {end, Real(1)});
      Real mass = 0;
      for (const candidate<Real>& c : ranked) mass += c.logit;
      drop_texts_below(mass / static_cast<Real>(texts + 1), ranked);
    }
    for (candidate<Real>& c : ranked) c.logit = std::log(c.logit);
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    set.survivors().assign(ranked.begin(), ranked.end());
  }

  friend bool operator==(const infill&, const infill&) = default;

 private:
  [[nodiscard]] bool is_end(token id) const { return std::find(ends.begin(), ends.end(), id) != ends.end(); }

  template <class Real>
  void drop_texts_below(Real least, std::vector<candidate<Real>>& ranked) const {
    ranked.erase(std::remove_if(ranked.begin(), ranked.end(),
                                [&](const candidate<Real>& c) { return !is_end(c.id) && c.logit < least; }),
                 ranked.end());
  }

  [[nodiscard]] bool begins(token id, token other) const {
    const std::span<const char> text = bytes(id);
    const std::span<const char> longer = bytes(other);
    return !text.empty() && text.size() <= longer.size() && std::equal(text.begin(), text.end(), longer.begin());
  }

  /// Gives the probability of every merged text to the other; its own becomes 0.
  template <class Real>
  void merge(std::vector<candidate<Real>>& ranked) const {
    for (candidate<Real>& a : ranked) {
      for (candidate<Real>& b : ranked) {
        if (!(a.logit > 0)) break;
        if (&a == &b || !(b.logit > 0) || is_end(a.id) || is_end(b.id) || !begins(a.id, b.id)) continue;
        candidate<Real>& stays = b.logit > a.logit ? b : a;
        candidate<Real>& goes = &stays == &a ? b : a;
        stays.logit += std::exchange(goes.logit, Real(0));
      }
    }
  }
};

static_assert(SamplerStep<infill, float> && SamplerStep<infill, double>);

}  // namespace decant::inline DECANT_ABI

#endif
