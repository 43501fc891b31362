// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/distances.hpp>
#include <decant/model/laws.hpp>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"
#if DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"
#endif

using namespace decant;
using decant_test::near;
using decant_test::random_source;

namespace {

using tokens = std::vector<token>;

template <class Law>
std::vector<typename Law::value_type> after(const Law& law, const tokens& context) {
  std::vector<typename Law::value_type> out(law.vocab_size());
  law.weights(context, out);
  return out;
}

hashed_law<double> hashed(std::uint64_t seed, std::size_t vocabulary, std::size_t context = 3) {
  hashed_law<double> law;
  law.seed = seed;
  law.vocabulary = vocabulary;
  law.context = context;
  return law;
}

tokens random_text(random_source& random, std::size_t size, std::size_t vocabulary) {
  tokens text(size);
  for (token& t : text) t = random.token_below(vocabulary);
  return text;
}

/// p(v | context) by the documented recursion, counting occurrences one by one.
template <class Real>
Real ngram_by_definition(const tokens& text, token_span context, token v, std::size_t vocabulary,
                         const Real& smoothing) {
  int follows = 0;
  int continues = 0;
  for (std::size_t i = context.size(); i < text.size(); ++i) {
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(i - context.size());
    if (!std::equal(context.begin(), context.end(), begin)) continue;
    ++follows;
    continues += text[i] == v;
  }
  const Real lower = context.empty() ? Real(1) / Real(static_cast<int>(vocabulary))
                                     : ngram_by_definition(text, context.subspan(1), v, vocabulary, smoothing);
  return (Real(continues) + smoothing * lower) / (Real(follows) + smoothing);
}

}  // namespace

// --- shifted_law -----------------------------------------------------------------------------------------------------

TEST_CASE("toy A and toy B follow their formula") {
  const auto target = shifted_law<double>::toy_a_target(1);
  CHECK(after(target, {3}) == std::vector<double>{4, 3, 2, 1});
  CHECK(after(target, {3, 1}) == std::vector<double>{3, 2, 1, 4});
  CHECK(after(target, {3, 2, 3}) == std::vector<double>{3, 2, 1, 4});
  const auto draft = shifted_law<double>::toy_a_draft(1);
  CHECK(after(draft, {0}) == std::vector<double>{1, 4, 2, 3});
  CHECK(after(draft, {0, 1}) == std::vector<double>{2, 3, 1, 4});
  const auto second = shifted_law<double>::toy_a_second_draft(0);
  CHECK(after(second, {}) == std::vector<double>{6, 2, 7, 5});
  CHECK(after(second, {1}) == std::vector<double>{5, 6, 2, 7});
  CHECK(after(shifted_law<double>::toy_b_target(0), {2}) == std::vector<double>{4, 3, 7, 6});
  CHECK(after(shifted_law<double>::toy_b_draft(0), {3}) == std::vector<double>{6, 8, 3, 3});
}

TEST_CASE("the toys have the probabilities of the literature") {
  const std::vector<std::pair<shifted_law<double>, std::vector<double>>> known{
      {shifted_law<double>::toy_a_target(0), {.4, .3, .2, .1}},
      {shifted_law<double>::toy_a_draft(0), {.1, .4, .2, .3}},
      {shifted_law<double>::toy_a_second_draft(0), {.3, .1, .35, .25}},
      {shifted_law<double>::toy_b_target(0), {.35, .3, .2, .15}},
      {shifted_law<double>::toy_b_draft(0), {.15, .15, .3, .4}},
  };
  for (const auto& [law, probabilities] : known) {
    distribution<double> row;
    REQUIRE(law_after(law, {}, row) == error_code::none);
    for (token v = 0; v < 4; ++v) CHECK(near(row.view().probability(v), probabilities[index(v)], 1e-15));
  }
}

