// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/kernels/vocabulary_selection.hpp>

#include "support/random.hpp"
#include "support/test_kit.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace {

using namespace decant::cpu;
using decant_test::random_source;

using places = std::vector<std::int32_t>;

/// A row with the maxima of its blocks.
template <class Real>
struct scanned_row {
  std::vector<Real> values;
  std::vector<Real> maxima;

  explicit scanned_row(std::vector<Real> row) : values(std::move(row)), maxima((values.size() + 63) / 64) {
    vocabulary_loops<Real>::scan(values.data(), values.size(), maxima.data(), nullptr);
  }
  [[nodiscard]] blocked_row<Real> view() const { return {values.data(), values.size(), maxima.data()}; }
};

template <class Real>
places places_of(const typename row_selection<Real>::chosen& chosen) {
  return {chosen.places, chosen.places + chosen.count};
}

/// All finite entries by descending key, equal ones by place.
template <class Real>
places ranked(const std::vector<Real>& keys) {
  places order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](std::int32_t i) { return !(keys[static_cast<std::size_t>(i)] > -1e300); });
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)];
  });
  return order;
}

places first_in_order(places order, std::size_t count) {
  order.resize(std::min(count, order.size()));
  std::sort(order.begin(), order.end());
  return order;
}

template <class Real>
std::vector<Real> some_row(random_source& random, std::size_t size) {
  std::vector<Real> row = random.logits<Real>(size, random.uniform(0.1, 4));
  const bool has_ties = random.coin();
  for (Real& x : row) {
    if (has_ties) x = std::round(x * 4) / 4;
    if (random.coin(0.1)) x = -std::numeric_limits<Real>::infinity();
  }
  row[random.below(size)] = Real(1);
  return row;
}

}  // namespace

TEMPLATE_TEST_CASE("ordinals follow the order of scalars", "", float, double) {
  const TestType inf = std::numeric_limits<TestType>::infinity();
  const TestType tiny = std::numeric_limits<TestType>::denorm_min();
  const std::vector<TestType> ascending{-inf, -2, -1, -tiny, TestType(-0.0), 0, tiny, 1, 2, inf};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    CHECK(scalar_of<TestType>(ordinal_of(ascending[i])) == ascending[i]);
    if (i > 0) CHECK(ordinal_of(ascending[i - 1]) < ordinal_of(ascending[i]));
  }
  const TestType last = last_for_which(-inf, inf, [](TestType x) { return x < TestType(3); });
  CHECK(last == std::nextafter(TestType(3), TestType(0)));
}

TEMPLATE_TEST_CASE("the best entries are those of a full sort", "", float, double) {
  random_source random(21);
  row_selection<TestType> selection;
  for (int round = 0; round < 300; ++round) {
    const std::size_t size = random.coin(0.1) ? random.between(2000, 9000) : random.between(1, 700);
    const scanned_row<TestType> row(some_row<TestType>(random, size));
    selection.reserve(size);
    const places order = ranked(row.values);
    for (const std::size_t count : {random.between(1, 12), random.between(1, size), size / 64 + 3}) {
      CAPTURE(size, count);
      CHECK(places_of<TestType>(selection.best(row.view(), count)) == first_in_order(order, count));
    }
  }
}

TEST_CASE("the best entries are found however they are spread over the blocks") {
  random_source random(25);
  constexpr std::size_t size = 16384;
  row_selection<float> selection;
  selection.reserve(size);
  for (const std::size_t great_ones_of_a_block : {1U, 2U, 60U}) {
    std::vector<float> values = random.logits<float>(size);
    for (std::size_t i = 0; i < size; ++i) {
      if (i % 64 < great_ones_of_a_block && (great_ones_of_a_block < 60 || i / 64 % 16 == 0)) values[i] += 20.0F;
    }
    const scanned_row<float> row(values);
    const places order = ranked(row.values);
    for (const std::size_t count : {100U, 200U, 300U, 500U, 1000U, 1024U, 1025U, 2048U, 2049U}) {
      CAPTURE(great_ones_of_a_block, count);
      CHECK(places_of<float>(selection.best(row.view(), count)) == first_in_order(order, count));
    }
  }
}

