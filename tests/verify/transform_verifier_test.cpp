// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The laws that transform verifiers emit are proved in tests/proof; here is how a rule is asked and what is reported.
#include <decant/core/philox.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/transform_verifier.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/verify/relaxed_kit.hpp"

namespace decant_test {
namespace {

enum class answer : std::uint8_t { target, draft, even_mixture, nothing };

/// Gives the same answer everywhere and counts how often it is asked.
template <bool NeedsRow>
struct scripted_rule {
  static constexpr bool needs_draft_row = NeedsRow;
  template <class Real>
  struct work {
    std::size_t asked = 0;
  };

  answer reply = answer::draft;
  std::vector<node_id>* asked_at = nullptr;

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, work<Real>&,
                                      distribution<Real>& out) const {
    if (asked_at != nullptr) asked_at->push_back(site.node);
    if (reply == answer::target) return emitted_law::target;
    if (reply == answer::draft) return emitted_law::draft;
    return detail::write_pairwise(site.target, site.drafted, out, [&](const Real& p, const Real& q) {
      return reply == answer::nothing ? Real(0) : (p + q) / Real(2);
    });
  }
};

/// Takes the law of the node's first probe: what a rule can do beyond the laws of its own node.
struct law_of_probe {
  static constexpr bool needs_draft_row = false;
  template <class Real>
  using work = no_work<Real>;

  template <class Real, class Laws>
  [[nodiscard]] emitted_law transform(const transform_site<Real, Laws>& site, no_work<Real>&,
                                      distribution<Real>& out) const {
    for (const node_id n : site.draft.tree.all()) {
      if (site.draft.tree.kind(n) != node_kind::probe || site.draft.tree.parent(n) != site.node) continue;
      const distribution<Real>* law = site.laws.law(n);
      if (law == nullptr) return emitted_law::failed;
      out.assign(law->view());
      return emitted_law::written;
    }
    return emitted_law::target;
  }
};

using drafted = scripted_rule<true>;

}  // namespace

TEST_CASE("a rule is asked once for each visited node that has a draft row") {
  verify_case given = drawn_case(2);
  std::vector<node_id> asked;
  told_chance chance{{true}, {0}};
  const auto seen = run_verifier(transform_verifier<drafted>{{answer::draft, &asked}}, given, chance);
  CHECK(seen.status == error_code::none);
  CHECK(asked == path{0});  // node 1, a leaf, has none
  CHECK(seen.made.path == path{0, 1});
  CHECK(same_row(chance.draws[0].law, {1.0 / 3, 1.0 / 3, 1.0 / 3}));
  REQUIRE(chance.coins.size() == 1);
  CHECK(chance.coins[0].a == chance.coins[0].b);  // pi = q
}

TEST_CASE("a rule of the target's law alone is asked for leaves as well") {
  verify_case given = drawn_case(2);
  std::vector<node_id> asked;
  told_chance chance{{true}, {0}};
  (void)run_verifier(transform_verifier<scripted_rule<false>>{{answer::target, &asked}}, given, chance);
  CHECK(asked == path{0, 1});
}

TEST_CASE("the base tests against the law that a rule has written") {
  verify_case given = drawn_case(2);
  told_chance chance{{false}, {0}};
  const auto seen = run_verifier(transform_verifier<drafted>{{answer::even_mixture}}, given, chance);
  REQUIRE(chance.coins.size() == 1);
  CHECK(near(chance.coins[0].a / chance.coins[0].b, 0.35 / 0.5, 1e-12));
  CHECK(same_row(chance.draws[0].law, {1, 0, 0}));  // relu((.35, .3, .35) - q)
  CHECK(seen.made.kind == last_token_kind::correction);
  CHECK(seen.made.relaxed.empty());
}

TEST_CASE("an accepted token is flagged when pi likes it better than p and p might have refused it") {
  const transform_verifier<drafted> trusting{{answer::draft}};
  verify_case disliked = drawn_case(2);
  told_chance first{{true}, {0}};
  CHECK(run_verifier(trusting, disliked, first).made.relaxed == path{1});
  verify_case liked = drawn_case(0);
  told_chance second{{true}, {0}};
  CHECK(run_verifier(trusting, liked, second).made.relaxed.empty());
  verify_case kept = drawn_case(2);
  told_chance third{{true}, {0}};
  CHECK(run_verifier(transform_verifier<drafted>{{answer::target}}, kept, third).made.relaxed.empty());
}

TEST_CASE("the loss of a step compares p and pi along the accepted path") {
  verify_case given = drawn_case(2);
  told_chance chance{{true}, {1}};
  const auto loss = run_verifier(transform_verifier<drafted>{{answer::draft}}, given, chance).made.loss;
  CHECK(loss.passes == 1);
  CHECK(loss.tokens == 2);
  CHECK(loss.relaxed == 1);
  CHECK(loss.positions == 2);  // after the leaf p is kept
  CHECK(near(loss.total_variation, 0.3, 1e-12));
  CHECK(near(loss.divergence, 0.274887, 1e-6));
  CHECK(loss.unbounded == 0);
  CHECK(loss.regrets == 1);
  CHECK(near(loss.regret, std::log(.5 / .2), 1e-12));
  CHECK(loss.greedy_run == 0);
  CHECK(loss.left_greedy);
}

TEST_CASE("a verifier that is not to measure only counts") {
  verify_case given = drawn_case(2);
  told_chance chance{{true}, {1}};
  const transform_verifier<drafted> quiet{{answer::draft}, {}, {}, false};
  relaxed_loss expected;
  expected.passes = 1;
  expected.tokens = 2;
  expected.relaxed = 1;
  CHECK(run_verifier(quiet, given, chance).made.loss == expected);
}

