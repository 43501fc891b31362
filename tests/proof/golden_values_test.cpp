// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Expected tokens per step, against values computed elsewhere, and against closed forms; and the coin budget.
#include <decant/verify/optimal_acceptance.hpp>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

template <class Builder, class V>
void check_tokens(const proof::toy<double>& world, const Builder& builder, const V& verifier, double expected,
                  double tolerance = 1e-11) {
  const auto report = proof::prove_steps(world, builder, verifier);
  INFO("toy " << world.name << ": " << report.describe());
  CHECK(report.exact());
  CHECK(near(report.expected_emitted(), expected, tolerance));
}

template <class D, class V>
void check_drafter(const proof::toy<double>& world, const D& drafter, const V& verifier, double expected,
                   double tolerance) {
  const auto report = proof::prove_drafter(world, drafter, verifier);
  INFO("toy " << world.name << ": " << report.describe());
  CHECK(report.exact());
  CHECK(near(report.expected_emitted(), expected, tolerance));
}

/// A toy whose target is at temperature 0.
[[nodiscard]] proof::toy<double> at_temperature_zero(proof::toy<double> world) {
  world.target = proof::one_hot(world.target);
  return world;
}

/// The probabilities of a law after a context.
[[nodiscard]] std::vector<double> probabilities(const proof::erased_law<double>& law, token_span context) {
  std::vector<double> row(law.vocab_size());
  law.weights(context, row);
  return zoo::normalised(row);
}

/// A law from a row of probabilities.
[[nodiscard]] distribution<double> law_of(const std::vector<double>& row) {
  distribution<double> law;
  const std::span<double> weights = law.begin_dense(row.size());
  std::copy(row.begin(), row.end(), weights.begin());
  CHECK(law.finish() == error_code::none);
  return law;
}

/// The probability that the first drafted level gives a token.
template <class Builder, class V>
[[nodiscard]] double acceptance(const proof::toy<double>& world, const Builder& builder, const V& verifier) {
  return proof::prove_steps(world, builder, verifier).expected_emitted() - 1;
}

/// Tokens by decreasing weight, lowest id first among equals.
[[nodiscard]] std::vector<token> by_rank(const std::vector<double>& row) {
  std::vector<token> order(row.size());
  for (std::size_t v = 0; v < row.size(); ++v) order[v] = static_cast<token>(v);
  std::stable_sort(order.begin(), order.end(), [&](token a, token b) { return row[index(a)] > row[index(b)]; });
  return order;
}

/// Sum over the nodes of a top-k tree of the target's probability of their path.
[[nodiscard]] double path_mass(const proof::toy<double>& world, const std::vector<std::size_t>& widths,
                               std::vector<token> context, std::size_t level = 0) {
  if (level == widths.size()) return 0;
  const std::vector<double> p = probabilities(world.target, context);
  const std::vector<double> q = probabilities(world.draft, context);
  double total = 0;
  std::size_t taken = 0;
  for (const token t : by_rank(q)) {
    if (taken == widths[level] || !(q[index(t)] > 0)) break;
    ++taken;
    std::vector<token> longer = context;
    longer.push_back(t);
    total += p[index(t)] * (1 + path_mass(world, widths, longer, level + 1));
  }
  return total;
}

}  // namespace

TEST_CASE("speculative sampling emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  check_tokens(a, chain<independent>{1}, speculative_sampling{}, 1.7);
  check_tokens(a, chain<independent>{2}, speculative_sampling{}, 2.25);
  check_tokens(a, chain<independent>{3}, speculative_sampling{}, 2.667);
  check_tokens(proof::toy_b<double>(), chain<independent>{2}, speculative_sampling{}, 2.1675);
  check_tokens(at_temperature_zero(a), chain<independent>{2}, speculative_sampling{}, 1.11);
}

TEST_CASE("block verification emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  check_tokens(a, chain<independent>{1}, block_verification{}, 1.7);
  check_tokens(a, chain<independent>{2}, block_verification{}, 2.3);
  check_tokens(a, chain<independent>{3}, block_verification{}, 2.811);
  check_tokens(proof::toy_b<double>(), chain<independent>{2}, block_verification{}, 2.2175);
  check_tokens(proof::toy_b<double>(), chain<independent>{3}, block_verification{}, 2.719);
  check_tokens(at_temperature_zero(a), chain<independent>{2}, block_verification{}, 1.11);
}

