// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What every set of vocabulary kernels must pass: against what they mean, bit for bit against the scalar set, and
// between pages that nobody may touch. Test cases, for programs that define before this `vocabulary_sets()`, the sets
// to test.
#ifndef DECANT_TESTS_KERNELS_VOCABULARY_CASES_HPP
#define DECANT_TESTS_KERNELS_VOCABULARY_CASES_HPP

#include <decant/kernels/vocabulary.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "support/guarded_row.hpp"
#include "support/random.hpp"
#include "support/test_kit.hpp"

namespace {

using namespace decant::cpu;
using decant_test::guarded_end;
using decant_test::guarded_row;
using decant_test::random_source;

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float largest_float = std::numeric_limits<float>::max();

/// Every size up to 200, and the edges of blocks, groups of blocks and blocks of a law.
std::vector<std::size_t> edge_sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 1; size <= 200; ++size) sizes.push_back(size);
  for (const std::size_t edge : {256U, 320U, 512U, 1024U, 1280U}) {
    for (std::size_t size = edge - 1; size <= edge + 1; ++size) sizes.push_back(size);
  }
  return sizes;
}

/// Logits with bans, ties and, now and then, extreme values.
void fill_logits(random_source& random, std::span<float> row) {
  for (float& x : row) x = static_cast<float>(4 * random.normal());
  for (float& x : row) {
    if (random.coin(0.05)) x = -inf;
    if (random.coin(0.05)) x = 2.0F;
    if (random.coin(0.005)) x = -largest_float;
    if (random.coin(0.005)) x = std::numeric_limits<float>::denorm_min();
  }
}

