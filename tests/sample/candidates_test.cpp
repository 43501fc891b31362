// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/candidates.hpp>

#include "tests/support/random.hpp"
#include "tests/support/sampling.hpp"

#include <limits>
#include <vector>

namespace {

using decant::candidate;
using decant::candidates;
using decant::error_code;
using decant::index;
using decant::token;
using decant_test::random_source;

template <class Real>
constexpr Real banned = -std::numeric_limits<Real>::infinity();

/// A row with ties, bans and, now and then, only one value.
template <class Real>
std::vector<Real> tied_row(random_source& random, std::size_t size) {
  const std::size_t values = random.between(1, 12);
  std::vector<Real> row(size);
  for (Real& logit : row) logit = static_cast<Real>(random.below(values)) - Real(4);
  for (Real& logit : row) {
    if (random.coin(0.1)) logit = banned<Real>;
  }
  row[random.below(size)] = Real(-4);
  return row;
}

template <class Real>
candidates<Real> loaded(const std::vector<Real>& row) {
  candidates<Real> set;
  REQUIRE(set.load(row) == error_code::none);
  return set;
}

template <class Real>
std::vector<candidate<Real>> contents(const candidates<Real>& set) {
  std::vector<candidate<Real>> out;
  set.visit([&](token id, Real logit) { out.push_back({id, logit}); });
  return out;
}

template <class Real>
std::vector<token> ids(const candidates<Real>& set) {
  std::vector<token> out;
  for (const auto& c : contents(set)) out.push_back(c.id);
  return out;
}

/// The ids of the `count` best by sorting everything, ascending.
template <class Real>
std::vector<token> best_ids(std::vector<candidate<Real>> all, std::size_t count) {
  std::erase_if(all, [](const auto& c) { return c.logit == banned<Real>; });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return ranks_before(a, b); });
  if (all.size() > count) all.erase(all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
  std::vector<token> out;
  for (const auto& c : all) out.push_back(c.id);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("loading a row states what is wrong with it", "", float, double) {
  constexpr TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  constexpr TestType inf = std::numeric_limits<TestType>::infinity();
  candidates<TestType> set;
  CHECK(set.load({}) == error_code::row_unavailable);
  for (const std::size_t size : {1u, 15u, 16u, 63u, 64u, 65u, 200u}) {
    for (std::size_t place = 0; place < size; ++place) {
      std::vector<TestType> row(size, TestType(1));
      CHECK(set.load(row) == error_code::none);
      row[place] = -inf;
      CHECK(set.load(row) == (size == 1 ? error_code::row_empty : error_code::none));
      row[place] = nan;
      CHECK(set.load(row) == error_code::row_not_finite);
      row[place] = inf;
      CHECK(set.load(row) == error_code::row_not_finite);
    }
    CHECK(set.load(std::vector<TestType>(size, -inf)) == error_code::row_empty);
    std::vector<TestType> banned_and_nan(size, -inf);
    banned_and_nan[size / 2] = nan;
    CHECK(set.load(banned_and_nan) == error_code::row_not_finite);
  }
}

TEMPLATE_TEST_CASE("the largest and smallest finite logits are legal", "", float, double) {
  const std::vector<TestType> row{std::numeric_limits<TestType>::max(), std::numeric_limits<TestType>::lowest()};
  candidates<TestType> set = loaded(row);
  CHECK(set.best().id == 0);
  decant::distribution<TestType> law;
  REQUIRE(set.write_law(law) == error_code::none);
  CHECK(law.view().probability(0) == 1.0);
  CHECK(law.view().probability(1) == 0.0);
}

TEMPLATE_TEST_CASE("keep_best equals sorting, from dense and from sparse sets", "", float, double) {
  random_source random(11);
  for (int round = 0; round < 400; ++round) {
    const std::size_t size = random.between(1, 700);
    const std::size_t count = random.coin() ? random.between(1, 12) : random.between(1, size + 3);
    candidates<TestType> set = loaded(tied_row<TestType>(random, size));
    if (random.coin(0.3)) set.filter([](token id, TestType) { return id % 7 != 0; });
    const std::vector<token> expected = best_ids(contents(set), count);
    set.keep_best(count);
    CAPTURE(size, count);
    CHECK(set.sparse());
    CHECK(ids(set) == expected);
  }
}

TEMPLATE_TEST_CASE("keep_best_and_ties keeps all that reach the last of the best, from dense and from sparse sets", "",
                   float, double) {
  random_source random(28);
  for (int round = 0; round < 300; ++round) {
    const auto row = tied_row<TestType>(random, random.between(1, 700));
    const std::size_t count = random.between(1, row.size() + 1);
    auto sorted = row;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    const TestType border = sorted[std::min(count, row.size()) - 1];
    std::vector<token> expected;
    for (std::size_t v = 0; v < row.size(); ++v) {
      if (row[v] >= border && row[v] != banned<TestType>) expected.push_back(static_cast<token>(v));
    }
    auto dense = loaded(row);
    dense.keep_best_and_ties(count);
    CHECK(ids(dense) == expected);
    auto sparse = loaded(row);
    sparse.keep_best(row.size());
    sparse.keep_best_and_ties(count);
    CHECK(ids(sparse) == expected);
  }
}

TEMPLATE_TEST_CASE("best follows every way of editing", "", float, double) {
  random_source random(12);
  for (int round = 0; round < 100; ++round) {
    candidates<TestType> set = loaded(random.logits<TestType>(random.between(1, 300)));
    if (random.coin(0.2)) set.make_sparse();
    for (int step = 0; step < 20; ++step) {
      const auto shift = static_cast<TestType>(random.normal());
      const token chosen = random.coin() ? set.best().id : random.token_below(set.vocab_size());
      switch (random.below(5)) {
        case 0: set.edit(chosen, [&](TestType& logit) { logit -= TestType(3); }); break;
        case 1: set.edit(chosen, [&](TestType& logit) { logit += shift; }); break;
        case 2: set.map_increasing([&](TestType logit) { return logit / TestType(2) + shift; }); break;
        case 3: set.for_each([&](token id, TestType& logit) { logit += id % 3 == 0 ? shift : TestType(0); }); break;
        default:
          if (!set.sparse()) set.dense_logits()[index(chosen)] = shift;
          break;
      }
      CHECK(std::vector<token>{set.best().id} == best_ids(contents(set), 1));
    }
    const std::vector<token> expected = best_ids(contents(set), 5);
    set.keep_best(5);
    CHECK(ids(set) == expected);
  }
}

TEMPLATE_TEST_CASE("filter_upper keeps what filter keeps", "", float, double) {
  random_source random(13);
  for (int round = 0; round < 200; ++round) {
    const std::vector<TestType> row = tied_row<TestType>(random, random.between(1, 400));
    const auto threshold = static_cast<TestType>(random.uniform(-5, 9));
    candidates<TestType> blockwise = loaded(row);
    candidates<TestType> plain = loaded(row);
    blockwise.filter_upper([=](TestType logit) { return logit >= threshold; });
    plain.filter([=](token, TestType logit) { return logit >= threshold; });
    CHECK(ids(blockwise) == ids(plain));
    blockwise.filter_upper([=](TestType logit) { return logit >= threshold + TestType(2); });
    plain.filter([=](token, TestType logit) { return logit >= threshold + TestType(2); });
    CHECK(ids(blockwise) == ids(plain));
  }
}

TEMPLATE_TEST_CASE("edits outside the candidates do nothing", "", float, double) {
  candidates<TestType> set = loaded(std::vector<TestType>{1, 2, 3});
  int calls = 0;
  const auto count = [&calls](TestType&) { ++calls; };
  set.edit(-1, count);
  set.edit(3, count);
  CHECK(calls == 0);
  set.filter([](token id, TestType) { return id == 2; });
  set.edit(1, count);
  CHECK(calls == 0);
  set.edit(2, count);
  CHECK(calls == 1);
}

TEMPLATE_TEST_CASE("the law of the candidates is their soft-max", "", float, double) {
  random_source random(14);
  const double tolerance = std::is_same_v<TestType, float> ? 1e-6 : 1e-14;
  for (int round = 0; round < 50; ++round) {
    const std::vector<TestType> row = tied_row<TestType>(random, random.between(1, 200));
    decant_test::slow_candidates slow(row);
    candidates<TestType> set = loaded(row);
    decant::distribution<TestType> law;
    REQUIRE(set.write_law(law) == error_code::none);
    CHECK_FALSE(law.view().sparse());
    CHECK(decant_test::largest_difference(decant_test::dense_probabilities(law.view()), slow.law()) < tolerance);
    set.make_sparse();
    decant::distribution<TestType> sparse_law;
    REQUIRE(set.write_law(sparse_law) == error_code::none);
    CHECK(sparse_law.view().sparse());
    CHECK(decant_test::largest_difference(decant_test::dense_probabilities(sparse_law.view()), slow.law()) < tolerance);
  }
}

TEST_CASE("a set that a step has spoilt gives an error, not a law") {
  decant::distribution<float> law;
  candidates<float> set = loaded(std::vector<float>{1, 2});
  set.for_each([](token, float& logit) { logit = banned<float>; });
  CHECK(set.write_law(law) == error_code::row_empty);
  set = loaded(std::vector<float>{1, 2});
  set.for_each([](token, float& logit) { logit = std::numeric_limits<float>::quiet_NaN(); });
  CHECK(set.write_law(law) == error_code::row_not_finite);
  set = loaded(std::vector<float>{1, 2});
  set.edit(1, [](float& logit) { logit = std::numeric_limits<float>::quiet_NaN(); });
  CHECK(set.write_law(law) == error_code::row_not_finite);
  set = loaded(std::vector<float>{1, 2});
  set.edit(1, [](float& logit) { logit = std::numeric_limits<float>::infinity(); });
  CHECK(set.write_law(law) == error_code::row_not_finite);
  set = loaded(std::vector<float>{1, 2});
  set.filter([](token, float) { return false; });
  CHECK(set.write_law(law) == error_code::row_empty);
}

TEMPLATE_TEST_CASE("a viewed row and a copied one give the same laws under every edit", "", float, double) {
  random_source random(15);
  for (int round = 0; round < 200; ++round) {
    const std::vector<TestType> row = tied_row<TestType>(random, random.between(1, 700));
    const std::vector<TestType> before = row;
    candidates<TestType> copied = loaded(row);
    candidates<TestType> viewed;
    REQUIRE(viewed.view(row) == error_code::none);
    for (int step = 0; step < 8; ++step) {
      const token id = random.token_below(row.size());
      const auto shift = static_cast<TestType>(random.uniform(-3, 3));
      const std::size_t count = random.between(1, row.size());
      const std::size_t kind = random.below(7);
      for (candidates<TestType>* set : {&copied, &viewed}) {
        switch (kind) {
          case 0:
          case 1: set->edit(id, [&](TestType& logit) { logit += shift; }); break;
          case 2: set->divide_by(TestType(1.25)); break;
          case 3: set->keep_best(count); break;
          case 4: set->keep_at_least(shift, 1); break;
          case 5: set->keep_prefix(0.9, 1); break;
          default: set->for_each([&](token, TestType& logit) { logit += shift; }); break;
        }
      }
      REQUIRE(ids(viewed) == ids(copied));
    }
    decant::distribution<TestType> a;
    decant::distribution<TestType> b;
    REQUIRE(copied.write_law(a) == viewed.write_law(b));
    CHECK(decant_test::dense_probabilities(a.view()) == decant_test::dense_probabilities(b.view()));
    CHECK(row == before);
  }
}

TEMPLATE_TEST_CASE("a remembered division is seen by everything", "", float, double) {
  random_source random(16);
  for (int round = 0; round < 100; ++round) {
    const std::vector<TestType> row = random.logits<TestType>(random.between(1, 500));
    const auto divisor = static_cast<TestType>(random.uniform(0.3, 3));
    std::vector<TestType> divided = row;
    for (TestType& logit : divided) logit /= divisor;
    candidates<TestType> lazy = loaded(row);
    lazy.divide_by(divisor);
    candidates<TestType> plain = loaded(divided);
    CHECK(contents(lazy).size() == contents(plain).size());
    CHECK(lazy.best().id == plain.best().id);
    CHECK(lazy.best().logit == plain.best().logit);
    CHECK(lazy.soft_max(true).entropy == Approx(plain.soft_max(true).entropy).epsilon(1e-5).margin(1e-6));
    CHECK(lazy.moments().deviation == Approx(plain.moments().deviation).epsilon(1e-5));
    const auto threshold = divided[random.below(divided.size())];
    lazy.keep_at_least(threshold, 1);
    plain.keep_at_least(threshold, 1);
    REQUIRE(ids(lazy) == ids(plain));
    for (std::size_t i = 0; i < lazy.size(); ++i) CHECK(contents(lazy)[i].logit == contents(plain)[i].logit);
  }
}

TEST_CASE("laws are those of a double reference to two units in the last place") {
  random_source random(17);
  for (int round = 0; round < 40; ++round) {
    std::vector<float> row = random.logits<float>(random.between(2, 2000), random.uniform(0.1, 6));
    if (round % 4 == 0) row[0] = -std::numeric_limits<float>::max();
    if (round % 5 == 0) row[1] = std::numeric_limits<float>::denorm_min();
    const auto temperature = static_cast<float>(random.uniform(0.5, 2));
    candidates<float> set = loaded(row);
    set.divide_by(temperature);
    decant::distribution<float> law;
    REQUIRE(set.write_law(law) == error_code::none);
    const auto top = static_cast<double>(*std::max_element(row.begin(), row.end()));
    std::vector<double> exact;
    double mass = 0;
    for (const float x : row) {
      exact.push_back(std::exp((static_cast<double>(x) - top) / static_cast<double>(temperature)));
      mass += exact.back();
    }
    int wrong = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const double probability = exact[i] / mass;
      if (exact[i] < 1e-37) continue;  // where float itself has fewer digits
      const double unit = std::ldexp(1.0, std::ilogb(probability) - 23);
      wrong += std::abs(law.view().probability(static_cast<token>(i)) - probability) <= 2 * unit ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}
