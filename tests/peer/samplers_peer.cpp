// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Samplers against those of llama.cpp, whose public interface applies them to arrays of candidates: no model takes
// part. Single steps, the preset, chains in random orders and steps that learn admit the same tokens with the same
// probabilities; where they differ, the difference is the one that the headers describe.
#include <decant/reference/tokenizer.hpp>
#include <decant/sample/infill.hpp>
#include <decant/sample/presets.hpp>

#include <llama.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "peer/llama_vocabulary.hpp"
#include "support/random.hpp"
#include "support/run_program.hpp"
#include "support/sampling.hpp"
#include "support/vocabularies.hpp"

namespace {

using decant::candidates;
using decant::index;
using decant::token;
using decant_test::random_source;
using decant_test::support;

using row_type = std::vector<float>;
using laws = std::vector<double>;
using tokens = std::vector<token>;

constexpr float banned = -std::numeric_limits<float>::infinity();
/// Less is nothing: one side computes exponentials in float, the other in double.
constexpr double negligible = 1e-30;

// --- One step in both libraries --------------------------------------------------------------------------------------

using handle = std::shared_ptr<llama_sampler>;

handle owned(llama_sampler* sampler) { return {sampler, &llama_sampler_free}; }

/// A step after a text.
struct twin {
  std::function<void(candidates<float>&)> ours;
  handle theirs;
};
using chain = std::vector<twin>;

template <class Step>
twin both(const Step& ours, llama_sampler* theirs, decant::token_span text = {}) {
  for (const token t : text) llama_sampler_accept(theirs, t);
  if constexpr (decant::StatefulStep<Step>) {
    const auto state = decant_test::state_after(ours, text);
    return {[ours, state](candidates<float>& set) { ours.apply(set, state); }, owned(theirs)};
  } else {
    return {[ours](candidates<float>& set) { ours.apply(set); }, owned(theirs)};
  }
}

laws ours(const chain& steps, const row_type& row) {
  candidates<float> set;
  decant::distribution<float> law;
  REQUIRE(set.view(row) == decant::error_code::none);
  for (const twin& step : steps) step.ours(set);
  REQUIRE(set.write_law(law) == decant::error_code::none);
  return decant_test::dense_probabilities(law.view());
}

/// Whether llama.cpp's array keeps its banned tokens or loses them before every sampler; before typical also tokens
/// whose probability in float would be 0, which do there what banned ones do.
enum class bans { kept, removed };

/// The array that llama.cpp's samplers are applied to.
class peer_array {
 public:
  explicit peer_array(const row_type& row) : vocab_size_(row.size()) {
    for (std::size_t i = 0; i < row.size(); ++i) list_.push_back({static_cast<token>(i), row[i], 0.0f});
    set_ = {list_.data(), list_.size(), -1, false};
  }
  peer_array(const peer_array&) = delete;
  peer_array& operator=(const peer_array&) = delete;

  void apply(const handle& sampler, bans treated) {
    if (treated == bans::removed) {
      const bool is_typical = std::string_view(llama_sampler_name(sampler.get())) == "typical";
      remove_up_to(is_typical ? top() - 80.0f : banned);
    }
    llama_sampler_apply(sampler.get(), &set_);
  }

  [[nodiscard]] std::size_t size() const { return set_.size; }
  /// The token that a sampler has drawn.
  [[nodiscard]] token drawn() const { return set_.data[set_.selected].id; }
  /// Soft-max of the logits.
  [[nodiscard]] laws law() const {
    const auto best = static_cast<double>(top());
    double mass = 0;
    laws law(vocab_size_, 0.0);
    for (std::size_t i = 0; i < set_.size; ++i) {
      mass += law[index(set_.data[i].id)] = std::exp(static_cast<double>(set_.data[i].logit) - best);
    }
    for (double& p : law) p /= mass;
    return law;
  }
  /// What the samplers wrote as probabilities.
  [[nodiscard]] laws written() const {
    laws law(vocab_size_, 0.0);
    for (std::size_t i = 0; i < set_.size; ++i) law[index(set_.data[i].id)] = static_cast<double>(set_.data[i].p);
    return law;
  }

 private:
  [[nodiscard]] float top() const {
    float top = banned;
    for (std::size_t i = 0; i < set_.size; ++i) top = std::max(top, set_.data[i].logit);
    return top;
  }
  void remove_up_to(float logit) {
    llama_token_data* end = std::remove_if(set_.data, set_.data + set_.size,
                                           [logit](const llama_token_data& c) { return c.logit <= logit; });
    set_.size = static_cast<std::size_t>(end - set_.data);
  }

