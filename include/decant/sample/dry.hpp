// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DRY, "don't repeat yourself". Rule: for a token that followed an earlier occurrence of the last L tokens, L the
// longest such length, logit <- logit - multiplier * base^(L - allowed_length) if L >= allowed_length. Matches do not
// reach back over a breaker, and a breaker of a single token is never charged.
// Parameters: multiplier >= 0, 0 is off; base >= 1, usually 1.75; allowed_length >= 1, usually 2; last_n: length of the
// window in which matches are sought, 0 is off, negative is the whole text; breakers, usually those of a line break, a
// colon, a quotation mark and an asterisk.
// Edge cases: the exponent is capped so that the power stays finite in float. The nearest breaker counts; a longer one
// that began before it is overlooked, as in llama.cpp. Banned tokens stay banned.
// Engine differences: llama.cpp alone has it; its newer versions have a window of 64 where older ones took the whole
// text, and take a negative one for none. It looks every candidate up; here only tokens that end a match are touched.
// Source: p-e-w 2024, text-generation-webui pull request 5677; llama.cpp. No paper.
#ifndef DECANT_SAMPLE_DRY_HPP
#define DECANT_SAMPLE_DRY_HPP

#include <decant/sample/recent_tokens.hpp>
#include <decant/sample/sampler.hpp>

#include <string_view>

namespace decant::inline DECANT_ABI {

/// Token sequences that stop a match from reaching further back. One text has many: every token that contains it, and
/// every token that ends with its beginning followed by the tokens of its rest.
class sequence_breakers {
 public:
  sequence_breakers() = default;
  /// In any order; empty sequences are left out.
  explicit sequence_breakers(std::vector<std::vector<token>> sequences) : sorted_(std::move(sequences)) {
    std::sort(sorted_.begin(), sorted_.end());
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end()), sorted_.end());
    if (!sorted_.empty() && sorted_.front().empty()) sorted_.erase(sorted_.begin());
  }

  /// The sequences of texts. `text_of(token)` is the text of a token as a std::string_view, special tokens included;
  /// `tokenize(std::string_view)` a range of the tokens of a text without special ones. As in llama.cpp texts are cut
  /// to 40 bytes and the rest of a sequence to 20 tokens. O(vocabulary * bytes), once per tokenizer.
  template <class TextOf, class Tokenize>
  [[nodiscard]] static sequence_breakers from_texts(std::span<const std::string_view> texts, std::size_t vocab_size,
                                                    TextOf&& text_of, Tokenize&& tokenize) {
    std::vector<std::vector<token>> sequences;
    for (const std::string_view whole : texts) {
      const std::string_view text = whole.substr(0, longest_text);
      if (text.empty()) continue;
      for (std::size_t id = 0; id < vocab_size; ++id) {
        const auto head = static_cast<token>(id);
        const std::string_view word = text_of(head);
        if (word.find(text) != std::string_view::npos) {
          sequences.push_back({head});
          continue;
        }
        for_each_overlap(word, text, [&](std::string_view rest) {
          std::vector<token> sequence{head};
          for (const token t : tokenize(rest)) {
            if (sequence.size() <= longest_tail) sequence.push_back(t);
          }
          sequences.push_back(std::move(sequence));
        });
      }
    }
    return sequence_breakers(std::move(sequences));
  }

  [[nodiscard]] bool empty() const noexcept { return sorted_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return sorted_.size(); }

  /// The length of the longest sequence that `text` begins with, 0 if there is none. O(log size + those of one head).
  [[nodiscard]] std::size_t longest_at(token_span text) const {
    std::size_t longest = 0;
    for (auto each = first_with(text[0]); each != sorted_.end() && each->front() == text[0]; ++each) {
      const token_span begun = text.first(std::min(text.size(), each->size()));
      if (std::equal(each->begin(), each->end(), begun.begin(), begun.end())) longest = std::max(longest, each->size());
    }
    return longest;
  }
  /// Whether the token alone is one.
  [[nodiscard]] bool contains(token t) const {
    const auto first = first_with(t);
    return first != sorted_.end() && first->size() == 1 && first->front() == t;
  }

  friend bool operator==(const sequence_breakers&, const sequence_breakers&) = default;

 private:
  static constexpr std::size_t longest_text = 40;
  static constexpr std::size_t longest_tail = 20;

  /// Calls `found(rest)` for every beginning of `text` that `word`, which does not contain it, ends with.
  template <class Found>
  static void for_each_overlap(std::string_view word, std::string_view text, Found&& found) {
    for (std::size_t length = std::min(word.size(), text.size() - 1); length > 0; --length) {
      if (word.substr(word.size() - length) == text.substr(0, length)) found(text.substr(length));
    }
  }

  [[nodiscard]] std::vector<std::vector<token>>::const_iterator first_with(token head) const {
    return std::lower_bound(sorted_.begin(), sorted_.end(), head,
                            [](const std::vector<token>& sequence, token wanted) { return sequence[0] < wanted; });
  }

  std::vector<std::vector<token>> sorted_;
};

