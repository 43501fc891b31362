// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law of drafter-invariant verification is proved in tests/proof; here is that the text of a seed is the same for
// every drafter, and how often a coupled draft is accepted.
#include <decant/draft/any_drafter.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/coupled_draws.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/drafter_invariant.hpp>

#include "tests/support/decoding.hpp"
#include "tests/verify/drawn_law.hpp"
#include "tests/verify/verify_kit.hpp"

namespace decant_test {
namespace {

/// Answers races from a list and writes down their keys.
struct told_races {
  std::deque<token> winners;
  std::vector<chance_key> keys{};
  bool asked_otherwise = false;

  bool accept(chance_key, double, double) { return asked_otherwise = true; }
  token pick(chance_key, distribution_view<double>) {
    asked_otherwise = true;
    return 0;
  }
  std::size_t ordered_sample(chance_key key, distribution_view<double>, std::span<token> out) {
    keys.push_back(key);
    out[0] = winners.front();
    winners.pop_front();
    return 1;
  }
};

/// A sampler without truncation: dense laws.
[[nodiscard]] chain_sampler untruncated() {
  return make_sampler(penalties{1.3f, 0.1f, 0.1f, 12}, top_k{0}, temperature{1.1f});
}

/// The winners of the races, token by token, from rows computed alone.
[[nodiscard]] token_list text_by_races(const scene& here, const chain_sampler& sampler, token_list context,
                                       philox_chance chance, std::size_t count) {
  token_list text;
  for (std::size_t i = 0; i < count; ++i) {
    candidates<float> scratch;
    distribution<float> law;
    const std::vector<float> row = row_after(here.target, context);
    auto state = sampler.initial_state();
    for (const token t : context) sampler.advance(state, t);
    REQUIRE(sampler.law(std::span<const float>(row), state, scratch, law) == error_code::none);
    token winner = no_token;
    REQUIRE(chance.ordered_sample(sample_key(context.size()), law.view(), std::span<token>(&winner, 1)) == 1);
    context.push_back(winner);
    text.push_back(winner);
  }
  return text;
}

/// Builders coupled to the verifier.
[[nodiscard]] std::vector<shipped_builder> coupled_builders() {
  return {{"coupled chain", chain<coupled_draws>{5}},
          {"coupled chain that stops at unsure rows", chain<coupled_draws>{5, 0.3f}},
          {"coupled widths", static_widths<coupled_draws>{{3, 2, 1}}}};
}

}  // namespace

TEST_CASE("one race for each emitted token decides") {
  verify_case given;
  const node_id a = given.add(0, 2);
  (void)given.add(0, 1);
  const node_id b = given.add(a, 3);
  given.rows = {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}};
  for (const std::deque<token>& winners : {std::deque<token>{2, 3, 0}, {2, 1}, {0}}) {
    told_races chance{winners};
    const auto target = dense_law(given.rows[0]);
    same_law_everywhere<double> rows{target};
    no_work<double> scratch;
    verdict made;
    REQUIRE(drafter_invariant{}.verify(given.draft, rows, chance, 10, scratch, made) == error_code::none);
    CHECK(made.last == winners.back());
    CHECK(made.path.size() == winners.size());
    CHECK(chance.keys.size() == winners.size());
    for (std::size_t i = 0; i < chance.keys.size(); ++i) CHECK(chance.keys[i] == sample_key(11 + i));
    CHECK_FALSE(chance.asked_otherwise);
    if (winners.size() == 3) CHECK(made.path == path{0, a, b});
    CHECK(made.kind == (winners.size() == 3 ? last_token_kind::bonus : last_token_kind::sample));
  }
}

TEST_CASE("the text of a seed is the same for every drafter, with sparse and with dense laws") {
  std::vector<scene> all = scenes();
  random_source random(351);
  for (std::size_t i = 0; i < 40; ++i) {
    scene& here = all[i % all.size()];
    const token_list prompt = random_prompt(random, here.vocab_size());
    const philox_chance chance{random.bits(), static_cast<std::uint32_t>(i)};
    const chain_sampler sampler = i / 4 % 2 == 0 ? penalised() : untruncated();
    const decode_options options = options_for(here);
    auto plain = make_typed_machine(no_drafter{}, drafter_invariant{}, sampler, options, chance);
    const token_list text = run(here.target, plain, prompt);
    CHECK(text == text_by_races(here, sampler, prompt, chance, text.size()));
    const auto check = [&](const std::string& name, any_drafter<> drafter) {
      INFO(here.name << ": " << name << ", prompt " << i);
      auto machine = make_typed_machine(std::move(drafter), drafter_invariant{}, sampler, options, chance);
      CHECK(run(here.target, machine, prompt) == text);
    };
    for (const shipped_drafter& drafter : shipped_drafters()) check(drafter.name, drafter.make(here.draft));
    for (const shipped_builder& one : coupled_builders()) {
      check(one.name, make_model_drafter(here.draft, one.builder, penalised()));
      check(one.name + ", no truncation", make_model_drafter(here.draft, one.builder, untruncated()));
    }
  }
}

TEST_CASE("another seed gives another text") {
  std::vector<scene> all = scenes();
  auto once = make_typed_machine(no_drafter{}, drafter_invariant{}, penalised(), options_for(all[2]), {1});
  auto again = make_typed_machine(no_drafter{}, drafter_invariant{}, penalised(), options_for(all[2]), {2});
  CHECK(run(all[2].target, once, token_list{1, 2, 3}) != run(all[2].target, again, token_list{1, 2, 3}));
}

TEST_CASE("a coupled draft is accepted as often as the two races agree") {
  const auto acceptance = [](const std::vector<float>& p, const std::vector<float>& q) {
    const auto target = dense_law(p);
    const auto proposal = sparse_law(q);
    double expected = 0;
    for (token x = 0; x < static_cast<token>(p.size()); ++x) {
      const double px = target.view().probability(x);
      const double qx = proposal.view().probability(x);
      double sum = 0;
      for (token y = 0; y < static_cast<token>(p.size()); ++y) {
        sum += std::max(target.view().probability(y) / px, proposal.view().probability(y) / qx);
      }
      expected += px > 0 && qx > 0 ? 1 / sum : 0;
    }
    constexpr double rounds = 40000;
    const drawn_counts seen = count_first_tokens(coupled_draws{}, 1, drafter_invariant{}, target, proposal, 40000);
    CAPTURE(expected, seen.accepted / rounds);
    CHECK(near(seen.accepted / rounds, expected, 0.01));  // four deviations
    return expected;
  };
  CHECK(near(acceptance({5, 3, 2}, {2, 5, 3}), 0.6935, 5e-5));
  CHECK(near(acceptance({1, 2, 3, 4}, {2, 4, 6, 8}), 1, 1e-6));
  CHECK(acceptance({1, 0, 3}, {0, 2, 0}) == 0);
  random_source random(352);
  for (int round = 0; round < 3; ++round) acceptance(random.weights<float>(12, 0.2), random.weights<float>(12, 0.2));
}

TEST_CASE("drafter-invariant verification has the target's law in float, coupled or not") {
  check_drawn_law(coupled_draws{}, 3, drafter_invariant{}, 353);
  check_drawn_law(without_replacement{}, 3, drafter_invariant{}, 354);
}

}  // namespace decant_test