  std::size_t vocab_size_;
  std::vector<llama_token_data> list_;
  llama_token_data_array set_;
};

laws theirs(const chain& steps, const row_type& row, bans treated = bans::kept) {
  peer_array array(row);
  for (const twin& step : steps) array.apply(step.theirs, treated);
  return array.law();
}

// --- Comparing
// ---------------------------------------------------------------------------------------------------------

/// How laws of many cases differ.
struct comparison {
  std::size_t cases = 0;
  std::size_t other_sets = 0;
  double relative = 0;  ///< the largest relative difference of a probability
  double absolute = 0;

  /// Among tied tokens llama.cpp keeps any: then the probabilities are compared without their tokens.
  void add(laws a, laws b, bool tied = false) {
    ++cases;
    if (tied) {
      std::sort(a.begin(), a.end());
      std::sort(b.begin(), b.end());
    }
    if (!same_set(a, b)) {
      ++other_sets;
      return;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double difference = std::abs(a[i] - b[i]);
      absolute = std::max(absolute, difference);
      if (a[i] > negligible) relative = std::max(relative, difference / a[i]);
    }
  }

  /// llama.cpp sums in float, so a border now and then falls on the other side of a token.
  [[nodiscard]] bool sets_agree() const { return other_sets <= cases / 500; }

 private:
  [[nodiscard]] static bool same_set(const laws& a, const laws& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](double x, double y) { return (x > negligible) == (y > negligible); });
  }
};

/// A float of 100 is off by up to 4e-6, and so is the probability of such a logit, relatively: of both libraries.
constexpr double rounded_logits = 1e-5;

void check(const comparison& found, double absolute, double relative = decant_test::infinity) {
  CAPTURE(found.cases, found.other_sets, found.relative, found.absolute);
  CHECK(found.cases > 0);
  CHECK(found.sets_agree());
  CHECK(found.absolute < absolute);
  CHECK(found.relative < relative);
}

// --- Random rows and settings
// ------------------------------------------------------------------------------------------

enum class rows { plain, tied, with_bans };
constexpr rows all_rows[] = {rows::plain, rows::tied, rows::with_bans};

row_type random_row(random_source& random, rows kind, std::size_t size) {
  row_type row = random.logits<float>(size, random.uniform(0.5, 5));
  for (float& logit : row) {
    if (kind == rows::tied) logit = std::round(logit);
    if (kind == rows::with_bans && random.coin(0.3)) logit = banned;
  }
  row[0] = std::max(row[0], -1.0f);
  return row;
}
row_type random_row(random_source& random, rows kind) {
  return random_row(random, kind, random.between(5, random.coin(0.1) ? 2000 : 200));
}

float some(random_source& random, double low, double high) { return static_cast<float>(random.uniform(low, high)); }
std::int32_t some_integer(random_source& random, std::size_t low, std::size_t high) {
  return static_cast<std::int32_t>(random.between(low, high));
}
std::size_t some_minimum(random_source& random) { return random.coin() ? 1 : random.between(1, 6); }

/// A text of few different tokens.
tokens random_text(random_source& random, std::size_t vocab_size, std::size_t longest = 200) {
  tokens letters(random.between(2, 12));
  for (token& t : letters) t = random.token_below(vocab_size);
  tokens text(random.below(longest));
  for (token& t : text) t = letters[random.below(letters.size())];
  return text;
}

