// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A chance source that, run after run, takes every combination of outcomes a policy can meet: exact proofs instead of
// samples. It replays a script of decisions and advances it like an odometer.
//
//   enumerating_chance<double> chance;
//   enumerate(chance, [&] { law.add(step(chance), chance.probability()); });
//
// A coin is what a key names: a number in [0, 1) of which each draw reveals an interval. So a key that is used twice
// has the dependent outcomes it has in production (the law over several steps comes out wrong), and it is reported.
// Method: docs/guarantees.md, "proof by enumeration".
#ifndef DECANT_PROOF_ENUMERATOR_HPP
#define DECANT_PROOF_ENUMERATOR_HPP

#include <decant/core/recording_chance.hpp>

#include <bit>
#include <string>

namespace decant::inline DECANT_ABI::proof {

/// A weight of any scalar as the scalar in which probabilities are multiplied.
template <class Prob, class Real>
[[nodiscard]] Prob to_probability(const Real& value) {
  if constexpr (std::is_same_v<Prob, Real>) {
    return value;
  } else {
    return static_cast<Prob>(as_double(value));
  }
}

/// Absolute value for any ordered scalar.
template <class Prob>
[[nodiscard]] Prob magnitude(const Prob& value) {
  return value < Prob(0) ? Prob(0) - value : value;
}

/// Number of draws of one run, by primitive. An ordered sample counts once, whatever its size.
struct draw_counts {
  std::size_t accepts = 0;
  std::size_t picks = 0;
  std::size_t ordered_samples = 0;