TEST_CASE("traversal emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  const traversal verifier;
  check_tokens(a, chain<independent>{3}, verifier, 2.811);  // block verification
  using iid = static_widths<independent>;
  check_tokens(a, iid{{2}}, verifier, 1.73);  // recursive rejection
  check_tokens(a, iid{{2, 2}}, verifier, 2.3829);
  check_tokens(a, iid{{2, 1}}, verifier, 2.351);
  check_tokens(a, iid{{1, 2}}, verifier, 2.331);
  using distinct = static_widths<without_replacement>;
  check_tokens(a, distinct{{3}}, verifier, 1.819761904762);  // recursive rejection
  check_tokens(a, distinct{{2, 2}}, verifier, 2.423475056689);
  check_tokens(a, distinct{{2, 1}}, verifier, 2.376904761905);
  check_tokens(a, distinct{{1, 2}}, verifier, 2.344523809524);
  check_tokens(proof::toy_b<double>(), distinct{{2, 2}}, verifier, 2.558016581633);
  check_tokens(at_temperature_zero(a), distinct{{2, 2}}, verifier, 1.289525226757);
}

TEST_CASE("recursive rejection emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  const recursive_rejection verifier;
  using iid = static_widths<independent>;
  check_tokens(a, iid{{2}}, verifier, 1.73);
  check_tokens(a, iid{{3}}, verifier, 1.757);
  check_tokens(a, iid{{2, 2}}, verifier, 2.3409);
  check_tokens(a, iid{{2, 1}}, verifier, 2.301);
  check_tokens(a, iid{{1, 2}}, verifier, 2.289);
  using distinct = static_widths<without_replacement>;
  check_tokens(a, distinct{{2}}, verifier, 1.745238095238);
  check_tokens(a, distinct{{3}}, verifier, 1.819761904762);
  check_tokens(a, distinct{{2, 2}}, verifier, 2.386629818594);
  check_tokens(a, distinct{{2, 1}}, verifier, 2.326904761905);
  check_tokens(a, distinct{{1, 2}}, verifier, 2.307678571429);
  const auto b = proof::toy_b<double>();
  check_tokens(b, distinct{{2}}, verifier, 1.817857142857);
  check_tokens(b, distinct{{2, 2}}, verifier, 2.536409438776);
  check_tokens(b, zoo::threshold_tree<false>{}, verifier, 2.284642857143);
  check_tokens(at_temperature_zero(a), distinct{{2, 2}}, verifier, 1.289525226757);
}

TEST_CASE("chosen and drawn children side by side emit the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  const level_script chosen_first{draw_kind::chosen, draw_kind::drawn};
  const level_script drawn_first{draw_kind::drawn, draw_kind::chosen};
  check_tokens(a, scripted_builder<>{"", {chosen_first, chosen_first}}, recursive_rejection{}, 2.0323);
  check_tokens(a, scripted_builder<>{"", {drawn_first, drawn_first}}, recursive_rejection{}, 2.25);
}

TEST_CASE("two merged draft models emit the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  const two_law_drafter<double> unmerged(a.draft, second_draft_law<double>(), duplicate_rule::keep_both, 2);
  check_drafter(a, unmerged, recursive_rejection{}, 2.403, 5e-4);
  // Merging by `draft_merger` tests the same draws; a node of both then has the children of both, which cannot be
  // worse.
  auto second = a;
  second.draft = second_draft_law<double>();
  auto from_first = proof::drafter_of(a, chain<independent>{2});
  auto from_second = proof::drafter_of(second, chain<independent>{2});
  const merging_drafter<double, decltype(from_first), decltype(from_second)> merged(from_first, from_second);
  const auto report = proof::prove_drafter(a, merged, recursive_rejection{});
  INFO(report.describe());
  CHECK(report.exact());
  CHECK(report.expected_emitted() >= 2.403);
}