twin random_top_k(random_source& random) {
  const std::int32_t k = some_integer(random, 1, 300);
  return both(decant::top_k{k}, llama_sampler_init_top_k(k));
}
twin random_top_p(random_source& random) {
  const float p = some(random, 0.05, 0.999);
  const std::size_t min_keep = some_minimum(random);
  return both(decant::top_p{p, min_keep}, llama_sampler_init_top_p(p, min_keep));
}
twin random_min_p(random_source& random) {
  const float p = some(random, 0.001, 0.5);
  const std::size_t min_keep = some_minimum(random);
  return both(decant::min_p{p, min_keep}, llama_sampler_init_min_p(p, min_keep));
}
twin random_typical(random_source& random) {
  const float p = some(random, 0.05, 0.999);
  const std::size_t min_keep = some_minimum(random);
  return both(decant::typical{p, min_keep, true}, llama_sampler_init_typical(p, min_keep));
}
twin random_top_n_sigma(random_source& random) {
  const float n = some(random, 0.2, 4);
  return both(decant::top_n_sigma{n}, llama_sampler_init_top_n_sigma(n));
}
/// Its coin always fires.
twin random_xtc(random_source& random) {
  const float threshold = some(random, 0.001, 0.6);
  const std::size_t min_keep = some_minimum(random);
  return both(decant::xtc{1.0f, threshold, min_keep}, llama_sampler_init_xtc(1.0f, threshold, min_keep, 1));
}
twin random_temperature(random_source& random) {
  const float value = random.coin(0.1) ? 0.0f : some(random, 0.2, 3);
  return both(decant::temperature{value}, llama_sampler_init_temp(value));
}
/// Not near 0, where it would magnify every rounding of the entropy.
twin random_dynamic_temperature(random_source& random) {
  const float value = some(random, 0.6, 2);
  const float range = some(random, 0, 0.4);
  const float exponent = some(random, 0.3, 3);
  return both(decant::dynamic_temperature{value, range, exponent}, llama_sampler_init_temp_ext(value, range, exponent));
}
twin random_penalties(random_source& random, std::size_t vocab_size) {
  const float repetition = some(random, 0.5, 2);
  const float frequency = some(random, -1, 1);
  const float presence = some(random, -1, 1);
  const std::int32_t last_n = some_integer(random, 0, 100);
  return both(
      decant::penalties{repetition, frequency, presence, last_n},
      llama_sampler_init_penalties(static_cast<std::int32_t>(vocab_size), last_n, repetition, frequency, presence),
      random_text(random, vocab_size));
}
std::vector<decant::biased_token> random_biases(random_source& random, std::size_t vocab_size) {
  std::vector<decant::biased_token> biases;
  token id = 0;
  for (std::size_t i = random.below(5); i > 0; --i) {
    id += static_cast<token>(random.between(1, vocab_size / 5));
    biases.push_back({id, random.coin(0.3) ? banned : some(random, -4, 4)});
  }
  return biases;
}
llama_sampler* peer_bias(const std::vector<decant::biased_token>& biases, std::size_t vocab_size) {
  std::vector<llama_logit_bias> list;
  for (const auto& [id, bias] : biases) list.push_back({id, bias});
  return llama_sampler_init_logit_bias(static_cast<std::int32_t>(vocab_size), static_cast<std::int32_t>(list.size()),
                                       list.data());
}
twin random_logit_bias(random_source& random, std::size_t vocab_size) {
  const auto biases = random_biases(random, vocab_size);
  return both(decant::logit_bias{biases}, peer_bias(biases, vocab_size));
}

using random_step = twin (*)(random_source&);