TEST_CASE("a shift may go either way and a context may be shorter than its start") {
  const shifted_law<float> backwards({1, 2, 3}, -1, 2);
  CHECK(after(backwards, {}) == std::vector<float>{1, 2, 3});
  CHECK(after(backwards, {2}) == std::vector<float>{1, 2, 3});
  CHECK(after(backwards, {0, 0, 1}) == std::vector<float>{3, 1, 2});
}

// --- table_law -------------------------------------------------------------------------------------------------------

TEST_CASE("a table law has a row for every context up to its order") {
  table_law<double> law(3, 2);
  CHECK(law.row_count() == 1 + 3 + 9);
  std::map<const double*, tokens> seen;
  std::vector<tokens> contexts{{}};
  for (token a = 0; a < 3; ++a) {
    contexts.push_back({a});
    for (token b = 0; b < 3; ++b) contexts.push_back({a, b});
  }
  for (const tokens& context : contexts) {
    CHECK(after(law, context) == std::vector<double>{1, 1, 1});
    CHECK(seen.emplace(law.row(context).data(), context).second);
    law.row(context)[0] = static_cast<double>(seen.size());
  }
  for (std::size_t i = 0; i < contexts.size(); ++i) CHECK(after(law, contexts[i])[0] == static_cast<double>(i + 1));
  CHECK(after(law, {0, 1, 2, 2, 1}) == after(law, {2, 1}));
  CHECK(law.row(law.row_count() - 1).data() == law.row(tokens{2, 2}).data());
}

TEST_CASE("a table law of order 0 is one row") {
  const std::vector<double> row{1, 0, 3};
  const table_law<double> law{std::span<const double>(row)};
  CHECK(law.order() == 0);
  CHECK(after(law, {2, 1, 0}) == row);
  CHECK(law == table_law<double>{std::span<const double>(row)});
}

// --- ngram_law -------------------------------------------------------------------------------------------------------

TEST_CASE("an n-gram law follows its recursion") {
  random_source random(5);
  for (const std::size_t order : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{4}}) {
    const tokens text = random_text(random, 60, 3);
    const ngram_law<double> law(3, order, text, 0.75);
    for (int trial = 0; trial < 25; ++trial) {
      const tokens context = random_text(random, random.below(6), 3);
      const token_span known = token_span(context).last(std::min(order, context.size()));
      const auto weights = after(law, context);
      double sum = 0;
      for (token v = 0; v < 3; ++v) {
        CHECK(near(weights[index(v)], ngram_by_definition(text, known, v, 3, 0.75), 1e-15));
        sum += weights[index(v)];
      }
      CHECK(near(sum, 1, 1e-15));
    }
  }
}

TEST_CASE("an n-gram law without smoothing gives the relative frequencies") {
  const tokens text{0, 1, 0, 2, 0, 1, 0, 1};
  const ngram_law<double> law(3, 1, text, 0.0);
  CHECK(after(law, {0}) == std::vector<double>{0, 0.75, 0.25});
  CHECK(after(law, {1}) == std::vector<double>{1, 0, 0});
  CHECK(after(law, {}) == std::vector<double>{0.5, 0.375, 0.125});
}

TEST_CASE("an n-gram law of nothing is uniform, an unseen context falls to its shorter form") {
  const ngram_law<double> nothing(4, 2, {}, 1.0);
  CHECK(after(nothing, {1, 2, 3}) == std::vector<double>{0.25, 0.25, 0.25, 0.25});
  const tokens text{0, 1, 2, 0, 1, 2};
  const ngram_law<double> law(3, 2, text, 0.5);
  CHECK(after(law, {1, 1}) == after(law, {1}));
  CHECK(after(law, {0, 1}) != after(law, {1}));
}

// --- hashed_law ------------------------------------------------------------------------------------------------------

TEST_CASE("a hashed law depends on its seed and on exactly its last tokens") {
  const auto law = hashed(1, 11, 2);
  const auto row = after(law, {5, 6, 7});
  CHECK(row == after(law, {6, 7}));
  CHECK(row == after(law, {9, 9, 9, 6, 7}));
  CHECK(row != after(law, {7, 6}));
  CHECK(row != after(law, {7}));
  CHECK(row != after(law, {5, 7}));
  CHECK(row != after(hashed(2, 11, 2), {6, 7}));
  const auto whole = hashed(1, 11, whole_context);
  CHECK(after(whole, {0, 6, 7}) != after(whole, {6, 7}));
  CHECK(after(whole, {0}) != after(whole, {}));
}