template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}
template <class T>
bool same_bits(std::span<T> a, std::span<T> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// Everything that one set of kernels makes of a row and weights, in guarded memory.
struct results {
  std::size_t size;
  guarded_row<float> maxima, copy, lane_maxima, weights, keys, key_maxima, left;
  guarded_row<double> block_masses, left_masses, summed;
  std::vector<std::int32_t> ids, band_ids;
  std::vector<float> values, band_keys, band_weights;
  float largest = 0;
  row_facts facts{};
  std::size_t found = 0, reach = 0, collected = 0;
  double mass = 0, weighed = 0, left_mass = 0, sum = 0;
  weight_sums sums{};
  mass_and_count above{};
  band middle{};
  spread around{};

  results(const vocabulary_kernels& k, std::span<const float> row, std::span<const float> other, guarded_end end)
      : size(row.size()),
        maxima(blocks(), end),
        copy(size, end),
        lane_maxima(16 * blocks(), end),
        weights(size, end),
        keys(size, end),
        key_maxima(blocks(), end),
        left(size, end),
        block_masses(mass_blocks(), end),
        left_masses(mass_blocks(), end),
        summed(mass_blocks(), end),
        ids(size + collect_slack),
        band_ids(size + collect_slack),
        values(size + collect_slack),
        band_keys(size + collect_slack),
        band_weights(size + collect_slack) {
    const weight_rule rule = weight_rule_of(9.0F, 0.7);
    largest = k.largest(row.data(), size);
    facts = k.scan(row.data(), size, maxima.data(), copy.data());
    found = k.find(row.data(), size, 2.0F);
    reach = k.count_at_least(row.data(), size, 1.0F);
    collected = k.collect_blocks({row.data(), size, maxima.data()}, 1.0F, ids.data(), values.data());
    k.lane_maxima(row.data(), size, lane_maxima.data());
    mass = k.mass(row.data(), size, rule);
    sums = k.mass_and_distance(row.data(), size, rule);
    weighed = k.weigh(row.data(), size, rule, weights.data(), block_masses.data());
    above = k.mass_at_least(row.data(), weights.data(), size, 1.0F);
    middle = k.between(nullptr, row.data(), weights.data(), size, 0.0F, 3.0F, band_ids.data(), band_keys.data(),
                       band_weights.data());
    k.nearness(row.data(), size, 1.5F, keys.data(), key_maxima.data());
    around = k.spread_around(row.data(), size, 0.5F);
    left_mass = k.subtract(weights.data(), other.data(), size, 1.25, 0.75, left.data(), left_masses.data());
    sum = k.sum_blocks(weights.data(), size, summed.data());
  }

  [[nodiscard]] std::size_t blocks() const { return (size + logit_block - 1) / logit_block; }
  [[nodiscard]] std::size_t mass_blocks() const { return (size + mass_block - 1) / mass_block; }

  /// The names of what differs in bits.
  [[nodiscard]] std::string differences_from(results& other) {
    std::string names;
    const auto check = [&names](bool same, const char* name) { names += same ? "" : std::string(name) + " "; };
    check(same_bits(largest, other.largest), "largest");
    check(same_bits(facts.largest, other.facts.largest) && facts.has_nan == other.facts.has_nan, "scan");
    check(same_bits(maxima.span(), other.maxima.span()) && same_bits(copy.span(), other.copy.span()), "scan rows");
    check(found == other.found && reach == other.reach, "find count_at_least");
    check(collected == other.collected && std::equal(ids.begin(), at(ids, collected), other.ids.begin()) &&
              same_bits(first(values, collected), first(other.values, collected)),
          "collect_blocks");
    check(same_bits(lane_maxima.span(), other.lane_maxima.span()), "lane_maxima");
    check(same_bits(mass, other.mass) && same_bits(sums.mass, other.sums.mass), "mass");
    check(same_bits(sums.distance, other.sums.distance), "distance");
    check(same_bits(weighed, other.weighed) && same_bits(weights.span(), other.weights.span()), "weigh");
    check(same_bits(block_masses.span(), other.block_masses.span()), "block masses");
    check(same_bits(above.mass, other.above.mass) && above.count == other.above.count, "mass_at_least");
    check(same_bits(middle.mass_above, other.middle.mass_above) && middle.count_above == other.middle.count_above &&
              middle.kept == other.middle.kept &&
              std::equal(band_ids.begin(), at(band_ids, middle.kept), other.band_ids.begin()) &&
              same_bits(first(band_keys, middle.kept), first(other.band_keys, middle.kept)) &&
              same_bits(first(band_weights, middle.kept), first(other.band_weights, middle.kept)),
          "between");
    check(same_bits(keys.span(), other.keys.span()) && same_bits(key_maxima.span(), other.key_maxima.span()),
          "nearness");
    check(around.count == other.around.count && same_bits(around.sum, other.around.sum) &&
              same_bits(around.squares, other.around.squares),
          "spread_around");
    check(same_bits(left_mass, other.left_mass) && same_bits(left.span(), other.left.span()) &&
              same_bits(left_masses.span(), other.left_masses.span()),
          "subtract");
    check(same_bits(sum, other.sum) && same_bits(summed.span(), other.summed.span()), "sum_blocks");
    return names;
  }

 private:
  template <class T>
  static typename std::vector<T>::iterator at(std::vector<T>& v, std::size_t place) {
    return v.begin() + static_cast<std::ptrdiff_t>(place);
  }
  static std::span<float> first(std::vector<float>& v, std::size_t count) { return std::span(v).first(count); }
};

/// Calls `check(row, other row)` at all edge sizes with either end of the rows at a guard page.
template <class Check>
void for_guarded_rows(std::uint64_t seed, const Check& check) {
  random_source random(seed);
  for (const std::size_t size : edge_sizes()) {
    for (const guarded_end end : {guarded_end::first, guarded_end::last}) {
      guarded_row<float> row(size, end);
      guarded_row<float> other(size, end);
      fill_logits(random, row.span());
      for (float& x : other.span()) x = static_cast<float>(random.uniform());
      check(std::span<const float>(row.span()), std::span<const float>(other.span()), end);
    }
  }
}

}  // namespace

TEST_CASE("vocabulary kernels give the same bits on every instruction set and stay inside their rows") {
  for_guarded_rows(1, [](std::span<const float> row, std::span<const float> other, guarded_end end) {
    results specified(vocabulary_kernels_of(decant::instruction_set::scalar), row, other, end);
    for (const vocabulary_kernels* set : vocabulary_sets()) {
      results found(*set, row, other, end);
      CAPTURE(row.size());
      CHECK(found.differences_from(specified) == "");
    }
  });
}