/// A step on rows of every kind, one of them as long as a vocabulary.
void compare_step(random_step make, bans treated, double absolute, double relative) {
  for (const rows kind : all_rows) {
    CAPTURE(kind);
    random_source random(11);
    comparison found;
    for (int round = 0; round < 600; ++round) {
      const row_type row = round == 99 ? random_row(random, kind, 32'000) : random_row(random, kind);
      const chain steps{make(random)};
      found.add(ours(steps, row), theirs(steps, row, treated), kind == rows::tied);
    }
    check(found, absolute, relative);
  }
}

/// One vocabulary, read by both.
struct vocabulary_twin {
  decant_test::scratch_folder folder;
  std::string path = folder.file("vocabulary");
  decant::tokenizer ours;
  decant_test::llama_vocabulary theirs;

  vocabulary_twin() : ours(write_and_load()), theirs(path) {}

  [[nodiscard]] std::size_t size() const { return theirs.size(); }
  [[nodiscard]] tokens encode(std::string_view text) const {
    return ours.encode(text, decant::sequence_marks::leave_out).value_or_throw();
  }
  [[nodiscard]] decant::sequence_breakers breakers(std::span<const std::string_view> texts) const {
    const auto text_of = [this](token t) -> std::string_view {
      const bool prints = ours.words().kind(t) != decant::token_kind::control;
      return prints ? ours.words().bytes(t) : ours.words().text(t);
    };
    return decant::sequence_breakers::from_texts(texts, size(), text_of, [this](auto text) { return encode(text); });
  }

 private:
  [[nodiscard]] decant::tokenizer write_and_load() const {
    decant_test::byte_level_vocabulary("smollm").writer().write(path.c_str()).value_or_throw();
    return decant::load_tokenizer(decant::gguf_file::open(path.c_str()).value_or_throw()).value_or_throw();
  }
};

/// Texts that end a repetition: single tokens, parts of tokens, several tokens, more than is looked at.
constexpr std::string_view breaking_texts[] = {
    "\n", ":", "\"", "*", "the", "ing th", " th", "hello", "over the lazy dog, and the other dog's owner isn't there"};
constexpr std::string_view repeated_texts[] = {"over the lazy dog, and the other dog's owner", "something the hello"};

llama_sampler* peer_dry(const vocabulary_twin& words, const decant::dry& step,
                        std::span<const std::string_view> texts) {
  std::vector<const char*> names;
  for (const std::string_view text : texts) names.push_back(text.data());
  return llama_sampler_init_dry(words.theirs.words(), step.multiplier, step.base, step.allowed_length, step.last_n,
                                names.data(), names.size());
}

struct dry_case {
  decant::dry step;
  std::vector<std::string_view> texts;
};
dry_case random_dry(random_source& random, const vocabulary_twin& words) {
  std::vector<std::string_view> texts;
  for (const std::string_view text : breaking_texts) {
    if (random.coin(0.3)) texts.push_back(text);
  }
  return {{.multiplier = some(random, 0.1, 2),
           .base = random.coin(0.1) ? 1.0f : some(random, 1, 3),
           .allowed_length = some_integer(random, 1, 4),
           .last_n = some_integer(random, 0, 100),
           .breakers = words.breakers(texts)},
          texts};
}
/// Tokens at random with whole texts between them.
tokens text_with_repetitions(random_source& random, const vocabulary_twin& words) {
  tokens text = random_text(random, words.size());
  for (std::size_t i = random.below(4); i > 0; --i) {
    const tokens inserted = words.encode(repeated_texts[random.below(2)]);
    const auto place = static_cast<std::ptrdiff_t>(random.below(text.size() + 1));
    text.insert(text.begin() + place, inserted.begin(), inserted.end());
  }
  return text;
}
twin random_dry_twin(random_source& random, const vocabulary_twin& words) {
  const dry_case made = random_dry(random, words);
  return both(made.step, peer_dry(words, made.step, made.texts), text_with_repetitions(random, words));
}

}  // namespace

TEST_CASE("peer: truncations keep what llama.cpp's keep") {
  compare_step(random_top_k, bans::kept, 1e-6, 1e-6);
  compare_step(random_top_p, bans::kept, 1e-6, 1e-6);
  compare_step(random_min_p, bans::kept, 1e-6, 1e-6);
  compare_step(random_typical, bans::removed, 1e-6, 1e-6);
  compare_step(random_top_n_sigma, bans::kept, 1e-6, 1e-6);
  compare_step(random_xtc, bans::removed, 1e-6, 1e-6);
}

TEST_CASE("peer: temperatures give the laws of llama.cpp") {
  compare_step(random_temperature, bans::kept, 1e-6, rounded_logits);
  // Its entropy is a sum of floats: off by 1e-7, however small it is.
  compare_step(random_dynamic_temperature, bans::removed, 2e-5, decant_test::infinity);
}

TEST_CASE("peer: penalties and biases give the laws of llama.cpp") {
  for (const rows kind : all_rows) {
    random_source random(12);
    comparison found;
    for (int round = 0; round < 500; ++round) {
      const row_type row = random_row(random, kind);
      const chain penalised{random_penalties(random, row.size())};
      found.add(ours(penalised, row), theirs(penalised, row));
      const chain biased{random_logit_bias(random, row.size())};
      found.add(ours(biased, row), theirs(biased, row));
    }
    CHECK(found.other_sets == 0);
    check(found, 1e-6, rounded_logits);
  }
}

TEST_CASE("peer: DRY charges what llama.cpp charges, with the breakers of texts") {
  const vocabulary_twin words;
  for (const rows kind : all_rows) {
    random_source random(13);
    comparison found;
    std::size_t charged = 0;
    for (int round = 0; round < 400; ++round) {
      const row_type row = random_row(random, kind, words.size());
      const chain steps{random_dry_twin(random, words)};
      const laws law = ours(steps, row);
      charged += law != ours({}, row);
      found.add(law, theirs(steps, row));
    }
    CHECK(charged > 100);
    CHECK(found.other_sets == 0);
    check(found, 1e-6, rounded_logits);
  }
}