TEST_CASE("a hashed law is the same for every vocabulary it is cut from") {
  const auto small = after(hashed(4, 10), {1, 2, 3});
  auto large = after(hashed(4, 50), {1, 2, 3});
  large.resize(10);
  CHECK(small == large);
}

// Computed by a second implementation of Philox and of the documented rule.
TEST_CASE("a hashed law is the same on every machine") {
  const auto row = after(hashed(7, 4), {1, 2});
  std::vector<std::uint64_t> seen;
  for (const double weight : row) seen.push_back(static_cast<std::uint64_t>(weight));
  CHECK(seen == std::vector<std::uint64_t>{14884, 186624, 70756, 12100});
}

TEST_CASE("a hashed law is heavy-tailed as its sharpness says") {
  const auto mean_top = [](int sharpness) {
    auto law = hashed(3, 2000);
    law.sharpness = sharpness;
    double sum = 0;
    for (token t = 0; t < 200; ++t) {
      const tokens context{t};
      distribution<double> row;
      REQUIRE(law_after(law, context, row) == error_code::none);
      sum += row.view().probability(argmax(row.view()));
    }
    return sum / 200;
  };
  CHECK(near(mean_top(0), 1.0 / 2000, 1e-12));
  CHECK(mean_top(1) > 0.05);
  CHECK(mean_top(1) < 0.3);
  CHECK(mean_top(2) > 0.5);
  CHECK(mean_top(2) < 0.75);
  CHECK(mean_top(4) > mean_top(2));
}

TEST_CASE("the share of zeros of a hashed law is as asked for and never total") {
  auto law = hashed(9, 1000);
  law.zero_share = 64;
  std::size_t zeros = 0;
  for (token t = 0; t < 50; ++t) {
    const auto row = after(law, {t});
    zeros += static_cast<std::size_t>(std::count(row.begin(), row.end(), 0.0));
  }
  CHECK(near(static_cast<double>(zeros) / 50000, 0.25, 0.01));
  law.vocabulary = 3;
  law.zero_share = 255;
  for (token t = 0; t < 200; ++t) {
    const auto row = after(law, {t});
    CHECK(*std::max_element(row.begin(), row.end()) > 0);
  }
}

TEST_CASE("sharp hashed laws stay finite in float") {
  hashed_law<float> law;
  law.vocabulary = 5000;
  law.sharpness = 4;
  for (token t = 0; t < 20; ++t) {
    const tokens context{t};
    distribution<float> row;
    REQUIRE(law_after(law, context, row) == error_code::none);
    for (const float weight : row.view().weights()) REQUIRE(weight <= std::numeric_limits<float>::max());
  }
}

// --- mixed_law -------------------------------------------------------------------------------------------------------

TEST_CASE("a blend is as far from its target as its share says") {
  const auto target = hashed(1, 40);
  const auto other = hashed(2, 40);
  for (const double share : {0.0, 0.125, 0.5, 1.0}) {
    const auto draft = blend(target, other, share);
    for (token t = 0; t < 10; ++t) {
      const tokens context{t, 3};
      distribution<double> p;
      distribution<double> q;
      distribution<double> r;
      REQUIRE(law_after(target, context, p) == error_code::none);
      REQUIRE(law_after(draft, context, q) == error_code::none);
      REQUIRE(law_after(other, context, r) == error_code::none);
      CHECK(near(q.view().mass(), 1, 1e-14));
      CHECK(near(total_variation(p.view(), q.view()), share * total_variation(p.view(), r.view()), 1e-14));
    }
  }
}