TEST_CASE("vocabulary kernels do what plain loops do") {
  const vocabulary_kernels& scalar = vocabulary_kernels_of(decant::instruction_set::scalar);
  for_guarded_rows(2, [&](std::span<const float> row, std::span<const float> other, guarded_end end) {
    results found(scalar, row, other, end);
    const std::size_t size = row.size();
    const float largest = *std::max_element(row.begin(), row.end());
    int wrong = 0;
    const auto expect = [&wrong](bool holds) { wrong += holds ? 0 : 1; };
    expect(found.largest == largest && found.facts.largest == largest && !found.facts.has_nan);
    std::vector<std::int32_t> ids;
    double mass = 0;
    double distance = 0;
    double distances = 0;
    double above = 0;
    double left = 0;
    std::size_t finite = 0;
    double squares = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double exact = std::exp((static_cast<double>(row[i]) - 9.0) / 0.7);
      const auto weight = static_cast<double>(found.weights.span()[i]);
      const double unit = std::ldexp(1.0, std::max(std::ilogb(std::max(exact, 1e-300)), -126) - 23);
      expect(std::abs(weight - exact) <= unit);
      expect(found.copy.span()[i] == row[i]);
      expect(found.keys.span()[i] == -std::abs(row[i] - 1.5F));
      expect(found.maxima.span()[i / logit_block] >= row[i]);
      expect(found.lane_maxima.span()[i / logit_block * 16 + i % 16] >= row[i]);
      expect(found.key_maxima.span()[i / logit_block] >= found.keys.span()[i]);
      if (row[i] >= 1.0F) {
        ids.push_back(static_cast<std::int32_t>(i));
        above += weight;
      }
      mass += weight;
      if (weight > 0) distance += weight * (9.0 - static_cast<double>(row[i]));
      if (weight > 0) distances += weight * std::abs(9.0 - static_cast<double>(row[i]));
      const double difference = std::fma(-0.75, static_cast<double>(other[i]), 1.25 * weight);
      expect(found.left.span()[i] == static_cast<float>(std::max(difference, 0.0)));
      left += std::max(difference, 0.0);
      if (row[i] > -inf) {
        ++finite;
        squares += std::pow(static_cast<double>(row[i]) - 0.5, 2);
      }
    }
    const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b) + 1e-300; };
    expect(found.reach == ids.size() && found.collected == ids.size());
    expect(std::equal(ids.begin(), ids.end(), found.ids.begin()));
    expect(near(found.mass, mass) && near(found.weighed, mass) && near(found.sum, mass) && near(found.sums.mass, mass));
    expect(std::abs(found.sums.distance - distance) <= 1e-6 * distances + 1e-300);
    expect(near(found.above.mass, above) && found.above.count == ids.size());
    expect(std::abs(found.left_mass - left) <= 1e-6 * (left + 1));
    expect(found.around.count == finite);
    if (squares < 1e30) expect(near(found.around.squares, squares));
    const auto place = std::find(row.begin(), row.end(), 2.0F) - row.begin();
    expect(found.found == static_cast<std::size_t>(place));
    double blocks = 0;
    for (const double block : found.block_masses.span()) blocks += block;
    expect(near(blocks, mass));
    CAPTURE(size);
    CHECK(wrong == 0);
  });
}