TEST_CASE("peer: infill gives the probabilities that llama.cpp writes") {
  const vocabulary_twin words;
  const decant::token_span ends = words.ours.words().end_of_generation();
  const token end = llama_vocab_eot(words.theirs.words());
  random_source random(14);
  comparison found;
  std::size_t ended = 0;
  for (int round = 0; round < 1500; ++round) {
    row_type row = random_row(random, rows::plain, words.size());
    const float high = some(random, 5, 20);
    for (int i = 0; i < 6; ++i) row[random.below(row.size())] = high + some(random, 0, 2);
    for (const std::string_view text : {"t", "th", "the", " t", " th", " the", " there"}) {
      if (random.coin()) row[index(words.encode(text)[0])] = high + some(random, 0, 2);
    }
    if (random.coin(0.3)) row[index(ends[random.below(ends.size())])] = high - some(random, 0, 4);
    const decant::infill step{decant::token_bytes::from(words.ours), {ends.begin(), ends.end()}, end};
    const chain steps{random_top_k(random), random_top_p(random),
                      both(step, llama_sampler_init_infill(words.theirs.words()))};
    peer_array array(row);
    for (const twin& each : steps) array.apply(each.theirs, bans::kept);
    // For an end in place of everything it writes no probability.
    const laws law = ours(steps, row);
    const bool is_end_alone = array.size() == 1 && law[index(end)] == 1;
    ended += is_end_alone;
    found.add(law, is_end_alone ? array.law() : array.written());
  }
  CHECK(ended > 20);
  check(found, 1e-6, 1e-6);
}

namespace {

/// The preset's settings at random; the coin of XTC is tossed only where it always fires.
decant::llama_cpp_settings random_settings(random_source& random, std::size_t vocab_size) {
  const auto on = [&random](auto off, auto chosen) { return random.coin() ? off : chosen; };
  decant::llama_cpp_settings s;
  s.temperature = random.coin(0.05) ? 0.0f : some(random, 0.6, 2);
  s.dynatemp_range = s.temperature > 0 ? on(0.0f, some(random, 0, 0.4)) : 0.0f;
  s.dynatemp_exponent = some(random, 0.5, 2);
  s.top_k = on(0, some_integer(random, 1, 60));
  s.top_p = on(1.0f, some(random, 0.3, 0.99));
  s.min_p = on(0.0f, some(random, 0.01, 0.3));
  s.typ_p = on(1.0f, some(random, 0.2, 0.95));
  s.top_n_sigma = on(-1.0f, some(random, 0.3, 3));
  s.xtc_probability = on(0.0f, 1.0f);
  s.xtc_threshold = some(random, 0.02, 0.6);
  s.min_keep = random.below(4);
  s.penalty_last_n = some_integer(random, 0, 90);
  s.penalty_repeat = on(1.0f, some(random, 0.7, 1.6));
  s.penalty_freq = on(0.0f, some(random, -0.5, 0.5));
  s.penalty_present = on(0.0f, some(random, -0.5, 0.5));
  s.logit_bias = random_biases(random, vocab_size);
  return s;
}

/// The samplers that llama.cpp puts together for these settings, in its order.
std::vector<handle> peer_chain(const decant::llama_cpp_settings& s, const vocabulary_twin& words,
                               std::span<const std::string_view> breaking) {
  const auto vocab_size = static_cast<std::int32_t>(words.size());
  const decant::dry dry{s.dry_multiplier, s.dry_base, s.dry_allowed_length, s.dry_penalty_last_n, {}};
  return {owned(peer_bias(s.logit_bias, words.size())),
          owned(llama_sampler_init_penalties(vocab_size, s.penalty_last_n, s.penalty_repeat, s.penalty_freq,
                                             s.penalty_present)),
          owned(peer_dry(words, dry, breaking)),
          owned(llama_sampler_init_top_n_sigma(s.top_n_sigma)),
          owned(llama_sampler_init_top_k(s.top_k)),
          owned(llama_sampler_init_typical(s.typ_p, s.min_keep)),
          owned(llama_sampler_init_top_p(s.top_p, s.min_keep)),
          owned(llama_sampler_init_min_p(s.min_p, s.min_keep)),
          owned(llama_sampler_init_xtc(s.xtc_probability, s.xtc_threshold, s.min_keep, 1)),
          owned(llama_sampler_init_temp_ext(s.temperature, s.dynatemp_range, s.dynatemp_exponent))};
}

/// Whether a step is on that takes notice of banned tokens in llama.cpp.
bool notices_bans(const decant::llama_cpp_settings& s) {
  return s.typ_p < 1 || s.dynatemp_range > 0 || (s.xtc_probability > 0 && s.min_keep > 1);
}

}  // namespace

