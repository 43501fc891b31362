// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/penalties.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <map>

namespace {

using decant::index;
using decant::make_sampler;
using decant::penalties;
using decant::token;
using decant::token_window;
using decant_test::probabilities;
using decant_test::random_source;

using tokens = std::vector<token>;

/// How often each token occurs among the last `length`, counted anew; a negative length counts all.
std::map<token, int> slow_counts(const tokens& history, std::int32_t length) {
  std::map<token, int> counts;
  const std::size_t window = length < 0 ? history.size() : std::min(history.size(), index(length));
  for (std::size_t i = history.size() - window; i < history.size(); ++i) ++counts[history[i]];
  return counts;
}

std::map<token, int> counts_of(const token_window& window) {
  std::map<token, int> counts;
  for (const auto& c : window.counts()) counts[c.id] = c.count;
  return counts;
}

/// The row after the penalties, by the text-book formula.
template <class Real>
std::vector<Real> slow_penalised(std::vector<Real> row, const penalties& rule, const tokens& history) {
  for (const auto& [id, count] : slow_counts(history, rule.last_n)) {
    Real& logit = row[index(id)];
    logit = logit <= 0 ? logit * Real(rule.repetition) : logit / Real(rule.repetition);
    logit -= Real(count) * Real(rule.frequency) + Real(rule.presence);
  }
  return row;
}

tokens random_tokens(random_source& random, std::size_t count, std::size_t vocab_size) {
  tokens out(count);
  for (token& id : out) id = random.token_below(vocab_size);
  return out;
}

token_window window_over(const tokens& history, std::int32_t length) {
  token_window window(length);
  for (const token id : history) window.push(id);
  return window;
}

}  // namespace

TEST_CASE("a window counts the last tokens") {
  random_source random(71);
  for (const std::int32_t length : {-1, 0, 1, 2, 7, 64}) {
    token_window window(length);
    tokens history;
    for (int step = 0; step < 300; ++step) {
      history.push_back(random.token_below(12));
      window.push(history.back());
      CHECK(counts_of(window) == slow_counts(history, length));
    }
  }
}

TEST_CASE("windows are equal when no future can tell them apart") {
  CHECK(window_over({1, 2, 3, 4}, 2) == window_over({9, 3, 4}, 2));
  CHECK_FALSE(window_over({3, 4}, 2) == window_over({4, 3}, 2));
  CHECK_FALSE(window_over({3, 4}, 2) == window_over({3, 4}, 3));
  CHECK(window_over({3, 4}, -1) == window_over({4, 3}, -1));
  CHECK_FALSE(window_over({3}, -1) == window_over({3, 3}, -1));
}

TEST_CASE("copies of a window live their own lives, whatever they held before") {
  random_source random(72);
  token_window used(5);
  for (int round = 0; round < 200; ++round) {
    const auto length = static_cast<std::int32_t>(random.below(9)) - 1;
    tokens history = random_tokens(random, random.below(20), 6);
    const token_window original = window_over(history, length);
    used = original;
    CHECK(used == original);
    const tokens more = random_tokens(random, random.below(10), 6);
    for (const token id : more) used.push(id);
    CHECK(counts_of(original) == slow_counts(history, length));
    history.insert(history.end(), more.begin(), more.end());
    CHECK(used == window_over(history, length));
  }
}

TEMPLATE_TEST_CASE("penalties follow the formula", "", float, double) {
  random_source random(73);
  for (int round = 0; round < 200; ++round) {
    const auto row = random.logits<TestType>(random.between(1, 150));
    const penalties rule{static_cast<float>(random.uniform(0.5, 2)), static_cast<float>(random.uniform(-0.5, 0.5)),
                         static_cast<float>(random.uniform(-0.5, 0.5)),
                         static_cast<std::int32_t>(random.below(40)) - 1};
    const tokens history = random_tokens(random, random.below(80), row.size());
    const auto expected = probabilities(make_sampler(), slow_penalised(row, rule, history));
    CHECK(decant_test::largest_difference(probabilities(make_sampler(rule), row, history), expected) < 1e-6);
  }
}

TEMPLATE_TEST_CASE("penalties act on survivors of a truncation too", "", float, double) {
  random_source random(74);
  const auto row = random.logits<TestType>(100);
  const penalties rule{1.3f, 0.1f, 0.2f, 16};
  const tokens history = random_tokens(random, 30, 100);
  const auto law = probabilities(make_sampler(decant::top_k{20}, rule), row, history);
  decant_test::slow_candidates slow(row);
  slow.keep_first(20);
  auto penalised = slow_penalised(row, rule, history);
  for (std::size_t i = 0; i < penalised.size(); ++i) {
    const auto kept = slow.ids();
    if (!std::binary_search(kept.begin(), kept.end(), static_cast<token>(i))) {
      penalised[i] = -std::numeric_limits<TestType>::infinity();
    }
  }
  CHECK(decant_test::largest_difference(law, probabilities(make_sampler(), penalised)) < 1e-6);
}

TEST_CASE("repetition multiplies negative logits and divides positive ones") {
  decant::candidates<double> set;
  REQUIRE(set.load(std::vector<double>{2, -2, 0, 2}) == decant::error_code::none);
  const penalties rule{2.0f, 0.0f, 0.0f, 64};
  rule.apply(set, window_over({0, 1, 2}, 64));
  CHECK(set.dense_logits()[0] == 1);
  CHECK(set.dense_logits()[1] == -4);
  CHECK(set.dense_logits()[2] == 0);
  CHECK(set.dense_logits()[3] == 2);
}

