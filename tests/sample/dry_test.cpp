// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/dry.hpp>

#include <decant/sample/top_k.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <map>
#include <string>

namespace {

using decant::dry;
using decant::index;
using decant::make_sampler;
using decant::sequence_breakers;
using decant::token;
using decant_test::random_source;

using tokens = std::vector<token>;
using sequences = std::vector<tokens>;

/// What each token is charged, from the definition: every earlier position is compared token by token.
std::map<token, double> slow_charges(const dry& rule, const sequences& breakers, tokens text) {
  if (rule.last_n >= 0 && text.size() > index(rule.last_n)) text.erase(text.begin(), text.end() - rule.last_n);
  std::size_t limit = text.size();
  for (std::size_t back = 1; back <= text.size() && limit == text.size(); ++back) {
    std::size_t longest = 0;
    for (const tokens& sequence : breakers) {
      const std::size_t begin = text.size() - back;
      if (sequence.size() > back) continue;
      if (std::equal(sequence.begin(), sequence.end(), text.begin() + static_cast<std::ptrdiff_t>(begin))) {
        longest = std::max(longest, sequence.size());
      }
    }
    if (longest > 0) {
      limit = back - longest;
      break;
    }
  }
  std::map<token, std::size_t> repeat;
  for (std::size_t next = 1; next < text.size(); ++next) {  // the match ends before `next`
    std::size_t length = 0;
    while (length < next && text[next - 1 - length] == text[text.size() - 1 - length]) ++length;
    length = std::min(length, limit);
    if (length >= index(rule.allowed_length)) repeat[text[next]] = std::max(repeat[text[next]], length);
  }
  std::map<token, double> charges;
  for (const auto& [id, length] : repeat) {
    bool is_breaker = false;
    for (const tokens& sequence : breakers) is_breaker |= sequence == tokens{id};
    const auto over = static_cast<double>(length) - rule.allowed_length;
    if (!is_breaker) charges[id] = rule.multiplier * std::pow(static_cast<double>(rule.base), over);
  }
  return charges;
}

/// What the step takes from each logit.
std::map<token, double> charges(const dry& rule, const tokens& text, std::size_t vocab_size) {
  decant::candidates<double> set;
  REQUIRE(set.load(std::vector<double>(vocab_size, 0.0)) == decant::error_code::none);
  rule.apply(set, std::get<0>(decant_test::state_after(make_sampler(rule), text)));
  std::map<token, double> out;
  set.visit([&](token id, double logit) {
    if (logit < 0) out[id] = -logit;
  });
  return out;
}

constexpr token a = 0, b = 1, c = 2, y = 3;

}  // namespace

TEST_CASE("the documented example of DRY") {
  const tokens text{a, b, c, c, b, c, y, a, b, c};
  const dry from_one{1.0f, 2.0f, 1};
  CHECK(charges(from_one, text, 4) == std::map<token, double>{{b, 1}, {c, 4}, {y, 2}});  // lengths 1, 3 and 2
  const dry from_two{1.0f, 2.0f, 2};
  CHECK(charges(from_two, text, 4) == std::map<token, double>{{c, 2}, {y, 1}});
}

TEST_CASE("DRY charges what the definition says, with breakers and windows") {
  random_source random(511);
  for (int round = 0; round < 600; ++round) {
    const std::size_t vocab_size = random.between(2, 5);
    sequences breakers;
    for (std::size_t i = random.below(3); i > 0; --i) {
      tokens sequence(random.between(1, 3));
      for (token& t : sequence) t = random.token_below(vocab_size);
      breakers.push_back(sequence);
    }
    tokens text(random.below(60));
    for (token& t : text) t = random.token_below(vocab_size);
    if (round % 3 == 0) std::fill(text.begin(), text.end(), 1);  // matches that overlap
    const dry rule{0.5f, 1.25f, static_cast<std::int32_t>(random.between(1, 3)),
                   static_cast<std::int32_t>(random.below(40)) - 1, sequence_breakers(breakers)};
    const auto expected = rule.last_n == 0 ? std::map<token, double>{} : slow_charges(rule, breakers, text);
    const auto found = charges(rule, text, vocab_size);
    REQUIRE(found.size() == expected.size());
    for (const auto& [id, charge] : expected) CHECK(decant_test::near(found.at(id), charge, 1e-9 * charge));
  }
}