TEST_CASE("peer: the preset is llama.cpp's chain") {
  const vocabulary_twin words;
  for (const rows kind : all_rows) {
    CAPTURE(kind);
    random_source random(15);
    comparison with_bans;
    comparison without;
    for (int round = 0; round < 1000; ++round) {
      const row_type row = random_row(random, kind, words.size());
      decant::llama_cpp_settings s = random_settings(random, row.size());
      std::vector<std::string_view> breaking;
      if (random.coin()) {
        const dry_case dry = random_dry(random, words);
        s.dry_multiplier = dry.step.multiplier;
        s.dry_base = dry.step.base;
        s.dry_allowed_length = dry.step.allowed_length;
        s.dry_penalty_last_n = dry.step.last_n;
        s.dry_sequence_breakers = dry.step.breakers;
        breaking = dry.texts;
      }
      const tokens text = text_with_repetitions(random, words);
      const laws found = decant_test::probabilities(decant::llama_cpp_order(s), row, text);
      const auto expected = [&](bans treated) {
        peer_array array(row);
        for (const handle& sampler : peer_chain(s, words, breaking)) {
          for (const token t : text) llama_sampler_accept(sampler.get(), t);
          array.apply(sampler, treated);
        }
        return array.law();
      };
      without.add(found, expected(bans::removed), kind == rows::tied);
      if (!notices_bans(s)) with_bans.add(found, expected(bans::kept), kind == rows::tied);
    }
    check(without, 2e-5);
    check(with_bans, 1e-6, rounded_logits);
  }
}

TEST_CASE("peer: chains in random orders are those of llama.cpp") {
  const vocabulary_twin words;
  for (const rows kind : all_rows) {
    CAPTURE(kind);
    random_source random(16);
    comparison found;
    for (int round = 0; round < 1000; ++round) {
      const row_type row = random_row(random, kind, words.size());
      // A bias is always first in llama.cpp: it takes the array for as sorted as it was. What tells tokens apart comes
      // before anything chooses between tied ones.
      chain first{random_logit_bias(random, row.size())};
      chain others{random_top_k(random),
                   random_top_p(random),
                   random_min_p(random),
                   random_typical(random),
                   random_top_n_sigma(random),
                   random_xtc(random),
                   random.coin() ? random_temperature(random) : random_dynamic_temperature(random)};
      chain& edits = kind == rows::tied ? first : others;
      edits.push_back(random_penalties(random, row.size()));
      edits.push_back(random_dry_twin(random, words));
      chain steps = first;
      for (const std::size_t i : random.permutation(others.size())) {
        if (random.coin()) steps.push_back(others[i]);
      }
      found.add(ours(steps, row), theirs(steps, row, bans::removed), kind == rows::tied);
    }
    check(found, 2e-5);
  }
}

namespace {

/// Lets llama.cpp draw from row after row, our sampler learning of the same tokens, and compares the laws before.
template <class Sampler, class Compare>
void follow(random_source& random, rows kind, std::size_t vocab_size, const Sampler& sampler,
            const std::vector<handle>& peer, Compare&& compare) {
  auto state = sampler.initial_state();
  candidates<float> scratch;
  decant::distribution<float> law;
  for (int step = 0; step < 20; ++step) {
    const row_type row = random_row(random, kind, vocab_size);
    peer_array array(row);
    for (const handle& each : peer) array.apply(each, bans::removed);
    REQUIRE(sampler.law(std::span<const float>(row), state, scratch, law) == decant::error_code::none);
    const laws expected = array.law();
    compare(decant_test::dense_probabilities(law.view()), expected);
    const token drawn = array.drawn();
    for (const handle& each : peer) llama_sampler_accept(each.get(), drawn);
    double seen = sampler.observe(std::span<const float>(row), state, scratch, drawn);
    // Mirostat learns a probability of its law: where the sets differ, of the law that the token was drawn from.
    if (decant_test::near(seen, law.view().probability(drawn), 1e-6)) seen = expected[index(drawn)];
    decant::advance_observed<float>(sampler, state, drawn, seen);
  }
}

}  // namespace