TEST_CASE("a blend of float laws matches its blend in double") {
  hashed_law<float> a;
  a.vocabulary = 30;
  hashed_law<float> b = a;
  b.seed = 8;
  hashed_law<double> wide_a;
  wide_a.vocabulary = 30;
  hashed_law<double> wide_b = wide_a;
  wide_b.seed = 8;
  const auto narrow = after(blend(a, b, 0.25f), {1, 2});
  const auto wide = after(blend(wide_a, wide_b, 0.25), {1, 2});
  for (std::size_t v = 0; v < 30; ++v) CHECK(near(narrow[v], wide[v], 1e-7));
  CHECK(blend(a, b, 0.25f) == blend(a, b, 0.25f));
  CHECK_FALSE(blend(a, b, 0.25f) == blend(b, a, 0.25f));
}

TEST_CASE("the order of a blend is the larger one") {
  CHECK(blend(hashed(1, 5, 2), hashed(2, 5, 6), 0.5).order() == 6);
  CHECK(blend(hashed(1, 4), shifted_law<double>::toy_a_target(0), 0.5).order() == whole_context);
}

#if DECANT_TEST_HAS_GMP
// --- exactness -------------------------------------------------------------------------------------------------------

using decant_test::rational;

TEST_CASE("rationals are a scalar") {
  CHECK(rational(6, -4) == rational(-3) / rational(2));
  CHECK(rational(1, 3) + rational(1, 6) == rational(1, 2));
  CHECK(rational(1, 3) - rational(1, 2) < rational(0));
  CHECK(-rational(1, 3) * rational(3) == rational(-1));
  CHECK(std::max(rational(1, 3), rational(1, 4)) == rational(1, 3));
  CHECK(to_double(rational(1, 4)) == 0.25);
  rational third(1, 3);
  third += rational(2, 3);
  CHECK(third == 1);
}

TEST_CASE("the toys are exact in rationals") {
  distribution<rational> row;
  const tokens context{0, 1, 1};
  REQUIRE(law_after(shifted_law<rational>::toy_a_draft(1), context, row) == error_code::none);
  CHECK(row.view().weight_of(0) / row.view().mass() == rational(1, 10));
  CHECK(row.view().weight_of(1) / row.view().mass() == rational(4, 10));
}

TEST_CASE("an n-gram law is exact in rationals") {
  random_source random(6);
  const tokens text = random_text(random, 40, 3);
  const ngram_law<rational> law(3, 2, text, rational(2, 7));
  for (token a = 0; a < 3; ++a) {
    for (token b = 0; b < 3; ++b) {
      const tokens context{a, b};
      const auto weights = after(law, context);
      rational sum(0);
      for (token v = 0; v < 3; ++v) {
        CHECK(weights[index(v)] == ngram_by_definition(text, context, v, 3, rational(2, 7)));
        sum += weights[index(v)];
      }
      CHECK(sum == 1);
    }
  }
}

TEST_CASE("a blend is exact in rationals") {
  hashed_law<rational> a;
  a.vocabulary = 5;
  hashed_law<rational> b = a;
  b.seed = 1;
  b.zero_share = 128;
  const auto draft = blend(a, b, rational(1, 3));
  const tokens context{4};
  distribution<rational> p;
  distribution<rational> q;
  distribution<rational> r;
  REQUIRE(law_after(a, context, p) == error_code::none);
  REQUIRE(law_after(draft, context, q) == error_code::none);
  REQUIRE(law_after(b, context, r) == error_code::none);
  CHECK(q.view().mass() == 1);
  CHECK(total_variation(p.view(), q.view()) == total_variation(p.view(), r.view()) / rational(3));
}

TEST_CASE("hashed weights are the same numbers in every scalar") {
  hashed_law<rational> exact;
  exact.vocabulary = 9;
  exact.sharpness = 1;
  hashed_law<double> wide;
  wide.vocabulary = 9;
  wide.sharpness = 1;
  const auto a = after(exact, {1, 2});
  const auto b = after(wide, {1, 2});
  for (std::size_t v = 0; v < 9; ++v) CHECK(to_double(a[v]) == b[v]);
}
#endif