TEST_CASE("match emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  using distinct = static_widths<without_replacement>;
  check_tokens(a, distinct{{2}}, match{}, 1.457658730159);
  check_tokens(a, distinct{{2, 2}}, match{}, 1.694303094293);
  using top = static_widths<ranked>;
  check_tokens(a, top{{2}}, match{}, 1.4);
  check_tokens(a, top{{3}}, match{}, 1.6);
  check_tokens(a, top{{2, 2}}, match{}, 1.64);
  check_tokens(a, top{{2, 1}}, match{}, 1.54);
  check_tokens(a, top{{1, 2}}, match{}, 1.48);
}

TEST_CASE("match emits one token and the target's probability of every path") {
  const std::vector<std::vector<std::size_t>> shapes{{1}, {2}, {3}, {2, 2}, {3, 1}, {1, 2, 2}};
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (const auto& shape : shapes) {
      static_widths<ranked> builder{{0}};
      for (std::size_t i = 0; i < shape.size(); ++i) builder.widths[i] = static_cast<std::int32_t>(shape[i]);
      check_tokens(world, builder, match{}, 1 + path_mass(world, shape, world.prompt));
    }
  }
}

TEST_CASE("one drafted token is accepted with probability sum of min(p, q)") {
  for (const auto& world : proof::standard_toys<double>(5)) {
    const std::vector<double> p = probabilities(world.target, world.prompt);
    const std::vector<double> q = probabilities(world.draft, world.prompt);
    double overlap = 0;
    for (std::size_t v = 0; v < p.size(); ++v) overlap += std::min(p[v], q[v]);
    check_tokens(world, chain<independent>{1}, speculative_sampling{}, 1 + overlap);
  }
}

TEST_CASE("K-SEQ emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  using iid = static_widths<independent>;
  check_tokens(a, iid{{1}}, k_seq{}, 1.7);
  check_tokens(a, iid{{2}}, k_seq{}, 1.75);
  check_tokens(a, iid{{3}}, k_seq{}, 1.793949968308);
}

TEST_CASE("membership emits the golden number of tokens") {
  const auto a = proof::toy_a<double>();
  check_tokens(a, static_widths<without_replacement>{{2, 2}}, membership{}, 2.366352, 5e-7);
  check_tokens(a, static_widths<independent>{{2, 2}}, membership{}, 2.3259);
  check_tokens(a, static_widths<greedy_multi_draft>{{2}}, membership{}, 1.766666666667);
  check_tokens(a, static_widths<greedy_multi_draft>{{3}}, membership{}, 1.933333333333);
  check_tokens(a, static_widths<ranked>{{2, 2}}, membership{}, 1.64);  // match
  check_tokens(a, chain<independent>{3}, membership{}, 2.667);         // speculative sampling
}

TEST_CASE("the order of independent draws does not change how many tokens are emitted") {
  const auto a = proof::toy_a<double>();
  using iid = static_widths<independent>;
  check_tokens(a, iid{{2}}, random_order{}, 1.73);
  check_tokens(a, iid{{3}}, random_order{}, 1.757);
  check_tokens(a, iid{{2, 1}}, random_order{}, 2.301);
  check_tokens(a, static_widths<without_replacement>{{3}}, random_order{}, 1.819761904762);  // there is but one order
}

TEST_CASE("the canonical decomposition of two drafts is the best possible on the golden rows") {
  check_tokens(proof::toy_a<double>(), static_widths<independent>{{2}}, canonical_decomposition{}, 1.79);
}

TEST_CASE("a uniform tail as wide as the vocabulary accepts always") {
  for (const auto& world : proof::standard_toys<double>(4)) {
    const auto every = static_cast<std::int32_t>(world.vocab_size());
    check_tokens(world, static_widths<uniform_tail>{{every}}, recursive_rejection{}, 2, 1e-10);
    check_tokens(world, static_widths<uniform_tail>{{every}}, traversal{}, 2, 1e-10);
  }
}

TEST_CASE("greedy multi-drafts are accepted with their optimal probability") {
  for (const auto& world : proof::standard_toys<double>(5)) {
    const std::vector<double> p = probabilities(world.target, world.prompt);
    std::vector<double> rest = probabilities(world.draft, world.prompt);
    const std::vector<token> order = by_rank(rest);
    double taken = 0;
    for (std::int32_t n = 1; n <= 4; ++n) {
      double left = 0;
      for (const double w : rest) left += w;
      if (!(left > 1e-12)) break;
      double expected = taken;
      for (std::size_t v = 0; v < p.size(); ++v) expected += std::min(p[v], rest[v] / left);
      check_tokens(world, static_widths<greedy_multi_draft>{{n}}, membership{}, 1 + expected);
      taken += p[index(order[index(n) - 1])];
      rest[index(order[index(n) - 1])] = 0;
    }
  }
}