TEST_CASE("peer: mirostat follows llama.cpp's from draw to draw") {
  for (const rows kind : {rows::plain, rows::with_bans}) {
    CAPTURE(kind);
    random_source random(17);
    comparison first;
    comparison second;
    std::size_t overflows = 0;
    for (int round = 0; round < 60; ++round) {
      const std::size_t size = random.between(5, 500);
      decant::llama_cpp_settings s;
      s.temperature = some(random, 0.6, 2);
      s.mirostat_tau = some(random, 1, 7);
      s.mirostat_eta = some(random, 0, 0.5);
      s.logit_bias = random_biases(random, size);
      const auto peer = [&](llama_sampler* mirostat) {
        return std::vector<handle>{owned(peer_bias(s.logit_bias, size)),
                                   owned(llama_sampler_init_temp_ext(s.temperature, 0, 1)), owned(mirostat)};
      };
      const auto vocab_size = static_cast<std::int32_t>(size);
      follow(random, kind, size, decant::llama_cpp_mirostat_1(s),
             peer(llama_sampler_init_mirostat(vocab_size, 1, s.mirostat_tau, s.mirostat_eta, 100)),
             [&](const laws& found, const laws& expected) {
               // A size beyond its integers becomes 1 there.
               const bool is_overflow = support(expected).size() == 1 && support(found).size() > 1;
               overflows += is_overflow;
               if (!is_overflow) first.add(found, expected);
             });
      follow(random, kind, size, decant::llama_cpp_mirostat_2(s),
             peer(llama_sampler_init_mirostat_v2(1, s.mirostat_tau, s.mirostat_eta)),
             [&](const laws& found, const laws& expected) { second.add(found, expected); });
    }
    CAPTURE(overflows);
    CHECK(overflows < first.cases / 10);
    check(first, 1e-6, rounded_logits);
    check(second, 1e-6, rounded_logits);
  }
}

TEST_CASE("peer: adaptive-p follows llama.cpp's from draw to draw") {
  for (const rows kind : all_rows) {
    CAPTURE(kind);
    random_source random(18);
    comparison found;
    for (int round = 0; round < 60; ++round) {
      const std::size_t size = random.between(5, 500);
      decant::llama_cpp_settings s;
      s.temperature = some(random, 0.6, 2);
      s.top_k = 0;
      s.top_p = 1;
      s.min_p = some(random, 0, 0.1);
      s.penalty_last_n = 0;
      s.adaptive_target = some(random, 0, 1);
      s.adaptive_decay = some(random, 0, 0.99);
      const std::vector<handle> peer{owned(llama_sampler_init_min_p(s.min_p, 1)),
                                     owned(llama_sampler_init_temp_ext(s.temperature, 0, 1)),
                                     owned(llama_sampler_init_adaptive_p(s.adaptive_target, s.adaptive_decay, 1))};
      follow(random, kind, size, decant::llama_cpp_order(s), peer,
             [&](const laws& law, const laws& expected) { found.add(law, expected); });
    }
    check(found, 1e-5, 2e-4);
  }
}

// --- What differs, and exactly how
// -------------------------------------------------------------------------------------

TEST_CASE("peer: a probability of 0 turns llama.cpp's typical into the prefix of more than p, as typical.hpp says") {
  random_source random(19);
  for (int round = 0; round < 100; ++round) {
    row_type row = random_row(random, rows::plain, random.between(5, 16));  // so short that its sort is stable
    row.back() = random.coin() ? banned : -200.0f;
    const float p = some(random, 0.1, 0.9);
    const laws expected = theirs({both(decant::typical{}, llama_sampler_init_typical(p, 1))}, row);
    const laws more_than_p = ours({both(decant::top_p{std::nextafter(p, 1.0f)}, llama_sampler_init_greedy())}, row);
    CHECK(support(expected) == support(more_than_p));
  }
}

