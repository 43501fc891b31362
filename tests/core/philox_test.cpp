// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/core/philox.hpp>

#include "tests/support/laws.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

#include <set>
#include <utility>
#include <vector>

namespace {

using decant::accept_key;
using decant::chance_key;
using decant::chance_purpose;
using decant::draft_key;
using decant::index;
using decant::philox4x32;
using decant::philox_block;
using decant::philox_chance;
using decant::sample_key;
using decant::token;
using decant_test::dense_law;
using decant_test::frequencies_agree;
using decant_test::law_in_form;
using decant_test::random_source;
using decant_test::sparse_law;

using weights = std::vector<double>;

/// The arrival time that the exponential race gives a token, from the definition alone.
double arrival_time(const philox_chance& chance, chance_key key, token id, double weight) {
  const std::uint32_t second_word =
      (static_cast<std::uint32_t>(key.purpose) << 24) | (1 + static_cast<std::uint32_t>(id) / 2);
  const philox_block bits =
      philox4x32({key.index, second_word, static_cast<std::uint32_t>(key.position), chance.sequence}, chance.seed);
  const std::size_t half = id % 2 == 0 ? 0 : 2;
  return -std::log(decant::open_unit_interval(bits[half], bits[half + 1])) / weight;
}

std::vector<token> sample(const philox_chance& chance, chance_key key, decant::distribution_view<double> law,
                          std::size_t count) {
  std::vector<token> out(count);
  out.resize(chance.ordered_sample(key, law, std::span<token>(out)));
  return out;
}

}  // namespace

TEST_CASE("Philox4x32-10 gives the published vectors") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(philox4x32({0, 0, 0, 0}, 0) == philox_block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({ones, ones, ones, ones}, ~std::uint64_t{0}) ==
        philox_block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
        philox_block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  static_assert(philox4x32({0, 0, 0, 0}, 0)[0] == 0x6627e8d5);
}

TEST_CASE("a batch of blocks equals the blocks one by one") {
  random_source random(301);
  for (int round = 0; round < 20; ++round) {
    decant::philox_batch batch{};
    for (auto& word : batch) {
      for (auto& lane : word) lane = static_cast<std::uint32_t>(random.bits());
    }
    const std::uint64_t key = random.bits();
    const decant::philox_batch counters = batch;
    philox4x32(batch, key);
    for (std::size_t lane = 0; lane < decant::philox_lanes; ++lane) {
      const philox_block alone =
          philox4x32({counters[0][lane], counters[1][lane], counters[2][lane], counters[3][lane]}, key);
      CHECK(alone == philox_block{batch[0][lane], batch[1][lane], batch[2][lane], batch[3][lane]});
    }
  }
}

TEST_CASE("uniforms stay inside their intervals at both ends") {
  constexpr std::uint32_t ones = 0xffffffff;
  CHECK(decant::unit_interval(0, 0) == 0);
  CHECK(decant::unit_interval(ones, ones) == 1 - 0x1.0p-53);
  CHECK(decant::open_unit_interval(0, 0) == 0x1.0p-53);
  CHECK(decant::open_unit_interval(ones, ones) == 1 - 0x1.0p-53);
  CHECK(decant::unit_interval(0, 1u << 11) == 0x1.0p-53);
}

TEST_CASE("accept compares without dividing and respects its edges") {
  const philox_chance chance{5};
  for (std::uint64_t position = 0; position < 300; ++position) {
    const chance_key key = accept_key(position, 1);
    CHECK_FALSE(chance.accept(key, 0.0, 1.0));
    CHECK_FALSE(chance.accept(key, 0.0, 0.0));
    CHECK_FALSE(chance.accept(key, -1.0, 1.0));
    CHECK(chance.accept(key, 1.0, 1.0));
    CHECK(chance.accept(key, 2.0, 1.0));
    CHECK(chance.accept(key, 1e-300, 0.0));
    CHECK(chance.accept(key, 0.3, 0.7) == chance.accept(key, 3.0, 7.0));
  }
}

TEST_CASE("accept has its probability") {
  constexpr double count = 40000;
  for (const double p : {0.01, 0.3, 0.5, 0.97}) {
    double accepted = 0;
    for (std::uint64_t position = 0; position < 40000; ++position) {
      accepted += philox_chance{6}.accept(accept_key(position, 3), p * 7, 7.0);
    }
    CHECK(frequencies_agree({accepted, count - accepted}, {p * count, (1 - p) * count}));
    CHECK_FALSE(frequencies_agree({accepted, count - accepted}, {(p + 0.02) * count, (0.98 - p) * count}));
  }
}

