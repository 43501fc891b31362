// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of the canonical decomposition is proved in tests/proof; here is its selection rule, how close it comes to
// the best possible, and what it asks its chance source.
#include <decant/core/distances.hpp>
#include <decant/verify/canonical_decomposition.hpp>
#include <decant/verify/optimal_acceptance.hpp>

#include "tests/verify/drawn_law.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

[[nodiscard]] double ratio(const told_chance::question& asked) { return asked.a / asked.b; }

/// sum of min(a, b)
template <class Real>
[[nodiscard]] double overlap(distribution_view<Real> a, distribution_view<Real> b) {
  return 1 - static_cast<double>(total_variation(a, b));
}

/// Two draws of q = (.1, .4, .2, .3) against p = (.4, .3, .2, .1).
[[nodiscard]] verify_case two_draws(token first, token second) {
  verify_case given;
  const std::int32_t row = given.add_row({1, 4, 2, 3});
  (void)given.add(0, first, {edge_law::independent, row});
  (void)given.add(0, second, {edge_law::independent, row});
  given.rows = {{4, 3, 2, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  return given;
}

}  // namespace

TEST_CASE("the stated law is that of the token selected from all pairs") {
  random_source random(331);
  pair_selection<double> selection;
  for (int round = 0; round < 400; ++round) {
    if (round == 200) selection.fully_ranked = 0;  // from here on tokens of nearly equal ratio share a rank
    const std::size_t size = random.between(1, round < 200 ? 12 : 60);
    auto weights = random.weights<double>(size, random.uniform(0, 0.6));
    const auto p = law_in_form(weights, random.coin());
    for (double& weight : weights) weight *= std::floor(random.uniform(1, 5));  // few ratios
    const auto q =
        law_in_form(round % 2 == 0 ? weights : random.weights<double>(size, random.uniform(0, 0.6)), random.coin());
    selection.prepare(p, q);
    std::vector<double> law(size);
    for (token a = 0; a < static_cast<token>(size); ++a) {
      for (token b = 0; b < static_cast<token>(size); ++b) {
        const double pair = q.view().probability(a) * q.view().probability(b);
        if (!(pair > 0)) continue;
        const auto contest = a == b ? pair_selection<double>::contest{a, 1} : selection.between(a, b);
        const token other = contest.favourite == a ? b : a;
        law[index(contest.favourite)] += pair * contest.wins;
        law[index(other)] += pair * (1 - contest.wins);
      }
    }
    CHECK(selection.law().sparse() == q.view().sparse());
    for (token t = 0; t < static_cast<token>(size); ++t) {
      CHECK(near(selection.law().probability(t), law[index(t)], 1e-12));
    }
  }
}

TEST_CASE("the selection comes close to the best possible and is never worse than one draft") {
  random_source random(332);
  pair_selection<double> selection;
  struct setting {
    std::size_t size;
    double spread;
    double mean_gap;
    double worst_gap;
  };
  // Draft logits 0.6 times the target's and noise of deviation 0.7, as in the tables of the documentation.
  for (const setting& s : {setting{4, 1, 0.004, 0.08}, setting{20, 1, 0.001, 0.05}, setting{60, 2, 0.0003, 0.02}}) {
    double sum = 0;
    double worst = 0;
    const int rounds = 400;
    for (int round = 0; round < rounds; ++round) {
      std::vector<double> p(s.size);
      std::vector<double> q(s.size);
      for (std::size_t v = 0; v < s.size; ++v) {
        const double logit = s.spread * random.normal();
        p[v] = std::exp(logit);
        q[v] = std::exp(0.6 * logit + 0.7 * s.spread * random.normal());
      }
      const auto target = dense_law(p);
      const auto proposal = dense_law(q);
      selection.prepare(target, proposal);
      const double accepted = overlap(target.view(), selection.law());
      const double gap = optimal_acceptance_independent(target.view(), proposal.view(), 2) - accepted;
      CHECK(gap >= -1e-12);
      CHECK(accepted >= overlap(target.view(), proposal.view()) - 1e-12);
      sum += gap / rounds;
      worst = std::max(worst, gap);
    }
    CAPTURE(s.size, s.spread, sum, worst);
    CHECK(sum <= s.mean_gap);
    CHECK(worst <= s.worst_gap);
  }
}

TEST_CASE("of two tokens of one rank the first is selected") {
  pair_selection<double> selection;
  selection.fully_ranked = 0;
  selection.prepare(dense_law(std::vector<double>{2, 2, 1, 5}), dense_law(std::vector<double>{4, 4, 1, 1}));
  for (const auto& [a, b] : {std::pair<token, token>{0, 1}, {1, 0}}) {
    CHECK(selection.between(a, b).favourite == a);
    CHECK(selection.between(a, b).wins == 1);
  }
  CHECK(selection.between(0, 2).favourite == 2);
}

TEST_CASE("a coarse ranking of many tokens is good enough") {
  random_source random(335);
  pair_selection<float> selection;
  for (int round = 0; round < 4; ++round) {
    std::vector<float> p(20000);
    std::vector<float> q(p.size());
    for (std::size_t v = 0; v < p.size(); ++v) {
      const double logit = 2 * random.normal();
      p[v] = static_cast<float>(std::exp(logit));
      q[v] = static_cast<float>(std::exp(0.7 * logit + 0.8 * random.normal()));
    }
    const auto target = law_in_form(p, round % 2 == 0);
    const auto proposal = law_in_form(q, round % 2 != 0);
    selection.prepare(target, proposal);
    const double accepted = overlap(target.view(), selection.law());
    const double best = optimal_acceptance_independent(target.view(), proposal.view(), 2);
    CAPTURE(accepted, best);
    CHECK(accepted <= best + 1e-6);
    CHECK(accepted >= best - 1e-3);
    CHECK(near(static_cast<double>(selection.law().mass()), 1, 1e-6));
  }
}

TEST_CASE("equal laws are accepted always") {
  pair_selection<double> selection;
  const auto law = dense_law(std::vector<double>{5, 1, 3, 1});
  selection.prepare(law, law);
  CHECK(near(overlap(law.view(), selection.law()), 1, 1e-12));
}

TEST_CASE("one of two draws is selected, tested against the law of the selected one, and the other never") {
  // Ranks by p / q: 0 (4), 2 (1), 1 (3/4), 3 (1/3). q'(0) = .19: token 0 always wins. Then D = 0, and token 2 needs
  // q'(2) = .2 = .2 (.2 + 2 f .7): f = 4/7; token 1 needs .3 = .4 (.4 + 2 (.2 * 3/7) + 2 f .3).
  const double wins_2 = 4.0 / 7;
  const double wins_1 = (0.75 - 0.4 - 2 * 0.2 * (1 - wins_2)) / 0.6;
  verify_case given = two_draws(3, 1);
  told_chance chance{{true, false}, {0}};
  const auto seen = run_verifier(canonical_decomposition{}, given, chance);
  CHECK(seen.status == error_code::none);
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[0].key == chance_key{10, chance_purpose::other, 2});
  CHECK(near(ratio(chance.coins[0]), wins_1, 1e-12));
  CHECK(chance.coins[1].key == accept_key(10, 2));
  CHECK(near(ratio(chance.coins[1]), 1, 1e-12));  // q'(1) = p(1)
  CHECK(same_row(chance.draws[0].law, {1, 0, 0, 0}));
  CHECK(seen.made.path == path{0});

  given = two_draws(3, 1);
  told_chance lost{{false, true}, {0}};
  const auto other = run_verifier(canonical_decomposition{}, given, lost);
  CHECK(lost.coins[1].key == accept_key(10, 1));
  const double law_of_3 = 1 - 0.19 - 0.2 - 0.3;
  CHECK(near(ratio(lost.coins[1]), 0.1 / law_of_3, 1e-12));
  CHECK(other.made.path == path{0, 1});
}