TEST_CASE("peer: llama.cpp counts banned tokens in dynamic temperature and XTC, as their headers say") {
  const row_type row{2, 1, 0, banned, banned, banned, banned, banned};
  const laws plain = ours({}, row);
  double entropy = 0;
  for (const double p : plain) entropy -= p > 0 ? p * std::log(p) : 0;
  const auto heated = [&](double count) {
    const auto heat = static_cast<float>(0.5 + entropy / std::log(count));
    return ours({both(decant::temperature{heat}, llama_sampler_init_greedy())}, row);
  };
  const chain dynamic{both(decant::dynamic_temperature{1.0f, 0.5f}, llama_sampler_init_temp_ext(1.0f, 0.5f, 1.0f))};
  CHECK(decant_test::largest_difference(ours(dynamic, row), heated(3)) < 1e-6);
  CHECK(decant_test::largest_difference(theirs(dynamic, row), heated(8)) < 1e-6);

  const chain excluding{both(decant::xtc{1.0f, 0.2f, 3}, llama_sampler_init_xtc(1.0f, 0.2f, 3, 1))};
  CHECK(support(ours(excluding, row)) == tokens{0, 1, 2});
  CHECK(support(theirs(excluding, row)) == tokens{1, 2});
}

TEST_CASE("peer: llama.cpp samples at a dynamic temperature around 0, which is greedy here") {
  const row_type row{2, 1, 0};
  const chain steps{both(decant::dynamic_temperature{0.0f, 1.0f}, llama_sampler_init_temp_ext(0.0f, 1.0f, 1.0f))};
  CHECK(support(ours(steps, row)) == tokens{0});
  CHECK(support(theirs(steps, row)) == tokens{0, 1, 2});
}

TEST_CASE("peer: llama.cpp's top-n-sigma bans where ours removes, with the same deviation") {
  const row_type row{2, 1, 0, -1, banned};
  const chain steps{both(decant::top_n_sigma{1.0f}, llama_sampler_init_top_n_sigma(1.0f))};
  peer_array array(row);
  array.apply(steps[0].theirs, bans::kept);
  CHECK(array.size() == row.size());
  CHECK(support(array.law()) == support(ours(steps, row)));
}

TEST_CASE("peer: a window of DRY below 0 is off in llama.cpp and the whole text here, as dry.hpp says") {
  const vocabulary_twin words;
  const tokens text{5, 6, 7, 8, 5, 6, 7};
  const row_type row(words.size(), 0.0f);
  const auto with_window = [&](std::int32_t last_n) {
    const decant::dry step{.multiplier = 1, .last_n = last_n};
    return chain{both(step, peer_dry(words, step, {}), text)};
  };
  CHECK(theirs(with_window(-1), row) == theirs({}, row));
  CHECK(ours(with_window(-1), row) == ours(with_window(100), row));
  CHECK(ours(with_window(-1), row) != ours({}, row));
}

TEST_CASE("peer: llama.cpp's infill draws by the logits before the merge, as infill.hpp says") {
  const vocabulary_twin words;
  const token th = words.encode(" th")[0];
  const token the = words.encode(" the")[0];
  REQUIRE(words.ours.words().bytes(the) == " the");
  const token x = words.encode("x")[0];
  row_type row(words.size(), banned);
  row[index(th)] = 1.0f;
  row[index(the)] = 2.0f;
  row[index(x)] = 2.5f;
  peer_array array(row);
  array.apply(owned(llama_sampler_init_top_k(3)), bans::kept);
  array.apply(owned(llama_sampler_init_infill(words.theirs.words())), bans::kept);
  const laws plain = ours({}, row);
  const double kept = plain[index(the)] + plain[index(x)];
  CHECK(decant_test::near(array.law()[index(the)], plain[index(the)] / kept, 1e-6));
  CHECK(decant_test::near(array.written()[index(the)], plain[index(the)] + plain[index(th)], 1e-6));
}

TEST_CASE("peer: llama.cpp's mirostat keeps one token where its size is no integer or not finite") {
  const decant::mirostat_v1 step{.tau = 12};
  const auto peer = [&](std::size_t size) {
    return both(step, llama_sampler_init_mirostat(static_cast<std::int32_t>(size), 1, step.tau, step.eta, 100));
  };
  const row_type flat{1.0f, 0.9f, 0.8f, 0.7f};
  CHECK(support(ours({peer(4)}, flat)).size() == 4);
  CHECK(support(theirs({peer(4)}, flat)).size() == 1);
  const row_type with_ban{3.0f, 2.0f, 1.0f, 0.0f, banned};
  CHECK(support(ours({peer(5)}, with_ban)).size() == 4);
  CHECK(support(theirs({peer(5)}, with_ban)).size() == 1);
}