TEST_CASE("pick follows the law") {
  random_source random(302);
  constexpr std::uint64_t count = 40000;
  for (int round = 0; round < 5; ++round) {
    const weights p = random.weights<double>(random.between(2, 20), 0.3);
    const auto law = law_in_form(p, random.coin());
    weights counts(p.size(), 0.0);
    for (std::uint64_t position = 0; position < count; ++position) {
      counts[index(philox_chance{7}.pick(sample_key(position), law.view()))] += 1;
    }
    weights expected(p.size());
    for (std::size_t i = 0; i < p.size(); ++i) {
      expected[i] = static_cast<double>(count) * law.view().probability(static_cast<token>(i));
    }
    CHECK(frequencies_agree(counts, expected));
  }
}

TEST_CASE("a draw by blocks is the draw by one running sum") {
  decant::distribution<float> law;
  constexpr std::size_t size = 5 * decant::law_block + 17;
  const std::span<float> weights = law.begin_dense(size);
  for (std::size_t v = 0; v < size; ++v) {
    // Whole numbers, with empty tokens and an empty block.
    weights[v] = v / decant::law_block == 2 ? 0.0f : static_cast<float>(v * 7919 % 11);
  }
  REQUIRE(law.finish() == decant::error_code::none);
  const decant::distribution_view<float> by_blocks = law.view();
  const decant::distribution_view<float> by_one_sum(weights, by_blocks.mass());
  REQUIRE(!by_blocks.block_masses().empty());
  REQUIRE(by_one_sum.block_masses().empty());
  for (int i = 0; i < 20000; ++i) {
    const double u = i / 20000.0;
    REQUIRE(decant::inverse_cdf(by_blocks, u) == decant::inverse_cdf(by_one_sum, u));
  }
  CHECK(decant::inverse_cdf(by_blocks, 1 - 0x1.0p-53) == decant::inverse_cdf(by_one_sum, 1 - 0x1.0p-53));
}

TEST_CASE("inverse_cdf at its ends never gives a token without weight") {
  const auto law = dense_law(weights{0, 1, 0, 1, 0});
  CHECK(decant::inverse_cdf(law.view(), 0.0) == 1);
  CHECK(decant::inverse_cdf(law.view(), std::nextafter(0.5, 0.0)) == 1);
  CHECK(decant::inverse_cdf(law.view(), 0.5) == 3);
  CHECK(decant::inverse_cdf(law.view(), 1 - 0x1.0p-53) == 3);
  decant::distribution<double> overstated = law;  // a mass that rounding made too large
  REQUIRE(overstated.finish(2.5) == decant::error_code::none);
  CHECK(decant::inverse_cdf(overstated.view(), 0.99) == 3);
}

TEST_CASE("dense and sparse forms of a law draw the same") {
  random_source random(303);
  for (int round = 0; round < 200; ++round) {
    const weights p = random.weights<double>(random.between(1, 200), random.uniform(0, 0.9));
    const auto dense = dense_law(p);
    const auto sparse = sparse_law(p);
    const philox_chance chance{random.bits(), 3};
    const chance_key key = sample_key(random.below(1000));
    CHECK(chance.pick(key, dense.view()) == chance.pick(key, sparse.view()));
    const std::size_t count = random.below(10);
    CHECK(sample(chance, key, dense.view(), count) == sample(chance, key, sparse.view(), count));
  }
}

TEST_CASE("an ordered sample is the sorted race") {
  random_source random(304);
  for (int round = 0; round < 300; ++round) {
    const weights p = random.weights<double>(random.between(1, 150), random.uniform(0, 0.8));
    const philox_chance chance{random.bits(), static_cast<std::uint32_t>(random.below(9))};
    const chance_key key = draft_key(random.below(1u << 20), static_cast<decant::node_id>(random.below(64)));
    std::vector<std::pair<double, token>> race;
    for (std::size_t i = 0; i < p.size(); ++i) {
      const auto id = static_cast<token>(i);
      if (p[i] > 0) race.emplace_back(arrival_time(chance, key, id, p[i]), id);
    }
    std::sort(race.begin(), race.end());
    const std::size_t count = random.between(0, p.size() + 3);
    std::vector<token> expected;
    for (std::size_t i = 0; i < std::min(count, race.size()); ++i) expected.push_back(race[i].second);
    CHECK(sample(chance, key, law_in_form(p, random.coin()).view(), count) == expected);
  }
}