TEMPLATE_TEST_CASE("DRY acts on survivors of a truncation, and banned tokens stay banned", "", float, double) {
  const std::vector<TestType> row{2, -std::numeric_limits<TestType>::infinity(), 1, 0};
  const tokens text{a, b, c, a, b, c, a, b, y, a};  // b follows an a three times, after (c, a) once
  const auto law = decant_test::probabilities(make_sampler(decant::top_k{2}, dry{1.0f, 2.0f, 1}), row, text);
  CHECK(decant_test::support(law) == tokens{a, c});
  CHECK(decant_test::near(law[a], 1 / (1 + std::exp(-1.0)), 1e-6));  // neither follows the last a
}

TEST_CASE("the exponent of DRY is capped where the power leaves float") {
  const dry rule{1.0f, 1.75f, 2, -1};
  const double cap = std::floor(88.7228391 / std::log(1.75));
  CHECK(decant_test::near(rule.charge_for(1e6) / std::pow(1.75, cap), 1, 1e-9));
  CHECK(rule.charge_for(2) == 1);
  CHECK(dry{2.0f, 1.0f, 2}.charge_for(50) == 2);
  CHECK(std::isfinite(static_cast<float>(dry{1e30f, 3.0f, 1}.charge_for(1e4))));
  std::vector<float> row{1, 1};
  const auto law = decant_test::probabilities(make_sampler(rule), row, tokens(500, a));
  CHECK(decant_test::support(law) == tokens{b});
}

TEST_CASE("DRY that is off keeps no history and changes nothing") {
  const std::vector<float> row{1, 2, 3, 4};
  const tokens text{a, b, c, a, b};
  for (const dry& rule : {dry{}, dry{1.0f, 1.75f, 2, 0}}) {
    CHECK(std::get<0>(decant_test::state_after(make_sampler(rule), text)).view().empty());
    CHECK(decant_test::probabilities(make_sampler(rule), row, text) == decant_test::probabilities(make_sampler(), row));
  }
}

TEST_CASE("breakers of a text are all its tokenisations") {
  const std::vector<std::string> words{"ab", "a", "b", "xa", "abc", "q", "", "aab"};
  const auto text_of = [&](token id) -> std::string_view { return words[index(id)]; };
  const auto tokenize = [](std::string_view text) {
    tokens out;
    for (const char letter : text) out.push_back(letter == 'b' ? 2 : 5);
    return out;
  };
  const std::string_view texts[] = {"ab"};
  const auto found = sequence_breakers::from_texts(texts, words.size(), text_of, tokenize);
  CHECK(found == sequence_breakers({{0}, {4}, {7}, {1, 2}, {3, 2}}));
  CHECK(found.contains(0));
  CHECK_FALSE(found.contains(1));
  CHECK(found.longest_at(tokens{1, 2, 0}) == 2);
  CHECK(found.longest_at(tokens{1, 5}) == 0);
  CHECK(found.longest_at(tokens{1}) == 0);
  // Overlaps of two lengths, and a rest that is cut to 20 tokens.
  const std::string_view repeated[] = {"aac"};
  const auto two = sequence_breakers::from_texts(
      repeated, 2, [](token id) { return id == 0 ? "baa" : "b"; },
      [](std::string_view rest) { return tokens(rest.size(), 9); });
  CHECK(two == sequence_breakers({{0, 9}, {0, 9, 9}}));
  const std::string long_text(60, 'z');
  const std::string_view long_texts[] = {long_text};
  const auto cut = sequence_breakers::from_texts(
      long_texts, 1, [](token) { return "z"; }, [](std::string_view rest) { return tokens(rest.size(), 9); });
  tokens expected(21, 9);
  expected[0] = 0;
  CHECK(cut == sequence_breakers({expected}));
}

TEST_CASE("DRY allocates nothing once warm, and explains what is out of range") {
  const auto sampler = make_sampler(dry{1.0f, 1.75f, 2, 64, sequence_breakers({{1, 2}, {3}})});
  const std::vector<float> row(100, 1.0f);
  decant::candidates<float> scratch;
  decant::distribution<float> law;
  auto state = sampler.initial_state();
  auto copy = state;
  const auto step = [&](token t) {
    sampler.advance(state, t);
    copy = state;
    (void)sampler.law(std::span<const float>(row), copy, scratch, law);
  };
  for (token t = 0; t < 150; ++t) step(t % 5);
  CHECK(decant_test::allocations_of([&] {
          for (token t = 0; t < 150; ++t) step(t % 7);
        }) == 0);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(dry{}.check().has_value());
  for (const dry& wrong : {dry{-1.0f}, dry{nan}, dry{1.0f, 0.9f}, dry{1.0f, nan}, dry{1.0f, 1.75f, 0}}) {
    CHECK(wrong.check().code() == decant::error_code::invalid_argument);
  }
}
