// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The laws that predicate verifiers emit are proved in tests/proof; here is what they ask and what they report.
#include <decant/verify/predicate_verifier.hpp>

#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

/// Accepts the tokens it lists; knows nothing of those at and above `known`.
struct listed {
  static constexpr bool law_only = true;
  template <class Real>
  using work = no_work<Real>;

  std::vector<token> tokens{};
  token known = 100;

  template <class Real>
  [[nodiscard]] auto at(const predicate_site<Real>&, no_work<Real>&) const {
    return [this](token id, node_id) -> std::optional<bool> {
      if (id >= known) return std::nullopt;
      return std::find(tokens.begin(), tokens.end(), id) != tokens.end();
    };
  }
};

using with_coin = predicate_verifier<listed, standard_test::rejection>;
using with_greedy = predicate_verifier<listed, standard_test::greedy>;
using alone = predicate_verifier<listed>;

}  // namespace

TEST_CASE("the standard test comes first and its acceptances are not flagged") {
  verify_case given = drawn_case(2);
  told_chance chance{{true}, {0}};
  const auto seen = run_verifier(with_coin{{{2}}}, given, chance);
  CHECK(seen.made.path == path{0, 1});
  CHECK(seen.made.relaxed.empty());
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].key == accept_key(10, 1));
  CHECK(near(chance.coins[0].a / chance.coins[0].b, .4, 1e-12));
}

TEST_CASE("what only the predicate accepts is flagged") {
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  const auto seen = run_verifier(with_coin{{{2}}}, given, chance);
  CHECK(seen.made.path == path{0, 1});
  CHECK(seen.made.relaxed == path{1});
  CHECK(seen.made.kind == last_token_kind::bonus);
}

TEST_CASE("when both tests fail the residual, the target's law or its best token follows") {
  verify_case given = drawn_case(2);
  told_chance by_residual{{false}, {0}};
  const auto seen = run_verifier(with_coin{}, given, by_residual);
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(same_row(by_residual.draws[0].law, {1, 0, 0}));
  CHECK(by_residual.draws[0].key == sample_key(11));
  told_chance by_draw{{false}, {1}};
  const auto drawn = run_verifier(with_coin{{}, correction_rule::draw}, given, by_draw);
  CHECK(same_row(by_draw.draws[0].law, golden_p));
  CHECK(drawn.made.kind == last_token_kind::sample);
  told_chance by_argmax{{false}, {}};
  const auto best = run_verifier(with_coin{{}, correction_rule::argmax}, given, by_argmax);
  CHECK(best.made.last == 0);
  CHECK(by_argmax.draws.empty());
}