  [[nodiscard]] constexpr std::size_t total() const noexcept { return accepts + picks + ordered_samples; }
  friend constexpr bool operator==(const draw_counts&, const draw_counts&) = default;
};

/// What to make of a key that is drawn from a second time within a run.
enum class repeated_keys : std::uint8_t {
  refused,          ///< a failure: two draws shared their noise
  identical_draws,  ///< fine when the very same draw is asked for again, as a loop does that plans a dropped step anew
};

namespace detail {

/// Order-dependent digest of what a run asks for, to notice reruns that ask for something else.
class digest {
 public:
  void add(std::uint64_t word) noexcept { state_ = (std::rotl(state_, 29) ^ word) * 0x9E3779B97F4A7C15u; }
  void add(double value) noexcept { add(std::bit_cast<std::uint64_t>(value)); }
  [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

 private:
  std::uint64_t state_ = 0x243F6A8885A308D3u;
};

[[nodiscard]] inline std::string describe(chance_key key) {
  return std::string(name(key.purpose)) + " draw " + std::to_string(key.index) + " at position " +
         std::to_string(key.position);
}

}  // namespace detail

/// The enumerating chance source. `Prob` is double or an exact ordered field; weights of any scalar are converted.
/// Options of zero weight are skipped and a single option does not branch. Failures are kept as text, never thrown.
/// Not copyable on purpose: a copy would take decisions of its own. Hand it on by reference, or as `chance_handle`.
template <class Prob = double>
class enumerating_chance {
 public:
  explicit enumerating_chance(repeated_keys repeats = repeated_keys::refused) : repeats_(repeats) {}
  enumerating_chance(const enumerating_chance&) = delete;
  enumerating_chance& operator=(const enumerating_chance&) = delete;

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) {
    ++draws_.accepts;
    start_request(key, request::accept);
    const bool never = !(a > Mass(0));
    const bool always = !never && !(a < b);
    const Prob threshold = never ? Prob(0) : always ? Prob(1) : to_probability<Prob>(a) / to_probability<Prob>(b);
    const std::size_t used = coin_of(key);
    offer(used, 1, Prob(0), threshold);
    offer(used, 0, threshold, Prob(1) - threshold);
    return choose(used) == 1;
  }

  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) {
    ++draws_.picks;
    start_request(key, request::pick);
    const Prob mass = checked_mass(law);
    const std::size_t used = coin_of(key, digest_of(law));
    Prob begin(0);
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (!(law.weight(i) > Real(0))) continue;
      const Prob share = to_probability<Prob>(law.weight(i)) / mass;
      offer(used, law.id(i), begin, share);
      begin += share;
    }
    return choose(used);
  }

  /// Enumerated as successive picks from the renormalised remainder, which is the law of the production race.
  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) {
    ++draws_.ordered_samples;
    start_request(key, request::ordered_sample);
    (void)checked_mass(law);
    const std::size_t used = coin_of(key, digest_of(law));
    if (repeated_ && coins_[used].fixed.size() >= out.size()) {
      std::copy_n(coins_[used].fixed.begin(), out.size(), out.begin());
      return out.size();
    }
    remaining_.clear();
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (law.weight(i) > Real(0)) remaining_.push_back({law.id(i), to_probability<Prob>(law.weight(i))});
    }
    const std::size_t count = std::min(out.size(), remaining_.size());
    for (std::size_t i = 0; i < count; ++i) out[i] = take_one_of_the_remaining();
    coins_[used].fixed.assign(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

  /// Starts a run: the first one, or the one that `next_run` prepared.
  void begin_run() {
    position_ = 0;
    probability_ = Prob(1);
    draws_ = {};
    coins_.clear();
  }

  /// Ends a run and prepares the next; false when every combination has been run.
  [[nodiscard]] bool next_run() {
    if (position_ < frames_.size()) fail_for_good("a rerun with the same choices drew less often: hidden state");
    if (broken_) return false;
    while (!frames_.empty()) {
      if (++frames_.back().chosen < frames_.back().count) return true;
      frames_.pop_back();
    }
    return false;
  }

  /// Probability of the outcomes taken so far in this run.
  [[nodiscard]] const Prob& probability() const noexcept { return probability_; }
  /// Draws so far in this run.
  [[nodiscard]] const draw_counts& draws() const noexcept { return draws_; }
  /// The first thing that was wrong, empty when nothing was.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

 private:
  enum class request : std::uint8_t { accept, pick, ordered_sample };

  /// One decision of the script.
  struct frame {
    std::uint32_t chosen;
    std::uint32_t count;
    std::uint64_t asked;  // digest of the options
  };
  /// An outcome and where it lies on the coin.
  struct option {
    std::int32_t outcome;
    Prob begin;
    Prob end;
    Prob probability;
  };
  /// What a run knows about the noise of one key.
  struct coin {
    chance_key key;
    std::uint64_t asked;
    Prob low;
    Prob high;
    bool fresh;
    std::vector<token> fixed;  // ordered samples
  };
  struct weighted {
    token id;
    Prob weight;
  };

  void start_request(chance_key key, request kind) {
    options_.clear();
    asked_ = {};
    asked_.add(key.position);
    asked_.add((static_cast<std::uint64_t>(key.purpose) << 40) | (static_cast<std::uint64_t>(kind) << 32) | key.index);
  }

  template <class Real>
  [[nodiscard]] static std::uint64_t digest_of(distribution_view<Real> law) {
    detail::digest all;
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (!(law.weight(i) > Real(0))) continue;
      all.add(static_cast<std::uint64_t>(law.id(i)));
      all.add(as_double(law.weight(i)));
    }
    return all.value();
  }

  /// Sum of the weights. The source divides by the mass a law carries, so one that carries a wrong mass is reported.
  template <class Real>
  [[nodiscard]] Prob checked_mass(distribution_view<Real> law) {
    Prob sum(0);
    for (std::size_t i = 0; i < law.size(); ++i) {
      if (law.weight(i) > Real(0)) sum += to_probability<Prob>(law.weight(i));
    }
    const double stated = as_double(law.mass());
    const double found = as_double(sum);
    if (!(std::abs(stated - found) <= 1e-9 * std::abs(found))) {
      fail("a law was drawn from whose mass is not the sum of its weights");
    }
    return sum;
  }

  [[nodiscard]] std::size_t coin_of(chance_key key, std::uint64_t arguments = 0) {
    asked_.add(arguments);
    repeated_ = false;
    for (std::size_t i = 0; i < coins_.size(); ++i) {
      if (!(coins_[i].key == key)) continue;
      repeated_ = true;
      const bool identical = coins_[i].asked == asked_.value();
      if (repeats_ == repeated_keys::refused || !identical) fail("noise was used twice: " + detail::describe(key));
      return i;
    }
    coins_.push_back({key, asked_.value(), Prob(0), Prob(1), true, {}});
    return coins_.size() - 1;
  }

  /// Adds an outcome that holds on [begin, begin + share) of the coin, as far as the coin may still lie there.
  void offer(std::size_t used, std::int32_t outcome, const Prob& begin, const Prob& share) {
    if (!(share > Prob(0))) return;
    const coin& noise = coins_[used];
    if (noise.fresh) {
      options_.push_back({outcome, begin, begin + share, share});
      return;
    }
    const Prob low = std::max<Prob>(begin, noise.low);
    const Prob high = std::min<Prob>(begin + share, noise.high);
    if (low < high) options_.push_back({outcome, low, high, (high - low) / (noise.high - noise.low)});
  }

  [[nodiscard]] std::int32_t choose(std::size_t used) {
    const option* taken = decide();
    if (taken == nullptr) return 0;
    coins_[used].low = taken->begin;
    coins_[used].high = taken->end;
    coins_[used].fresh = false;
    return taken->outcome;
  }

  [[nodiscard]] token take_one_of_the_remaining() {
    options_.clear();
    Prob mass(0);
    for (const weighted& w : remaining_) mass += w.weight;
    for (const weighted& w : remaining_) options_.push_back({w.id, Prob(0), Prob(1), w.weight / mass});
    const token id = decide()->outcome;
    std::erase_if(remaining_, [&](const weighted& w) { return w.id == id; });
    return id;
  }

  /// Takes the scripted option, or the first one beyond the end of the script. Null when there is none.
  [[nodiscard]] const option* decide() {
    if (options_.empty()) {
      fail_for_good("a law without mass was drawn from");
      return nullptr;
    }
    if (options_.size() == 1) return &options_.front();
    for (const option& o : options_) {
      asked_.add(static_cast<std::uint64_t>(o.outcome));
      asked_.add(as_double(o.probability));
    }
    if (position_ == frames_.size()) {
      frames_.push_back({0, static_cast<std::uint32_t>(options_.size()), asked_.value()});
    } else if (frames_[position_].asked != asked_.value()) {
      fail_for_good("a rerun with the same choices asked for another draw: hidden state");
      return &options_.front();
    }
    const option& taken = options_[frames_[position_++].chosen];
    probability_ = probability_ * taken.probability;
    return &taken;
  }

  void fail(std::string why) {
    if (failure_.empty()) failure_ = std::move(why);
  }
  /// As `fail`, and the script is no longer worth following.
  void fail_for_good(std::string why) {
    fail(std::move(why));
    broken_ = true;
  }

  repeated_keys repeats_;
  std::vector<frame> frames_;
  std::size_t position_ = 0;
  Prob probability_{1};
  draw_counts draws_;
  std::vector<coin> coins_;
  std::vector<option> options_;
  std::vector<weighted> remaining_;
  detail::digest asked_;
  bool repeated_ = false;
  bool broken_ = false;
  std::string failure_;
};

static_assert(ChanceSource<enumerating_chance<double>>);

/// A copyable stand-in for a chance source kept elsewhere, for objects that hold their source by value.
template <ChanceSource Source>
struct chance_handle {
  Source* source = nullptr;

  template <class Mass>
  [[nodiscard]] bool accept(chance_key key, const Mass& a, const Mass& b) const {
    return source->accept(key, a, b);
  }
  template <class Real>
  [[nodiscard]] token pick(chance_key key, distribution_view<Real> law) const {
    return source->pick(key, law);
  }
  template <class Real>
  [[nodiscard]] std::size_t ordered_sample(chance_key key, distribution_view<Real> law, std::span<token> out) const {
    return source->ordered_sample(key, law, out);
  }
};

/// Calls `run()` once for every combination of outcomes, or `max_runs` times at most; returns how often.
template <class Prob, class Run>
std::size_t enumerate(enumerating_chance<Prob>& chance, Run&& run, std::size_t max_runs = 50'000'000) {
  std::size_t runs = 0;
  do {
    chance.begin_run();
    run();
    ++runs;
  } while (runs < max_runs && chance.next_run());
  return runs;
}

}  // namespace decant::inline DECANT_ABI::proof

#endif
