// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Relaxed verifiers whose rules need no logarithm, as equalities: in rationals the distance from the documented law
// is 0.
#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>

#include "tests/support/test_kit.hpp"

#ifdef DECANT_TEST_HAS_GMP
#include "tests/support/rational.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

namespace {

using row = std::vector<rational>;
using builder = any_builder<rational, proof::proof_chance<rational>>;
using verifier = any_verifier<rational, proof::proof_chance<rational>>;
using exact_law = std::function<row(const row& p, const row& q)>;

[[nodiscard]] row normalised_of(row weights) {
  rational sum(0);
  for (const rational& x : weights) sum += x;
  for (rational& x : weights) x /= sum;
  return weights;
}
[[nodiscard]] rational largest_of(const row& law) { return *std::max_element(law.begin(), law.end()); }

[[nodiscard]] proof::erased_law<rational> documented(const proof::toy<rational>& world, std::size_t levels,
                                                     const exact_law& inside) {
  return {world.vocab_size(), [=](token_span context, std::span<rational> out) {
            row p(out.size());
            row q(out.size());
            world.target.weights(context, p);
            world.draft.weights(context, q);
            p = normalised_of(p);
            if (context.size() < world.prompt.size() + levels) p = inside(p, normalised_of(q));
            std::copy(p.begin(), p.end(), out.begin());
          }};
}

struct exact_tally {
  std::size_t proofs = 0;
  std::size_t changed = 0;  ///< proofs where the law is not the target's

  void add(const std::string& what, const builder& trees, std::size_t levels, const verifier& by,
           const exact_law& inside) {
    for (const auto& world : proof::standard_toys<rational>(3)) {
      const auto found = proof::enumerate_outcomes(world, proof::drafter_of(world, trees), by);
      const auto distance_from = [&](const proof::erased_law<rational>& law) {
        return proof::completion<rational, proof::erased_law<rational>>(law)
            .distance(found.law, world.prompt, found.law.longest())
            .largest_error;
      };
      INFO(what << ", toy " << world.name);
      CHECK(found.failure.empty());
      CHECK(found.law.mass() == rational(1));
      CHECK(distance_from(documented(world, levels, inside)) == rational(0));
      ++proofs;
      changed += distance_from(world.target) > rational(0);
    }
  }
};

[[nodiscard]] exact_law token_cascade(const rational& share) {
  return [=](const row& p, const row& q) {
    row law(p.size());
    rational eta(0);
    const auto is_deferred = [&](std::size_t v) { return p[v] < share * largest_of(p); };
    for (std::size_t v = 0; v < p.size(); ++v) eta += is_deferred(v) ? q[v] : rational(0);
    for (std::size_t v = 0; v < p.size(); ++v) law[v] = (is_deferred(v) ? rational(0) : q[v]) + eta * p[v];
    return law;
  };
}

[[nodiscard]] exact_law closed_by_distance(const rational& threshold) {
  return [=](const row& p, const row& q) {
    rational distance(0);
    for (std::size_t v = 0; v < p.size(); ++v) distance += proof::magnitude<rational>(p[v] - q[v]) / rational(2);
    return distance < threshold ? q : p;
  };
}

/// One draw from q; accepted among the two best of p or by the coin, else the residual.
[[nodiscard]] row best_two_or_coin(const row& p, const row& q) {
  row law(p.size());
  row left(p.size());
  rational refused(0);
  for (std::size_t v = 0; v < p.size(); ++v) {
    std::size_t better = 0;
    for (std::size_t u = 0; u < p.size(); ++u) better += p[u] > p[v] || (p[u] == p[v] && u < v);
    const bool is_accepted = better < 2 && p[v] > rational(0);
    law[v] = is_accepted ? q[v] : std::min(p[v], q[v]);
    refused += q[v] - law[v];
    left[v] = std::max(p[v] - q[v], rational(0));
  }
  if (!(refused > rational(0))) return law;
  left = normalised_of(left);
  for (std::size_t v = 0; v < p.size(); ++v) law[v] += refused * left[v];
  return law;
}

}  // namespace

TEST_CASE("relaxed verifiers have exactly their documented laws in rationals") {
  exact_tally tally;
  const builder chain_of_two = chain<independent>{2};
  const builder tree = static_widths<without_replacement>{{2, 1}};
  const cascade shares{cascade_rule::token_v3, .25};
  const divergence_gate gate{.25, divergence_kind::total_variation};
  tally.add("cascade on a chain", chain_of_two, 2, speculative_cascade<>{shares}, token_cascade({3, 4}));
  tally.add("cascade on a tree", tree, 2, speculative_cascade<>{shares}, token_cascade({3, 4}));
  tally.add("cascade by traversal", tree, 2, speculative_cascade<traversal>{shares}, token_cascade({3, 4}));
  tally.add("gate on a chain", chain_of_two, 2, fuzzy_verification<>{gate}, closed_by_distance({1, 4}));
  tally.add("gate on a tree", tree, 2, fuzzy_verification<>{gate}, closed_by_distance({1, 4}));
  tally.add("top-k or coin", chain_of_two, 2, top_k_acceptance<standard_test::rejection>{{2}}, best_two_or_coin);
  CHECK(tally.proofs >= 60);
  CHECK(tally.changed >= 25);
}

}  // namespace decant_test
#else
TEST_CASE("relaxed proofs in rationals need GMP") {
  DECANT_SKIP("GMP was not found (libgmp-dev on Debian, gmp elsewhere)");
}
#endif