TEMPLATE_TEST_CASE("all entries that reach a threshold are found, in replaced blocks too", "", float, double) {
  random_source random(22);
  row_selection<TestType> selection;
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = random.between(1, 1000);
    const std::vector<TestType> base = some_row<TestType>(random, size);
    const std::vector<TestType> other = some_row<TestType>(random, size);
    std::vector<unsigned char> is_replaced((size + 63) / 64);
    std::vector<TestType> mixed = base;
    for (std::size_t b = 0; b < is_replaced.size(); ++b) {
      is_replaced[b] = random.coin(0.3) ? 1 : 0;
      for (std::size_t i = 64 * b; is_replaced[b] != 0 && i < std::min(size, 64 * b + 64); ++i) mixed[i] = other[i];
    }
    const scanned_row<TestType> expected(mixed);
    const blocked_row<TestType> row{base.data(), size, expected.maxima.data(), other.data(), is_replaced.data()};
    selection.reserve(size);
    const auto threshold = static_cast<TestType>(random.uniform(-4, 4));
    places reach;
    for (std::size_t i = 0; i < size; ++i) {
      if (mixed[i] >= threshold) reach.push_back(static_cast<std::int32_t>(i));
    }
    const auto found = selection.at_least(row, threshold);
    CHECK(places_of<TestType>(found) == reach);
    for (std::size_t i = 0; i < found.count; ++i) {
      CHECK(found.values[i] == mixed[static_cast<std::size_t>(found.places[i])]);
    }
  }
}

TEMPLATE_TEST_CASE("the prefix of a probability is that of a full sort, short and long", "", float, double) {
  random_source random(23);
  row_selection<TestType> selection;
  for (int round = 0; round < 150; ++round) {
    // Beyond 8192 entries a long prefix is looked for around an estimate.
    const std::size_t size = round % 10 == 0 ? random.between(9000, 14000) : random.between(1, 900);
    const scanned_row<TestType> row(some_row<TestType>(random, size));
    const soft_max_of<TestType> law{*std::max_element(row.maxima.begin(), row.maxima.end()), random.uniform(0.5, 2)};
    selection.reserve(size);
    const places order = ranked(row.values);
    std::vector<double> mass_before;
    double mass = 0;
    for (const std::int32_t i : order) {
      mass_before.push_back(mass);
      mass += std::exp(static_cast<double>(row.values[static_cast<std::size_t>(i)] - law.top) / law.divisor);
    }
    const double p = random.coin(0.2) ? random.uniform(0.99, 1) : random.uniform();
    const auto kept = static_cast<std::size_t>(
        std::count_if(mass_before.begin(), mass_before.end(), [&](double before) { return before < p * mass; }));
    // A border closer than rounding may fall to either side.
    const auto near_border = [&](std::size_t place) {
      return place < mass_before.size() && std::abs(mass_before[place] - p * mass) < 3e-7 * mass;
    };
    if (near_border(kept) || (kept > 0 && near_border(kept - 1))) continue;
    CAPTURE(size, p, law.divisor, kept);
    CHECK(places_of<TestType>(selection.prefix(row.view(), row.values.data(), law, p)) ==
          first_in_order(order, std::max<std::size_t>(kept, 1)));
  }
}

TEST_CASE("a prefix of equals is cut by place") {
  for (const std::size_t size : {16U, 4096U, 16384U}) {
    const scanned_row<float> row(std::vector<float>(size, 2.0F));
    row_selection<float> selection;
    selection.reserve(size);
    const auto found = selection.prefix(row.view(), row.values.data(), {2.0F, 1.0}, 0.25);
    CHECK(found.count == size / 4);
    CHECK(found.places[0] == 0);
    CHECK(found.places[found.count - 1] == static_cast<std::int32_t>(size / 4 - 1));
  }
}

TEST_CASE("an estimate that the sample led astray still gives the exact prefix") {
  // The sample takes every second block of 64; here those are flat, and all differences lie in the others.
  std::vector<float> values(16384, 0.0F);
  random_source random(24);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i / 64 % 2 == 1) values[i] = static_cast<float>(2.5 * random.normal());
  }
  const scanned_row<float> row(values);
  row_selection<float> selection;
  selection.reserve(values.size());
  const float top = *std::max_element(values.begin(), values.end());
  const places order = ranked(values);
  for (const double p : {0.3, 0.6, 0.8, 0.9, 0.97, 0.999}) {
    double total = 0;
    for (const float x : values) total += std::exp(static_cast<double>(x - top));
    double before = 0;
    std::size_t kept = 0;
    while (before < p * total)
      before += std::exp(static_cast<double>(values[static_cast<std::size_t>(order[kept++])] - top));
    CHECK(places_of<float>(selection.prefix(row.view(), values.data(), {top, 1.0}, p)) == first_in_order(order, kept));
  }
}
