// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the final token is drawn from a processed law: by inverse CDF (`pick`: match, corrections, bonus tokens) or by an
// exponential race, which is Gumbel-max (`ordered_sample` of one: drafter_invariant). Both must resolve the far tail:
// with noise of 24 bits, tokens more than 16.6 nats below the best are drawn too rarely and soon not at all.
#include <decant/core/philox.hpp>

#include "tests/support/test_kit.hpp"

#include <cmath>

namespace {

using decant::chance_key;
using decant::distribution;
using decant::philox_chance;
using decant::sample_key;
using decant::token;

const double far_weight = std::exp(-20.5);

/// Token 0 with weight 1 and token 7 with this one.
distribution<double> two_tokens(double weight, bool sparse) {
  distribution<double> law;
  if (sparse) {
    law.begin_sparse(8);
    law.push(0, 1);
    law.push(7, weight);
  } else {
    const auto weights = law.begin_dense(8);
    std::fill(weights.begin(), weights.end(), 0.0);
    weights[0] = 1;
    weights[7] = weight;
  }
  REQUIRE(law.finish() == decant::error_code::none);
  return law;
}

token race_winner(chance_key key, const distribution<double>& law) {
  token winner = decant::no_token;
  REQUIRE(philox_chance{}.ordered_sample(key, law.view(), std::span<token>(&winner, 1)) == 1);
  return winner;
}

/// The weight above which token 7 wins: the ratio of the noises of the two tokens.
double winning_weight(chance_key key, bool sparse) {
  double loses = 0;
  double wins = 1;
  for (int i = 0; i < 80; ++i) {
    const double middle = (loses + wins) / 2;
    (race_winner(key, two_tokens(middle, sparse)) == 7 ? wins : loses) = middle;
  }
  return wins;
}

}  // namespace

TEST_CASE("Gumbel-max resolves noise far below 24 bits") {
  // Positions at which the noise of token 7 is tiny, found by search; a resolution of 2^-24 = 6e-8 would make each
  // ratio 0 or larger than that.
  struct tiny_noise {
    std::uint64_t position;
    double ratio;
  };
  for (const tiny_noise& at : {tiny_noise{45645263, 6.07332e-10},
                               {305666334, 6.88426e-10},
                               {316468593, 1.12777e-9},
                               {1181822241, 8.25642e-9},
                               {2053917633, 2.72318e-9}}) {
    CAPTURE(at.position);
    const chance_key key = sample_key(at.position);
    for (const bool sparse : {false, true}) {
      const double ratio = winning_weight(key, sparse);
      CHECK(decant_test::near(ratio / at.ratio, 1, 1e-5));
      CHECK(ratio < 0x1p-24);
    }
  }
  CHECK(race_winner(sample_key(45645263), two_tokens(far_weight, false)) == 7);
  CHECK(race_winner(sample_key(45645263), two_tokens(far_weight / 10, false)) == 0);
}

TEMPLATE_TEST_CASE("a quarter of a million tokens 20.5 nats below the best are drawn 33 times in 100,000", "", float,
                   double) {
  constexpr std::size_t tail = std::size_t{1} << 18;
  distribution<TestType> law;
  const auto weights = law.begin_dense(tail + 1);
  std::fill(weights.begin(), weights.end(), static_cast<TestType>(far_weight));
  weights[0] = 1;
  REQUIRE(law.finish() == decant::error_code::none);
  const philox_chance chance{7};
  int hits = 0;
  for (std::uint64_t position = 0; position < 100'000; ++position) {
    hits += chance.pick(sample_key(position), law.view()) != 0;
  }
  CHECK(decant_test::near(hits, 32.8, 25));  // more than four deviations
}