TEST_CASE("a pair of equal tokens needs no selection") {
  verify_case given = two_draws(1, 0);
  given.draft.tree.reset(0);
  const tree_edge edge{edge_law::independent, 0};
  const node_id child = given.add(0, 1, edge);
  given.draft.tree.repeat(child, edge);
  told_chance chance{{true}, {0}};
  const auto seen = run_verifier(canonical_decomposition{}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].key == accept_key(10, child));
  CHECK(seen.made.path == path{0, child});
}

TEST_CASE("a third draw is tested by itself against what the pair left") {
  verify_case given = two_draws(3, 1);
  (void)given.add(0, 0, {edge_law::independent, 0});
  given.rows.push_back({1, 1, 1, 1});
  told_chance chance{{true, false, true}, {0}};
  const auto seen = run_verifier(canonical_decomposition{}, given, chance);
  REQUIRE(chance.coins.size() == 3);
  CHECK(chance.coins[2].key == accept_key(10, 3));
  CHECK(near(ratio(chance.coins[2]), 1 / 0.1, 1e-9));
  CHECK(seen.made.path == path{0, 3});
}

TEST_CASE("the canonical decomposition reports a row that cannot be had") {
  verify_case given = two_draws(3, 1);
  given.rows[2].clear();
  told_chance chance{{true, true}, {}};
  CHECK(run_verifier(canonical_decomposition{}, given, chance).status == error_code::row_unavailable);
}

TEST_CASE("the canonical decomposition has the target's law in float") {
  check_drawn_law(independent{}, 2, canonical_decomposition{}, 333);
  check_drawn_law(independent{}, 3, canonical_decomposition{}, 334);
}

}  // namespace decant_test
