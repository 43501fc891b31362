// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Repetition, frequency and presence penalties over a window of the last tokens.
// Rule: for every token that occurs c > 0 times in the window: logit <- logit * r if logit <= 0, else logit / r; then
// logit <- logit - c * frequency - presence.
// Parameters: repetition r > 0 (1 is off, above 1 discourages); frequency and presence any finite number (0 is off,
// negative encourages); last_n: length of the window, 0 is off, negative is the whole sequence; normalize: r acts on
// log-probabilities instead of logits; output_only: tokens of the prompt do not count.
// Edge cases: the sign rule makes r depend on the origin of the logits: adding a constant to a row changes the law,
// unless `normalize` is set. That is how every engine does it. Banned tokens stay banned.
// Engine differences: llama.cpp has one window (64) for all three, prompt included where the caller accepts it;
// Hugging Face has repetition only, over prompt and output, without a window; vLLM has no window either, and counts
// prompt and output for repetition but the output alone for frequency and presence: two of these steps in a row.
// Under speculation the state follows each path of the tree, so a drafted token is penalised by the drafted tokens
// before it (vLLM pull request 19482).
// Sources: Keskar et al. 2019 (CTRL), arXiv 1909.05858; llama.cpp, vLLM.
#ifndef DECANT_SAMPLE_PENALTIES_HPP
#define DECANT_SAMPLE_PENALTIES_HPP

#include <decant/sample/sampler.hpp>

namespace decant::inline DECANT_ABI {

/// The tokens of a sliding window and how often each occurs. Copying hands on the capacity too, so copying onto a used
/// object and then pushing a token allocates nothing unless a long history outgrows all that was seen before.
class token_window {
 public:
  /// How often a token occurs.
  struct token_count {
    token id;
    std::int32_t count;

    friend constexpr bool operator==(const token_count&, const token_count&) = default;
  };

  token_window() = default;
  /// `length` tokens; 0 holds none, a negative length holds the whole sequence.
  explicit token_window(std::int32_t length) : length_(length) {
    const std::size_t room = length < 0 ? reserve_at_most : std::min(index(length), reserve_at_most);
    counts_.reserve(room);
    if (length > 0) ring_.reserve(room);
  }
  token_window(const token_window& other) { *this = other; }
  token_window(token_window&&) noexcept = default;
  token_window& operator=(token_window&&) noexcept = default;
  token_window& operator=(const token_window& other) {
    if (this == &other) return *this;
    copy_with_capacity(other.ring_, ring_);
    copy_with_capacity(other.counts_, counts_);
    length_ = other.length_;
    oldest_ = other.oldest_;
    return *this;
  }
  ~token_window() = default;

  /// Adds a token; the oldest leaves a full window. O(log distinct) and a move of at most `distinct` counts.
  void push(token id) {
    if (length_ == 0) return;
    if (length_ > 0) replace_oldest(id);
    const auto place = find(id);
    if (place != counts_.end() && place->id == id) {
      ++place->count;
    } else {
      counts_.insert(place, {id, 1});
    }
  }

  /// Forgets the text so far; memory stays.
  void clear() noexcept {
    ring_.clear();
    counts_.clear();
    oldest_ = 0;
  }

  /// The distinct tokens of the window, ids ascending.
  [[nodiscard]] std::span<const token_count> counts() const noexcept { return counts_; }

  /// Same tokens in the same order (as far as the future can tell them apart).
  friend bool operator==(const token_window& a, const token_window& b) {
    if (a.length_ != b.length_ || a.counts_ != b.counts_ || a.ring_.size() != b.ring_.size()) return false;
    for (std::size_t i = 0; i < a.ring_.size(); ++i) {
      if (a.from_oldest(i) != b.from_oldest(i)) return false;
    }
    return true;
  }

 private:
  /// Longer histories grow as they fill.
  static constexpr std::size_t reserve_at_most = 1024;

  template <class T>
  static void copy_with_capacity(const std::vector<T>& from, std::vector<T>& to) {
    to.clear();
    to.reserve(from.capacity());
    to.assign(from.begin(), from.end());
  }

  [[nodiscard]] std::vector<token_count>::iterator find(token id) {
    return std::lower_bound(counts_.begin(), counts_.end(), id,
                            [](const token_count& c, token wanted) { return c.id < wanted; });
  }

  void replace_oldest(token id) {
    if (ring_.size() < index(length_)) {
      ring_.push_back(id);
      return;
    }
    const auto place = find(ring_[oldest_]);
    if (--place->count == 0) counts_.erase(place);
    ring_[oldest_] = id;
    oldest_ = oldest_ + 1 == ring_.size() ? 0 : oldest_ + 1;
  }

  [[nodiscard]] token from_oldest(std::size_t i) const noexcept { return ring_[(oldest_ + i) % ring_.size()]; }

  std::vector<token> ring_;  ///< the window's tokens; none when it is unbounded, for nothing ever leaves it
  std::vector<token_count> counts_;
  std::int32_t length_ = 0;
  std::size_t oldest_ = 0;  ///< index of the oldest token in the ring
};

/// Discourages tokens that occur among the last `last_n`. O(distinct tokens in the window) on a dense set; with
/// `normalize` one pass with an exponential per candidate more.
struct penalties {
  float repetition = 1.0f;
  float frequency = 0.0f;
  float presence = 0.0f;
  std::int32_t last_n = 64;
  bool normalize = false;
  bool output_only = false;

  static constexpr step_traits traits{.shift_invariant = false};
  using state_type = token_window;

  [[nodiscard]] result<void> check() const {
    if (!(repetition > 0.0f && std::isfinite(repetition))) {
      return error{error_code::invalid_argument, "the repetition penalty must be positive and finite"};
    }
    if (std::isfinite(frequency) && std::isfinite(presence)) return {};
    return error{error_code::invalid_argument, "the frequency and presence penalties must be finite"};
  }

  /// Whether the penalties change nothing; then no history is kept either.
  [[nodiscard]] constexpr bool off() const noexcept {
    return last_n == 0 || (repetition == 1.0f && frequency == 0.0f && presence == 0.0f);
  }

  [[nodiscard]] token_window initial_state() const { return token_window(off() ? 0 : last_n); }
  void advance(token_window& state, token t) const { state.push(t); }
  void begin_output(token_window& state) const {
    if (output_only) state.clear();
  }

  template <class Real>
  void apply(candidates<Real>& set, const token_window& state) const {
    if (normalize && !state.counts().empty()) make_log_probabilities(set);
    const auto factor = static_cast<Real>(repetition);
    for (const token_window::token_count& seen : state.counts()) {
      const auto charge = static_cast<Real>(seen.count) * static_cast<Real>(frequency) + static_cast<Real>(presence);
      set.edit(seen.id, [&](Real& logit) { logit = (logit <= Real(0) ? logit * factor : logit / factor) - charge; });
    }
  }

  friend constexpr bool operator==(const penalties&, const penalties&) = default;

 private:
  template <class Real>
  static void make_log_probabilities(candidates<Real>& set) {
    const soft_max_sums sums = set.soft_max();
    const auto origin = static_cast<Real>(sums.top + std::log(sums.mass));
    set.map_increasing([origin](Real logit) { return logit - origin; });
  }
};

static_assert(SamplerStep<penalties, float> && SamplerStep<penalties, double>);

}  // namespace decant::inline DECANT_ABI

#endif
