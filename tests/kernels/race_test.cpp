// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The race kernels of every instruction set that this machine runs, and the winners of whole races on rows of floats
// against the sorted race.
#include <decant/kernels/race.hpp>

#include <vector>

namespace {

std::vector<const decant::cpu::race_kernels*> race_sets() {
  std::vector<const decant::cpu::race_kernels*> sets;
  for (const decant::instruction_set set : decant::every_instruction_set) {
    if (decant::runs(set)) sets.push_back(&decant::cpu::race_kernels_of(set));
  }
  return sets;
}

}  // namespace

#include "kernels/race_cases.hpp"
#include "support/laws.hpp"

#include <algorithm>
#include <utility>

namespace {

using decant::chance_key;
using decant::distribution_view;
using decant::draft_key;
using decant::philox_chance;
using decant::token;
using decant_test::dense_law;
using decant_test::guarded_end;
using decant_test::guarded_row;
using decant_test::random_source;
using decant_test::sparse_law;

/// All tokens of positive weight in the order of their arrivals, by definition.
template <class Real>
std::vector<token> sorted_race(const philox_chance& chance, chance_key key, const std::vector<Real>& weights) {
  const decant::cpu::race_noise noise{{key.index, static_cast<std::uint32_t>(key.purpose) << 24,
                                       static_cast<std::uint32_t>(key.position), chance.sequence},
                                      chance.seed};
  std::vector<std::pair<double, token>> race;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto id = static_cast<token>(i);
    if (!(weights[i] > Real(0))) continue;
    race.emplace_back(-std::log(decant_test::race_cases::uniform_of(noise, id)) / static_cast<double>(weights[i]), id);
  }
  std::sort(race.begin(), race.end());
  std::vector<token> order;
  for (const auto& one : race) order.push_back(one.second);
  return order;
}

template <class Real>
std::vector<token> winners(const philox_chance& chance, chance_key key, distribution_view<Real> law,
                           std::size_t count) {
  std::vector<token> out(count);
  out.resize(chance.ordered_sample(key, law, std::span<token>(out)));
  return out;
}

/// Both forms of a law, with the dense row next to pages that nobody may touch, draw the first of the sorted race.
template <class Real>
void check_races(random_source& random, const std::vector<Real>& weights, std::initializer_list<std::size_t> counts) {
  CAPTURE(weights.size());
  const auto dense = dense_law(weights);
  const auto sparse = sparse_law(weights);
  guarded_row<Real> row(weights.size(), random.coin() ? guarded_end::first : guarded_end::last);
  std::copy(weights.begin(), weights.end(), row.data());
  const distribution_view<Real> guarded(row.span(), dense.view().mass(), dense.view().block_masses());
  const philox_chance chance{random.bits(), static_cast<std::uint32_t>(random.below(9))};
  const chance_key key = draft_key(random.below(1U << 20), static_cast<decant::node_id>(random.below(64)));
  std::vector<token> expected = sorted_race(chance, key, weights);
  for (const std::size_t count : counts) {
    CAPTURE(count);
    const std::vector<token> first(expected.begin(),
                                   expected.begin() + static_cast<std::ptrdiff_t>(std::min(count, expected.size())));
    CHECK(winners(chance, key, guarded, count) == first);
    CHECK(winners(chance, key, distribution_view<Real>(row.span(), dense.view().mass()), count) == first);
    CHECK(winners(chance, key, sparse.view(), count) == first);
  }
}

}  // namespace

TEST_CASE("races on rows of floats are won by the first of the sorted race") {
  random_source random(721);
  for (std::size_t size = 1; size <= 200; ++size) {
    check_races(random, random.weights<float>(size, random.uniform(0, 0.9)), {0, 1, 2, 16, size + 3});
  }
  for (const std::size_t edge : {256U, 512U, 1024U, 1536U}) {
    for (std::size_t size = edge - 1; size <= edge + 1; ++size) {
      check_races(random, random.weights<float>(size, random.uniform(0, 0.9)), {1, 5, 64, 1024});
    }
  }
  check_races(random, random.weights<float>(20'001, 0.1), {1, 7, 300, 1024});
  check_races(random, random.weights<double>(3'001, 0.1), {1, 7, 300, 1024});
}

TEST_CASE("races over extreme weights are won by the first of the sorted race") {
  random_source random(722);
  for (const std::size_t size : {50U, 100U, 700U, 3000U}) {
    for (int round = 0; round < 10; ++round) {
      std::vector<float> weights(size);
      decant_test::race_cases::fill_weights(random, weights);
      weights[0] = 1.0F;
      check_races(random, weights, {1, 3, 40, 1024});
    }
    std::vector<float> one_hot(size, 0.0F);
    one_hot[random.below(size)] = 0.25F;
    check_races(random, one_hot, {1, 2});
    check_races(random, std::vector<float>(size, std::numeric_limits<float>::denorm_min()), {1, 2, 80});
    check_races(random, std::vector<float>(size, std::numeric_limits<float>::max()), {1, 2, 80});
  }
}

TEST_CASE("blocks without a chance are passed over, all others are not") {
  // A cold law: most blocks together weigh less than any arrival could make up for; one token among them does not.
  random_source random(723);
  for (int round = 0; round < 20; ++round) {
    std::vector<float> weights(6000);
    for (float& x : weights) x = static_cast<float>(std::ldexp(random.uniform(0.5, 1), -80));
    weights[random.below(200)] = 1.0F;
    weights[random.between(3000, 5999)] = static_cast<float>(random.uniform(0.5, 4));
    weights[random.between(1000, 5999)] = 0x1p-40F;
    check_races(random, weights, {1, 2, 3, 4, 20});
  }
}

TEST_CASE("of tokens that arrive at the same time the lowest ids win") {
  // Such weights let everybody arrive at infinity.
  const std::vector<double> weights(300, std::numeric_limits<double>::denorm_min());
  std::vector<token> lowest(40);
  for (std::size_t i = 0; i < lowest.size(); ++i) lowest[i] = static_cast<token>(i);
  for (std::uint64_t position = 0; position < 5; ++position) {
    CHECK(winners(philox_chance{9}, draft_key(position, 0), dense_law(weights).view(), 40) == lowest);
    CHECK(winners(philox_chance{9}, draft_key(position, 0), sparse_law(weights).view(), 40) == lowest);
  }
}

TEST_CASE("the winners of a seed are pinned") {
  std::vector<float> weights(2000);
  for (std::size_t v = 0; v < weights.size(); ++v) weights[v] = static_cast<float>(1 + v * 7919 % 1000);
  const auto law = dense_law(weights);
  CHECK(winners(philox_chance{5, 2}, draft_key(77, 3), law.view(), 8) ==
        std::vector<token>{1359, 452, 710, 619, 892, 562, 1400, 360});
  CHECK(winners(philox_chance{6}, decant::sample_key(1000), law.view(), 8) ==
        std::vector<token>{1671, 1138, 1611, 1871, 1830, 1359, 1951, 127});
}
