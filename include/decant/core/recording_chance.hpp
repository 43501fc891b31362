// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chance sources that write down every draw of a run, and that play such a recording back: to look at the coins of a
// step, to repeat a run without its generator, and to find the first draw in which two runs differ.
#ifndef DECANT_CORE_RECORDING_CHANCE_HPP
#define DECANT_CORE_RECORDING_CHANCE_HPP

#include <decant/core/chance.hpp>

#include <utility>
#include <vector>

namespace decant::inline DECANT_ABI {

/// The primitives of a chance source.
enum class chance_primitive : std::uint8_t { accept, pick, ordered_sample };

[[nodiscard]] constexpr const char* name(chance_primitive primitive) noexcept {
  switch (primitive) {
    case chance_primitive::accept: return "accept";
    case chance_primitive::pick: return "pick";
    case chance_primitive::ordered_sample: return "ordered sample";
  }
  return "unknown";
}

[[nodiscard]] constexpr const char* name(chance_purpose purpose) noexcept {
  switch (purpose) {
    case chance_purpose::sample: return "sample";
    case chance_purpose::accept: return "accept";
    case chance_purpose::draft: return "draft";
    case chance_purpose::other: return "other";
  }
  return "unknown";
}

/// One draw of a recording: what was asked, and where its outcome lies.
struct recorded_draw {
  chance_key key;
  chance_primitive primitive = chance_primitive::accept;
  std::size_t first = 0;  ///< index of the outcome's first token
  std::size_t count = 0;  ///< tokens of the outcome

  friend constexpr bool operator==(const recorded_draw&, const recorded_draw&) = default;
};

/// The draws of a run in order. The outcome of a draw is a list of tokens; that of `accept` is 1 or 0.
struct chance_recording {
  std::vector<recorded_draw> draws;
  std::vector<token> tokens;

  void clear() noexcept {
    draws.clear();
    tokens.clear();
  }
  void add(chance_key key, chance_primitive primitive, token_span outcome) {
    draws.push_back({key, primitive, tokens.size(), outcome.size()});
    tokens.insert(tokens.end(), outcome.begin(), outcome.end());
  }
  [[nodiscard]] token_span outcome(const recorded_draw& draw) const noexcept {
    return token_span(tokens).subspan(draw.first, draw.count);
  }

  friend bool operator==(const chance_recording&, const chance_recording&) = default;
};

/// Draws from `inner` and records every draw. Allocates as the recording grows.
template <class Inner>
struct recording_chance {
  Inner inner{};
  chance_recording recording{};

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) {
    const bool accepted = inner.accept(key, a, b);
    const token outcome = accepted ? 1 : 0;
    recording.add(key, chance_primitive::accept, {&outcome, 1});
    return accepted;
  }

  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) {
    const token picked = inner.pick(key, law);
    recording.add(key, chance_primitive::pick, {&picked, 1});
    return picked;
  }

  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) {
    const std::size_t count = inner.ordered_sample(key, law, out);
    recording.add(key, chance_primitive::ordered_sample, out.first(count));
    return count;
  }
};

/// Plays a recording back, which must outlive it. A draw that the recording does not hold next (another key or
/// primitive), or whose recorded outcome is impossible here (a token without weight, an acceptance of probability 0, a
/// refusal of probability 1, more tokens than asked for), is the first disagreement: `status()` explains it from then
/// on, and every later draw gives some possible outcome, so that the run still ends.
class replaying_chance {
 public:
  explicit replaying_chance(const chance_recording& recording) noexcept : recording_(&recording) {}

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) {
    const bool can_accept = a > Mass(0);
    const bool can_refuse = !can_accept || a < b;
    const token_span outcome = next(key, chance_primitive::accept);
    if (outcome.empty()) return !can_refuse;
    const bool accepted = outcome[0] != 0;
    if (accepted ? can_accept : can_refuse) return accepted;
    disagree(key, " has a recorded outcome of probability 0: accept gave ", outcome[0]);
    return !accepted;
  }

  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) {
    const token_span outcome = next(key, chance_primitive::pick);
    if (!outcome.empty()) {
      if (law.weight_of(outcome[0]) > Real(0)) return outcome[0];
      disagree(key, " has a recorded outcome of probability 0: token ", outcome[0]);
    }
    token first = no_token;
    static_cast<void>(first_tokens(law, {&first, 1}));
    return first;
  }

  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) {
    const token_span outcome = next(key, chance_primitive::ordered_sample);
    if (!status_.has_value()) return first_tokens(law, out);
    for (const token id : outcome) {
      if (law.weight_of(id) > Real(0)) continue;
      disagree(key, " has a recorded outcome of probability 0: token ", id);
      return first_tokens(law, out);
    }
    if (outcome.size() > out.size()) {
      disagree(key, " asks for fewer tokens than were recorded: ", static_cast<std::int64_t>(out.size()));
      return first_tokens(law, out);
    }
    std::copy(outcome.begin(), outcome.end(), out.begin());
    return outcome.size();
  }

  /// The first disagreement, `replay_differs`; no error while every draw was as recorded.
  [[nodiscard]] const result<void>& status() const noexcept { return status_; }
  /// As `status()`, and a complaint when draws of the recording were not asked for: for the end of a run.
  [[nodiscard]] result<void> check_finished() const {
    if (!status_.has_value() || next_ == recording_->draws.size()) return status_;
    return error{error_code::replay_differs, fixed_text<118>("the run ended after draw ")
                                                 .append_number(static_cast<std::int64_t>(next_))
                                                 .append(" of ")
                                                 .append_number(static_cast<std::int64_t>(recording_->draws.size()))};
  }

 private:
  /// The outcome of the next recorded draw; empty once the run and the recording disagree.
  [[nodiscard]] token_span next(chance_key key, chance_primitive primitive) {
    if (!status_.has_value()) return {};
    if (next_ == recording_->draws.size()) {
      disagree(key, " is one more than were recorded: ", static_cast<std::int64_t>(next_));
      return {};
    }
    const recorded_draw& draw = recording_->draws[next_];
    if (draw.key != key || draw.primitive != primitive) {
      disagree_with(draw, key, primitive);
      return {};
    }
    ++next_;
    return recording_->outcome(draw);
  }

  template <class Real>
  [[nodiscard]] static std::size_t first_tokens(distribution_view<Real> law, std::span<token> out) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < law.size() && count < out.size(); ++i) {
      if (law.weight(i) > Real(0)) out[count++] = law.id(i);
    }
    return count;
  }

  /// "sample 7/0": purpose, position and index of a key.
  static void append_key(fixed_text<118>& text, chance_key key) {
    text.append(name(key.purpose)).append(" ").append_number(static_cast<std::int64_t>(key.position));
    text.append("/").append_number(key.index);
  }
  void disagree(chance_key key, const char* words, std::int64_t number) {
    fixed_text<118> text("draw ");
    append_key(text, key);
    status_ = error{error_code::replay_differs, text.append(words).append_number(number)};
  }
  void disagree_with(const recorded_draw& recorded, chance_key key, chance_primitive primitive) {
    fixed_text<118> text("draw number ");
    text.append_number(static_cast<std::int64_t>(next_)).append(" is ").append(name(primitive)).append(" for ");
    append_key(text, key);
    text.append(", recorded was ").append(name(recorded.primitive)).append(" for ");
    append_key(text, recorded.key);
    status_ = error{error_code::replay_differs, text};
  }

  const chance_recording* recording_;
  std::size_t next_ = 0;
  result<void> status_;
};

static_assert(ChanceSource<replaying_chance>);

}  // namespace decant::inline DECANT_ABI

#endif