TEST_CASE("end tokens are no likelier than under the target") {
  const auto law_with = [](const end_tokens& ends) {
    verify_case given;
    given.draft.set_row_after(0, given.add_row(golden_q));
    given.rows = {golden_p};
    told_chance chance{{}, {0}};
    (void)run_verifier(transform_verifier<drafted>{{answer::draft}, {}, ends}, given, chance);
    return chance.draws[0].law;
  };
  CHECK(same_row(law_with({{2}}), {.2 * .8 / .5, .3 * .8 / .5, .2}));
  CHECK(same_row(law_with({{0, 2}}), {.2, .6, .2}));  // token 0 keeps what pi gave it
  CHECK(same_row(law_with({{2}, true}), golden_q));
  CHECK(same_row(law_with({{0}}), golden_q));
  // When nothing else has mass the target's law stays.
  CHECK(same_row(law_with({{0, 1, 2}}), golden_p));
}

TEST_CASE("a rule may ask for the laws of other nodes") {
  verify_case given;
  (void)given.draft.tree.append_probe(0, 1);
  given.rows = {golden_p, {0, 1, 3}};
  told_chance chance{{}, {2}};
  const auto seen = run_verifier(transform_verifier<law_of_probe>{}, given, chance);
  CHECK(seen.asked_rows == path{0, 1});
  CHECK(same_row(chance.draws[0].law, {0, .25, .75}));
  given.rows[1] = {};
  told_chance again{{}, {2}};
  CHECK(run_verifier(transform_verifier<law_of_probe>{}, given, again).status == error_code::row_unavailable);
}

TEST_CASE("a missing row and a law without mass are errors") {
  verify_case given = drawn_case(2);
  given.rows[0] = {};
  told_chance chance{{true}, {0}};
  CHECK(run_verifier(transform_verifier<drafted>{}, given, chance).status == error_code::row_unavailable);
  verify_case whole = drawn_case(2);
  CHECK(run_verifier(transform_verifier<drafted>{{answer::nothing}}, whole, chance).status == error_code::row_empty);
}

TEST_CASE("rows of the draft and of the target are never written") {
  verify_case given = drawn_case(2);
  const auto before = given.draft.rows.row(0);
  const std::vector<double> row(before.weights().begin(), before.weights().end());
  told_chance chance{{false}, {0}};
  (void)run_verifier(transform_verifier<drafted>{{answer::even_mixture}, {}, {{0}}}, given, chance);
  const auto after = given.draft.rows.row(0);
  CHECK(std::equal(row.begin(), row.end(), after.weights().begin(), after.weights().end()));
  CHECK(given.rows[0] == golden_p);
}

TEST_CASE("sparse laws stay sparse") {
  verify_case given;
  distribution<double>& q = given.draft.rows.add();
  q.begin_sparse(100);
  q.push(7, 1);
  q.push(50, 3);
  CHECK(q.finish() == error_code::none);
  distribution<double> p;
  p.begin_sparse(100);
  p.push(7, 1);
  p.push(60, 1);
  CHECK(p.finish() == error_code::none);
  distribution<double> out;
  const auto mean = [](double x, double y) { return (x + y) / 2; };
  CHECK(detail::write_pairwise(p.view(), q.view(), out, mean) == emitted_law::written);
  CHECK(out.view().sparse());
  CHECK(out.view().size() == 3);
  CHECK(near(out.view().probability(7), .375, 1e-15));
  CHECK(near(out.view().probability(60), .25, 1e-15));
  // Mixed forms give the same law.
  distribution<double> dense;
  const std::span<double> weights = dense.begin_dense(100);
  std::fill(weights.begin(), weights.end(), 0.0);
  weights[7] = weights[60] = 2;
  CHECK(dense.finish() == error_code::none);
  distribution<double> mixed;
  CHECK(detail::write_pairwise(dense.view(), q.view(), mixed, mean) == emitted_law::written);
  CHECK_FALSE(mixed.view().sparse());
  CHECK(total_variation(mixed.view(), out.view()) == 0);
}

TEST_CASE("a transform verifier asks of trees what its base asks") {
  CHECK(transform_verifier<drafted>::needs == edge_needs::true_laws);
  CHECK(transform_verifier<drafted, match>::needs == edge_needs::nothing);
  CHECK(transform_verifier<drafted, block_verification>::shape == shape_needs::chain);
  CHECK(transform_verifier<drafted, match>::promises == guarantee::lossy);
}

TEST_CASE("a transform verifier allocates nothing once it is warm") {
  const transform_verifier<drafted> verifier{{answer::even_mixture}, {}, {{0}}};
  verify_case given = drawn_case(2);
  auto rows = rows_from<double>([&](node_id n) { return std::span<const double>(given.rows[index(n)]); });
  const given_law sampler;
  law_workspace<double, given_law> law_work;
  transform_verifier<drafted>::work<double> scratch;
  verdict made;
  const philox_chance chance{3};
  const auto step = [&] {
    node_laws<double, given_law, decltype(rows)> laws(sampler, no_state{}, given.draft.tree, rows, law_work, 3);
    (void)verifier.verify(given.draft, laws, chance, 10, scratch, made);
  };
  for (int i = 0; i < 3; ++i) step();
  CHECK(allocations_of(step) == 0);
}

}  // namespace decant_test