TEST_CASE("no verifier of one level beats the best possible acceptance") {
  for (const auto& world : proof::standard_toys<double>(4)) {
    const auto p = law_of(probabilities(world.target, world.prompt));
    const auto q = law_of(probabilities(world.draft, world.prompt));
    for (std::int32_t n = 1; n <= 3; ++n) {
      INFO("toy " << world.name << ", " << n << " drafts");
      const static_widths<independent> iid{{n}};
      const double best = optimal_acceptance_independent(p.view(), q.view(), index(n)) + 1e-9;
      const double single = optimal_acceptance_independent(p.view(), q.view(), 1);
      for (const double seen :
           {acceptance(world, iid, recursive_rejection{}), acceptance(world, iid, traversal{}),
            acceptance(world, iid, k_seq{}), acceptance(world, iid, random_order{}), acceptance(world, iid, match{}),
            acceptance(world, iid, membership{}), acceptance(world, iid, canonical_decomposition{})}) {
        CHECK(seen <= best);
      }
      // The drafts that are made are fewer where the row has fewer tokens; one draft alone is never better.
      CHECK(acceptance(world, iid, recursive_rejection{}) >= single - 1e-9);
      CHECK(acceptance(world, iid, k_seq{}) >= single - 1e-9);
      CHECK(acceptance(world, iid, membership{}) >= single - 1e-9);
      CHECK(acceptance(world, iid, canonical_decomposition{}) >= single - 1e-9);
      const static_widths<without_replacement> distinct{{n}};
      const double best_distinct = optimal_acceptance_without_replacement(p.view(), q.view(), index(n)) + 1e-9;
      for (const double seen : {acceptance(world, distinct, recursive_rejection{}),
                                acceptance(world, distinct, traversal{}), acceptance(world, distinct, random_order{}),
                                acceptance(world, distinct, match{}), acceptance(world, distinct, membership{})}) {
        CHECK(seen <= best_distinct);
      }
    }
  }
}

TEST_CASE("K-SEQ accepts its share of the best possible") {
  const double least = 1 - 1 / std::exp(1.0);
  for (const auto& world : proof::standard_toys<double>(5)) {
    const auto p = law_of(probabilities(world.target, world.prompt));
    const auto q = law_of(probabilities(world.draft, world.prompt));
    INFO("toy " << world.name);
    CHECK(acceptance(world, static_widths<independent>{{2}}, k_seq{}) >=
          least * optimal_acceptance_independent(p.view(), q.view(), 2) - 1e-9);
  }
}

TEST_CASE("no verifier draws more coins than its budget") {
  for (const auto& world : proof::standard_toys<double>(4)) {
    INFO(world.name);
    // A chain of 3: three draft draws; one coin for each token tested, none after the first rejection; one last draw.
    const auto chained = proof::prove_steps(world, chain<independent>{3}, speculative_sampling{});
    CHECK(chained.found.fewest_draws.picks == 4);
    CHECK(chained.found.most_draws.picks == 4);
    CHECK(chained.found.fewest_draws.accepts >= 1);
    CHECK(chained.found.most_draws.accepts <= 3);
    // Match draws once for each token it emits and tosses no coin.
    const auto matched = proof::prove_steps(world, static_widths<ranked>{{2, 2}}, match{});
    CHECK(matched.found.fewest_draws.picks >= 1);
    CHECK(matched.found.most_draws.total() == matched.found.most_draws.picks);
    CHECK(matched.found.most_draws.picks <= 3);
    // Greedy draws nothing.
    const auto greedily = proof::prove_steps(at_temperature_zero(world), static_widths<ranked>{{2, 2}}, greedy{});
    CHECK(greedily.found.most_draws.total() == 0);
    CHECK(greedily.found.paths == 1);
  }
}

}  // namespace decant_test