TEST_CASE("frequency counts, presence does not") {
  decant::candidates<double> set;
  REQUIRE(set.load(std::vector<double>{1, 1, 1}) == decant::error_code::none);
  const penalties rule{1.0f, 0.25f, 0.5f, 64};
  rule.apply(set, window_over({0, 0, 0, 1}, 64));
  CHECK(set.dense_logits()[0] == -0.25);
  CHECK(set.dense_logits()[1] == 0.25);
  CHECK(set.dense_logits()[2] == 1);
}

TEST_CASE("penalties that are off keep no history and change nothing") {
  const std::vector<float> row{1, 2, 3};
  for (const penalties rule : {penalties{}, penalties{1.0f, 0.0f, 0.0f, -1}, penalties{1.5f, 1.0f, 1.0f, 0}}) {
    const auto sampler = make_sampler(rule);
    CHECK(std::get<0>(decant_test::state_after(sampler, tokens{0, 1, 2})).counts().empty());
    CHECK(probabilities(sampler, row, tokens{0, 1, 2}) == probabilities(make_sampler(), row));
  }
}

TEST_CASE("banned tokens stay banned under a penalty") {
  const std::vector<float> row{-std::numeric_limits<float>::infinity(), 2, 3};
  const auto law = probabilities(make_sampler(penalties{0.5f, -1.0f, -1.0f, 8}), row, tokens{0, 0, 1});
  CHECK(decant_test::support(law) == tokens{1, 2});
}

TEST_CASE("penalties explain what is out of range") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(penalties{}.check().has_value());
  CHECK(penalties{1.1f, -0.5f, 0.5f, -1}.check().has_value());
  for (const float repetition : {0.0f, -1.0f, nan, std::numeric_limits<float>::infinity()}) {
    CHECK(penalties{repetition}.check().code() == decant::error_code::invalid_argument);
  }
  CHECK(penalties{1.0f, nan}.check().code() == decant::error_code::invalid_argument);
  CHECK(penalties{1.0f, 0.0f, nan}.check().code() == decant::error_code::invalid_argument);
}

TEMPLATE_TEST_CASE("normalised penalties act on log-probabilities and do not depend on the origin", "", float, double) {
  random_source random(75);
  for (int round = 0; round < 60; ++round) {
    const auto row = random.logits<TestType>(random.between(2, 100));
    const penalties rule{static_cast<float>(random.uniform(0.5, 2)), 0.3f, 0.2f, -1, true};
    const tokens history = random_tokens(random, random.below(20), row.size());
    std::vector<TestType> scores = row;
    const auto plain = probabilities(make_sampler(), row);
    for (std::size_t i = 0; i < row.size(); ++i) scores[i] = static_cast<TestType>(std::log(plain[i]));
    const auto expected = probabilities(make_sampler(), slow_penalised(scores, rule, history));
    const auto found = probabilities(make_sampler(rule), row, history);
    CHECK(decant_test::largest_difference(found, expected) < 1e-5);
    auto shifted = row;
    for (TestType& logit : shifted) logit += TestType(3);
    CHECK(decant_test::largest_difference(probabilities(make_sampler(rule), shifted, history), found) < 1e-5);
  }
}

TEST_CASE("penalties count the output alone beside the whole text") {
  const std::vector<double> row{1, 1, 1};
  const auto both = make_sampler(penalties{2.0f, 0.0f, 0.0f, -1}, penalties{1.0f, 0.5f, 0.25f, -1, false, true});
  const auto law = probabilities(both, row, tokens{0, 1, 1, 1}, 2);
  CHECK(decant_test::near(std::log(law[0] / law[2]), -0.5, 1e-9));         // repetition alone: in the prompt
  CHECK(decant_test::near(std::log(law[1] / law[2]), -0.5 - 1.25, 1e-9));  // twice in the output
}

TEST_CASE("a window that was cleared is as good as new") {
  decant_test::random_source random(21);
  for (const std::int32_t length : {-1, 0, 1, 3, 9}) {
    token_window used(length);
    for (int round = 0; round < 20; ++round) {
      for (std::size_t i = random.below(12); i > 0; --i) used.push(random.token_below(4));
      used.clear();
      token_window fresh(length);
      for (std::size_t i = random.below(12); i > 0; --i) {
        const token t = random.token_below(4);
        used.push(t);
        fresh.push(t);
      }
      CHECK(used == fresh);
    }
  }
}

TEST_CASE("a copy of a penalty's state keeps the counts, not the tokens alone") {
  // An engine's clone lost them: it penalised too little, and counts became negative as tokens left the window.
  const auto sampler = make_sampler(penalties{1.0f, 1.0f, 0.0f, 3});
  auto state = decant_test::state_after(sampler, tokens{0, 0, 1});
  auto copy = state;
  for (const token id : tokens{2, 2}) {
    sampler.advance(state, id);
    sampler.advance(copy, id);
  }
  CHECK(copy == state);
  CHECK(counts_of(std::get<0>(copy)) == std::map<token, int>{{1, 1}, {2, 2}});
}

TEST_CASE("a very long penalty window takes no more memory than its tokens") {
  token_window window(std::numeric_limits<std::int32_t>::max());
  for (token t = 0; t < 5000; ++t) window.push(t % 2000);
  REQUIRE(window.counts().size() == 2000);
  CHECK(window.counts().front().count == 3);
  CHECK(window.counts().back().count == 2);
}