/// Charges tokens that would go on with a repetition. O(window), O(matches log matches), O(tokens charged) on a dense
/// set.
struct dry {
  float multiplier = 0.0f;
  float base = 1.75f;
  std::int32_t allowed_length = 2;
  std::int32_t last_n = 64;
  sequence_breakers breakers{};

  static constexpr step_traits traits{};
  using state_type = recent_tokens;

  [[nodiscard]] result<void> check() const {
    if (!(multiplier >= 0.0f && std::isfinite(multiplier))) {
      return error{error_code::invalid_argument, "the multiplier of DRY must be finite and not negative"};
    }
    if (!(base >= 1.0f && std::isfinite(base))) {
      return error{error_code::invalid_argument, "the base of DRY must be finite and at least 1"};
    }
    if (allowed_length >= 1) return {};
    return error{error_code::invalid_argument, "the allowed length of DRY must be at least 1"};
  }

  /// Whether the step changes nothing; then no history is kept either.
  [[nodiscard]] constexpr bool off() const noexcept { return last_n == 0 || !(multiplier > 0.0f); }

  [[nodiscard]] recent_tokens initial_state() const { return recent_tokens(off() ? 0 : last_n); }
  void advance(recent_tokens& state, token t) const { state.push(t); }

  template <class Real>
  void apply(candidates<Real>& set, const recent_tokens& state) const {
    const token_span text = state.view();
    const std::size_t limit = farthest_match(text);
    if (off() || limit < shortest()) return;
    std::vector<candidate<Real>>& matches = set.scratch();
    match_lengths(text, matches);
    keep_charged(text, limit, matches);
    token previous = no_token;
    for (const candidate<Real>& match : matches) {
      if (std::exchange(previous, match.id) == match.id || breakers.contains(match.id)) continue;
      const auto charge = static_cast<Real>(charge_for(static_cast<double>(match.logit)));
      set.edit(match.id, [charge](Real& logit) { logit -= charge; });
    }
  }

  /// What a token that goes on with a match of this length is charged.
  [[nodiscard]] double charge_for(double length) const {
    constexpr double log_of_largest_float = 88.7228391;
    const double log_base = std::log(static_cast<double>(base));
    const double cap = base > 1.000001f ? std::floor(log_of_largest_float / log_base) : length;
    const double power = std::exp(log_base * std::min(length - static_cast<double>(shortest()), cap));
    return std::min(static_cast<double>(multiplier) * power, static_cast<double>(std::numeric_limits<float>::max()));
  }

  friend bool operator==(const dry&, const dry&) = default;

 private:
  [[nodiscard]] std::size_t shortest() const noexcept { return index(std::max(allowed_length, 1)); }

  /// How far back from its end a match may reach: to behind the nearest breaker.
  [[nodiscard]] std::size_t farthest_match(token_span text) const {
    if (breakers.empty()) return text.size();
    for (std::size_t back = 1; back <= text.size(); ++back) {
      const std::size_t length = breakers.longest_at(text.last(back));
      if (length > 0) return back - length;
    }
    return text.size();
  }

  /// Entry k becomes the length of the longest common ending of the text and the text without its last k tokens: the
  /// Z function of the text read backwards. O(text).
  template <class Real>
  static void match_lengths(token_span text, std::vector<candidate<Real>>& z) {
    const std::size_t size = text.size();
    if (size > z.capacity()) z.reserve(2 * size);  // a text longer than the vocabulary
    z.assign(size, {0, Real(0)});
    std::size_t begin = 0;  // of the match that reaches farthest, and where it ends
    std::size_t end = 0;
    for (std::size_t k = 1; k < size; ++k) {
      std::size_t length = k < end ? std::min(index(z[k - begin].id), end - k) : 0;
      while (k + length < size && text[size - 1 - length] == text[size - 1 - length - k]) ++length;
      z[k].id = static_cast<token>(length);
      if (k + length > end) {
        begin = k;
        end = k + length;
      }
    }
  }

  /// From match lengths to (token that followed, length of the match) of those that are long enough; ids ascending, the
  /// longest first of each.
  template <class Real>
  void keep_charged(token_span text, std::size_t limit, std::vector<candidate<Real>>& matches) const {
    std::size_t kept = 0;
    for (std::size_t k = 1; k < matches.size(); ++k) {
      const std::size_t length = std::min(index(matches[k].id), limit);
      if (length >= shortest()) matches[kept++] = {text[text.size() - k], static_cast<Real>(length)};
    }
    matches.resize(kept);
    std::sort(matches.begin(), matches.end(), [](const candidate<Real>& a, const candidate<Real>& b) {
      return a.id != b.id ? a.id < b.id : a.logit > b.logit;
    });
  }
};

static_assert(SamplerStep<dry, float> && SamplerStep<dry, double>);

}  // namespace decant::inline DECANT_ABI

#endif