TEST_CASE("a scan sees NaN and infinity at every place") {
  for (const vocabulary_kernels* set : vocabulary_sets()) {
    for (const std::size_t size : {1U, 16U, 63U, 64U, 65U, 200U, 256U, 321U}) {
      std::vector<float> row(size, 1.0F);
      std::vector<float> maxima((size + logit_block - 1) / logit_block);
      int wrong = 0;
      for (std::size_t place = 0; place < size; ++place) {
        for (const float special : {not_a_number, -not_a_number, inf, -inf}) {
          row[place] = special;
          const row_facts facts = set->scan(row.data(), size, maxima.data(), nullptr);
          wrong += facts.has_nan == (special != special) ? 0 : 1;
          const float expected = special == inf ? inf : size == 1 ? -inf : 1.0F;
          wrong += facts.largest == expected ? 0 : 1;
        }
        row[place] = 1.0F;
      }
      CAPTURE(size);
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("weights are within a unit in the last place of the exact ones over their whole range") {
  random_source random(3);
  for (const float top : {0.0F, 19.0F, -700.0F, 30000.0F}) {
    for (const double temperature : {0.5, 1.0, 1.7}) {
      if (!has_weight_rule(top, temperature)) continue;
      std::vector<float> row(4096);
      for (float& x : row) x = static_cast<float>(static_cast<double>(top) - 110 * temperature * random.uniform());
      row[5] = top;
      row[6] = -inf;
      std::vector<float> weights(row.size());
      for (const vocabulary_kernels* set : vocabulary_sets()) {
        set->weigh(row.data(), row.size(), weight_rule_of(top, temperature), weights.data(), nullptr);
        CHECK(weights[5] == 1.0F);
        CHECK(weights[6] == 0.0F);
        double worst = 0;
        for (std::size_t i = 0; i < row.size(); ++i) {
          const double exact = std::exp((static_cast<double>(row[i]) - static_cast<double>(top)) / temperature);
          const double unit = std::ldexp(1.0, std::max(std::ilogb(std::max(exact, 1e-300)), -126) - 23);
          worst = std::max(worst, std::abs(static_cast<double>(weights[i]) - exact) / unit);
        }
        CAPTURE(top, temperature, worst);
        CHECK(worst <= 1);
      }
    }
  }
}

TEST_CASE("a rough mass is within 5 % and the same on every instruction set") {
  for_guarded_rows(8, [](std::span<const float> row, std::span<const float>, guarded_end) {
    const float top = *std::max_element(row.begin(), row.end());
    for (const double temperature : {0.3, 1.0, 2.7}) {
      if (top == -inf || !has_weight_rule(top, temperature)) continue;
      const weight_rule rule = weight_rule_of(top, temperature);
      const vocabulary_kernels& scalar = vocabulary_kernels_of(decant::instruction_set::scalar);
      const double rough = scalar.rough_mass(row.data(), row.size(), rule);
      const double exact = scalar.mass(row.data(), row.size(), rule);
      CAPTURE(row.size(), rough, exact);
      CHECK(std::abs(rough - exact) <= 0.047 * exact);
      for (const vocabulary_kernels* set : vocabulary_sets()) {
        CHECK(same_bits(set->rough_mass(row.data(), row.size(), rule), rough));
      }
    }
  });
}

TEST_CASE("the best logit weighs 1 exactly") {
  random_source random(5);
  for (int round = 0; round < 2000; ++round) {
    const double temperature = std::exp2(random.uniform(-4, 4));
    const auto top = static_cast<float>(random.normal() * std::exp2(random.uniform(-20, 12)) * temperature);
    float weight = 0;
    for (const vocabulary_kernels* set : vocabulary_sets()) {
      set->weigh(&top, 1, weight_rule_of(top, temperature), &weight, nullptr);
      CAPTURE(top, temperature);
      CHECK(weight == 1.0F);
    }
  }
}

TEST_CASE("NaN logits have NaN weights") {
  std::vector<float> row(70, 1.0F);
  row[66] = not_a_number;
  for (const vocabulary_kernels* set : vocabulary_sets()) {
    CHECK(std::isnan(set->mass(row.data(), row.size(), weight_rule_of(1.0F, 1.0))));
  }
}

TEST_CASE("what reaches a threshold is collected from the blocks that have it, replaced ones too") {
  random_source random(6);
  for_guarded_rows(7, [&](std::span<const float> row, std::span<const float> other, guarded_end end) {
    const std::size_t size = row.size();
    guarded_row<float> maxima((size + logit_block - 1) / logit_block, end);
    std::vector<unsigned char> is_replaced(maxima.span().size());
    for (unsigned char& is : is_replaced) is = random.coin(0.3) ? 1 : 0;
    const float threshold = static_cast<float>(random.uniform(-2, 8));
    std::vector<std::int32_t> expected;
    std::fill(maxima.span().begin(), maxima.span().end(), -inf);
    const auto value_at = [&](std::size_t i) { return is_replaced[i / logit_block] != 0 ? other[i] : row[i]; };
    for (std::size_t i = 0; i < size; ++i) {
      float& largest = maxima.span()[i / logit_block];
      largest = std::max(largest, value_at(i));
      if (value_at(i) >= threshold) expected.push_back(static_cast<std::int32_t>(i));
    }
    const blocked_row<float> mixed{row.data(), size, maxima.span().data(), other.data(), is_replaced.data()};
    std::vector<std::int32_t> ids(size + collect_slack);
    std::vector<float> values(size + collect_slack);
    for (const vocabulary_kernels* set : vocabulary_sets()) {
      const std::size_t found = set->collect_blocks(mixed, threshold, ids.data(), values.data());
      CAPTURE(size);
      REQUIRE(found == expected.size());
      CHECK(std::equal(expected.begin(), expected.end(), ids.begin()));
      int wrong = 0;
      for (std::size_t i = 0; i < found; ++i) wrong += values[i] == value_at(static_cast<std::size_t>(ids[i])) ? 0 : 1;
      CHECK(wrong == 0);
    }
  });
}

TEST_CASE("entries between two keys can be moved within their own memory") {
  random_source random(4);
  for (const vocabulary_kernels* set : vocabulary_sets()) {
    for (const std::size_t size : {10U, 64U, 130U, 1000U}) {
      std::vector<float> keys = random.logits<float>(size);
      std::vector<float> weights = random.weights<float>(size);
      keys.resize(size + collect_slack);
      weights.resize(size + collect_slack);
      std::vector<std::int32_t> ids(size + collect_slack);
      for (std::size_t i = 0; i < size; ++i) ids[i] = static_cast<std::int32_t>(3 * i);
      std::vector<std::int32_t> expected;
      for (std::size_t i = 0; i < size; ++i) {
        if (keys[i] >= -0.5F && keys[i] < 1.0F) expected.push_back(ids[i]);
      }
      const band left = set->between(ids.data(), keys.data(), weights.data(), size, -0.5F, 1.0F, ids.data(),
                                     keys.data(), weights.data());
      ids.resize(left.kept);
      CHECK(ids == expected);
    }
  }
}

#endif