TEST_CASE("children are tested in draw order, each against what its siblings left") {
  verify_case given;
  const std::int32_t row = given.add_row(golden_q);
  (void)given.add(0, 2, {edge_law::without_replacement, row});
  (void)given.add(0, 1, {edge_law::without_replacement, row});
  (void)given.add(0, 0, {edge_law::without_replacement, row});
  given.rows = {golden_p, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
  told_chance chance{{false, false}, {0}};
  const auto seen = run_verifier(with_coin{{{0, 1}}}, given, chance);
  CHECK(seen.made.path == path{0, 2});
  CHECK(seen.made.relaxed == path{2});
  REQUIRE(chance.coins.size() == 2);
  CHECK(chance.coins[1].a == 0);  // relu(p - q) leaves nothing of token 1
}

TEST_CASE("the greedy test accepts the best token and the predicate the others it likes") {
  verify_case given;
  const node_id a = given.add(0, 1);
  const node_id b = given.add(a, 2);
  (void)given.add(b, 0);
  given.rows = {{1, 3, 1}, {4, 3, 1}, {1, 1, 2}, {1, 1, 1}};
  told_chance chance;
  const auto seen = run_verifier(with_greedy{{{2}}}, given, chance);
  CHECK(seen.made.path == path{0, a, b});
  CHECK(seen.made.relaxed == path{b});
  CHECK(seen.made.last == 2);
  CHECK(seen.made.kind == last_token_kind::sample);
  CHECK(chance.coins.empty());
}

TEST_CASE("without a standard test those acceptances are flagged that exact verification might have refused") {
  const auto relaxed_of = [](const alone& verifier, verify_case given) {
    told_chance chance{{}, {0}};
    return run_verifier(verifier, given, chance).made.relaxed;
  };
  const alone all{{{0, 1, 2}}, correction_rule::draw};
  CHECK(relaxed_of(all, drawn_case(2)) == path{1});
  CHECK(relaxed_of(all, drawn_case(0)).empty());  // p > q: always accepted
  const alone greedy_like{{{0, 1, 2}}, correction_rule::argmax};
  CHECK(relaxed_of(greedy_like, drawn_case(0)).empty());
  CHECK(relaxed_of(greedy_like, drawn_case(1)) == path{1});
  verify_case chosen;
  (void)chosen.add(0, 0);
  chosen.rows = {golden_p, golden_p};
  CHECK(relaxed_of(all, chosen) == path{1});
  chosen.rows[0] = {1, 0, 0};
  CHECK(relaxed_of(all, chosen).empty());
}

TEST_CASE("an end token is accepted by the standard test alone unless that is waived") {
  const listed all{{0, 1, 2}};
  verify_case given = drawn_case(2);
  told_chance refused{{false}, {0}};
  CHECK(run_verifier(with_coin{all, correction_rule::residual, {{2}}}, given, refused).made.path == path{0});
  told_chance passed{{true}, {0}};
  CHECK(run_verifier(with_coin{all, correction_rule::residual, {{2}}}, given, passed).made.path == path{0, 1});
  told_chance waived{{false}, {0}};
  CHECK(run_verifier(with_coin{all, correction_rule::residual, {{2}, true}}, given, waived).made.relaxed == path{1});
  told_chance never{{}, {0}};
  CHECK(run_verifier(alone{all, correction_rule::draw, {{2}}}, given, never).made.path == path{0});
}

TEST_CASE("the loss compares p with the law of a single draw") {
  // Accepts token 1 always, the others by the coin: q a = (.2, .3, .2), refused .3, residual (1, 0, 0).
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  const auto exact_here = run_verifier(with_coin{{{1}}}, given, chance).made.loss;
  CHECK(exact_here.positions == 1);
  CHECK(near(exact_here.total_variation, 0, 1e-12));
  // Accepts token 2 always: pi = (.2, .3, .5).
  told_chance second{{false}, {0}};
  const auto all_drafts = run_verifier(with_coin{{{2}}}, given, second).made.loss;
  CHECK(all_drafts.positions == 2);  // the bonus is drawn from the target's law
  CHECK(near(all_drafts.total_variation, .3, 1e-12));
  CHECK(near(all_drafts.divergence, .274887, 1e-6));
  CHECK(near(all_drafts.regret, std::log(2.5), 1e-12));
  // Alone, with the target's law as correction, accepts token 2: pi = (0, 0, .5) + .5 p.
  told_chance third{{}, {0}};
  const auto lone = run_verifier(alone{{{2}}, correction_rule::draw}, given, third).made.loss;
  CHECK(near(lone.total_variation, .4, 1e-12));
  CHECK(near(lone.divergence, .8 * std::log(2.0) + .2 * std::log(.2 / .6), 1e-12));
}

TEST_CASE("a chosen draft token makes the law a point, and its divergence infinite") {
  verify_case given;
  (void)given.add(0, 1);
  given.rows = {golden_p, golden_p};
  told_chance chance;
  const auto loss = run_verifier(with_greedy{{{1}}}, given, chance).made.loss;
  CHECK(loss.positions == 2);
  CHECK(loss.unbounded == 2);
  CHECK(near(loss.total_variation, .7 + .5, 1e-12));
  CHECK(loss.divergence == 0);
}

TEST_CASE("a predicate that cannot look fails the step") {
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  CHECK(run_verifier(with_coin{{{}, 2}}, given, chance).status == error_code::row_unavailable);
  told_chance accepted{{true}, {0}};
  CHECK(run_verifier(with_coin{{{}, 2}}, given, accepted).status == error_code::none);
  given.rows[0] = {};
  told_chance missing{{true}, {0}};
  CHECK(run_verifier(with_coin{}, given, missing).status == error_code::row_unavailable);
}

TEST_CASE("a repeated draw is tested again") {
  verify_case given;
  const std::int32_t row = given.add_row(golden_q);
  const node_id child = given.add(0, 2, {edge_law::independent, row});
  given.draft.tree.repeat(child, {edge_law::independent, row});
  given.rows = {golden_p, {1, 1, 1}};
  told_chance chance{{false, false}, {0}};
  CHECK(run_verifier(with_coin{}, given, chance).made.path == path{0});
  CHECK(chance.coins.size() == 2);
}

TEST_CASE("only the coin asks for true edge laws") {
  CHECK(with_coin::needs == edge_needs::true_laws);
  CHECK(with_greedy::needs == edge_needs::nothing);
  CHECK(alone::needs == edge_needs::nothing);
  CHECK(with_coin::promises == guarantee::lossy);
}

}  // namespace decant_test