TEST_CASE("ordered pairs follow Plackett and Luce") {
  const weights p{4, 1, 0, 3, 2};
  const auto law = dense_law(p);
  constexpr std::uint64_t count = 60000;
  weights counts(25, 0.0);
  for (std::uint64_t position = 0; position < count; ++position) {
    const auto pair = sample(philox_chance{8}, draft_key(position, 0), law.view(), 2);
    REQUIRE(pair.size() == 2);
    counts[index(pair[0]) * 5 + index(pair[1])] += 1;
  }
  weights expected(25, 0.0);
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      if (i != j) expected[i * 5 + j] = static_cast<double>(count) * p[i] / 10 * p[j] / (10 - p[i]);
    }
  }
  CHECK(frequencies_agree(counts, expected));
}

TEST_CASE("draws with different keys are independent") {
  // Pairs of picks that differ in one part of the key only: the joint law is the product.
  const auto law = dense_law(weights{1, 2, 1});
  constexpr std::uint64_t count = 30000;
  const auto check = [&](auto first, auto second) {
    weights counts(9, 0.0);
    for (std::uint64_t n = 0; n < count; ++n) {
      counts[index(first(n)) * 3 + index(second(n))] += 1;
    }
    weights expected(9);
    for (std::size_t i = 0; i < 9; ++i) {
      expected[i] = static_cast<double>(count) * (i / 3 == 1 ? 0.5 : 0.25) * (i % 3 == 1 ? 0.5 : 0.25);
    }
    CHECK(frequencies_agree(counts, expected));
  };
  const auto pick = [&](std::uint64_t seed, std::uint32_t sequence, chance_key key) {
    return philox_chance{seed, sequence}.pick(key, law.view());
  };
  const auto plain = [&](std::uint64_t n) { return pick(1, 0, sample_key(n)); };
  check(plain, [&](std::uint64_t n) { return pick(2, 0, sample_key(n)); });
  check(plain, [&](std::uint64_t n) { return pick(1, 1, sample_key(n)); });
  check(plain, [&](std::uint64_t n) { return pick(1, 0, sample_key(n + 1)); });
  check(plain, [&](std::uint64_t n) { return pick(1, 0, draft_key(n, 0)); });
  check(plain, [&](std::uint64_t n) { return pick(1, 0, accept_key(n, 0)); });
  check(plain, [&](std::uint64_t n) { return pick(1, 0, chance_key{n, chance_purpose::sample, 1}); });
  check(plain, [&](std::uint64_t n) { return sample(philox_chance{1}, sample_key(n), law.view(), 1)[0]; });
}

TEST_CASE("draws do not depend on what was drawn before") {
  random_source random(305);
  const auto law = dense_law(random.weights<double>(50));
  const philox_chance chance{9, 2};
  std::vector<token> forwards(200);
  for (std::size_t i = 0; i < forwards.size(); ++i) forwards[i] = chance.pick(sample_key(i), law.view());
  for (const std::size_t i : random.permutation(forwards.size())) {
    static_cast<void>(chance.accept(accept_key(i, 4), 0.5, 1.0));
    CHECK(philox_chance{9, 2}.pick(sample_key(i), law.view()) == forwards[i]);
  }
}

TEST_CASE("bulk uniforms are distinct, inside the interval and even") {
  constexpr std::size_t count = 20001;
  weights values(count);
  philox_chance{10}.uniforms(sample_key(4), values);
  CHECK(std::set<double>(values.begin(), values.end()).size() == count);
  weights counts(16, 0.0);
  for (const double u : values) {
    REQUIRE((u >= 0 && u < 1));
    counts[static_cast<std::size_t>(u * 16)] += 1;
  }
  CHECK(frequencies_agree(counts, weights(16, count / 16.0)));
  weights few(7);
  philox_chance{10}.uniforms(sample_key(4), few);
  CHECK(std::equal(few.begin(), few.end(), values.begin()));
}
