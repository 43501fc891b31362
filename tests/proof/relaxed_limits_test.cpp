// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two ends of every relaxation, with production randomness: at its strict point the text is, token by token, that
// of the exact verifier; at its loose end it is the drafter's.
#include <decant/core/philox.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/block_verification.hpp>
#include <decant/verify/cascades.hpp>
#include <decant/verify/divergence_gate.hpp>
#include <decant/verify/greedy.hpp>
#include <decant/verify/judge.hpp>
#include <decant/verify/lenience.hpp>
#include <decant/verify/loose_window.hpp>
#include <decant/verify/margin_acceptance.hpp>
#include <decant/verify/mentored.hpp>
#include <decant/verify/top_k_acceptance.hpp>
#include <decant/verify/traversal.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include "tests/support/test_kit.hpp"

namespace decant_test {

using namespace decant;  // NOLINT: test support

namespace {

using builder = any_builder<double>;
using verifier = any_verifier<double>;

/// The same hidden row for every node.
struct constant_row {
  float value = 0;

  [[nodiscard]] std::span<const float> hidden(node_id) const { return {&value, 1}; }
};

const constant_row unsure{};
const constant_row sure{100};

[[nodiscard]] judge_test<constant_row> judging(double threshold, const constant_row& row = unsure) {
  return {{{1}, 0}, threshold, {&row}};
}

/// What was decoded, and the accepted tokens of each step.
struct decoded : generate_hooks {
  struct entry {
    std::vector<token> accepted;
    std::size_t relaxed;
  };
  const token_tree* tree = nullptr;
  std::vector<entry> steps{};
  std::vector<token> text{};

  void on_step(const decode_step& step) {
    entry seen{{}, step.relaxed.size()};
    for (const node_id n : step.kept.subspan(1)) seen.accepted.push_back(tree->token_of(n));
    steps.push_back(std::move(seen));
  }
};

[[nodiscard]] decoded decode(const proof::toy<double>& world, const builder& trees, const verifier& by,
                             std::uint64_t seed, std::size_t tokens = 40) {
  decode_options options;
  options.vocab_size = world.vocab_size();
  options.context_size = 4096;
  options.max_tokens = tokens;
  auto drafter = proof::drafter_of(world, trees);
  speculation<decltype(drafter), verifier, given_law, philox_chance, double> machine(
      std::move(drafter), by, given_law{}, philox_chance{seed}, options);
  proof::toy_model<double, given_law> model(world.target);
  decoded result;
  result.tree = &machine.draft_tree();
  (void)generate(model, machine, world.prompt, result).value_or_throw();
  result.text.assign(machine.context().begin(), machine.context().end());
  return result;
}
[[nodiscard]] decoded::entry first_step(const proof::toy<double>& world, const verifier& by, std::uint64_t seed) {
  return decode(world, chain<independent>{3}, by, seed, 4).steps.front();
}

struct named {
  std::string name;
  verifier relaxed;
};

/// Checks that relaxed verifiers decode the texts of an exact one.
void check_same_texts(const std::vector<named>& strict, const verifier& exact, const builder& trees) {
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      const auto expected = decode(world, trees, exact, seed).text;
      for (const named& one : strict) {
        INFO(one.name << ", toy " << world.name << ", seed " << seed);
        CHECK(decode(world, trees, one.relaxed, seed).text == expected);
      }
    }
  }
}

template <class Base>
[[nodiscard]] std::vector<named> strict_transforms() {
  return {{"lenience", transform_verifier<lenience, Base>{{1}}},
          {"lenience, scaled", transform_verifier<lenience, Base>{{1, lenient_residual::scaled}}},
          {"mentored", transform_verifier<mentored, Base>{{0}}},
          {"gate", transform_verifier<divergence_gate, Base>{{0}}},
          {"cascade", transform_verifier<cascade, Base>{{cascade_rule::token_v2, 1, true}}},
          {"chow", transform_verifier<cascade, Base>{{cascade_rule::chow, -.001}}},
          {"optimal", transform_verifier<cascade, Base>{{cascade_rule::difference, -2}}}};
}

}  // namespace

TEST_CASE("transforms at their strict points decode the text of their base") {
  check_same_texts(strict_transforms<recursive_rejection>(), recursive_rejection{},
                   static_widths<without_replacement>{{2, 2}});
  check_same_texts(strict_transforms<traversal>(), traversal{}, static_widths<independent>{{2, 1}});
  check_same_texts(strict_transforms<block_verification>(), block_verification{}, chain<independent>{3});
}

TEST_CASE("a judge with a threshold of one decodes the text of recursive rejection") {
  const std::vector<named> strict{{"judge", judge<standard_test::rejection, constant_row>{judging(1, sure)}}};
  check_same_texts(strict, recursive_rejection{}, chain<independent>{3});
  check_same_texts(strict, recursive_rejection{}, static_widths<without_replacement>{{2, 2}});
}

TEST_CASE("predicates at their strict points decode the greedy text") {
  const std::vector<named> strict{{"judge", judge<standard_test::greedy, constant_row>{judging(1, sure)}},
                                  {"top-k", top_k_acceptance<>{{1}}},
                                  {"margin", margin_acceptance<>{{0}}},
                                  {"margin or greedy", margin_acceptance<standard_test::greedy>{{0}}},
                                  {"loose window", loose_speculation{{100}}},
                                  {"loose window, gated", loose_speculation{{1, 100}}}};
  check_same_texts(strict, greedy{}, chain<ranked>{4});
}

TEST_CASE("typical acceptance of a target at temperature 0 decodes the greedy text") {
  for (auto world : proof::standard_toys<double>(5)) {
    world.target = proof::one_hot(world.target);
    for (const typical_test& pair : {typical_test::documented(), typical_test::swapped()}) {
      for (const correction_rule last : {correction_rule::argmax, correction_rule::draw}) {
        const auto text = decode(world, chain<ranked>{4}, typical_walk<>{pair, last}, 1).text;
        CHECK(text == decode(world, chain<ranked>{4}, greedy{}, 1).text);
      }
    }
  }
}

TEST_CASE("a judge with a threshold of zero accepts every draft but end tokens") {
  const judge<standard_test::rejection, constant_row> guarded{judging(0), correction_rule::residual, {{1}}};
  const judge<standard_test::rejection, constant_row> waived{judging(0), correction_rule::residual, {{1}, true}};
  std::size_t cut = 0;
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      // The draft of the first step is the same; without the guard it is accepted whole.
      const auto draft = first_step(world, waived, seed).accepted;
      const auto accepted = first_step(world, guarded, seed).accepted;
      REQUIRE(draft.size() == 3);
      REQUIRE(std::equal(accepted.begin(), accepted.end(), draft.begin()));
      if (accepted.size() == 3) continue;
      CHECK(draft[accepted.size()] == 1);
      ++cut;
    }
  }
  CHECK(cut > 20);
}

TEST_CASE("at their loose ends relaxations accept every draft") {
  const double infinite = std::numeric_limits<double>::infinity();
  const std::vector<named> loose{{"judge", judge<standard_test::rejection, constant_row>{judging(0)}},
                                 {"gate", fuzzy_verification<>{{infinite, divergence_kind::total_variation}}},
                                 {"chow", speculative_cascade<>{{cascade_rule::chow, 2}}},
                                 {"mentored", mentored_decoding<>{{infinite}}},
                                 {"token cascade", speculative_cascade<>{{cascade_rule::token_v1, 2}}}};
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (const named& one : loose) {
      const auto steps = decode(world, chain<independent>{3}, one.relaxed, 11, 60).steps;
      INFO(one.name << ", toy " << world.name);
      CHECK(steps.size() == 15);  // 60 tokens, four in each step
      CHECK(std::all_of(steps.begin(), steps.end() - 1, [](const auto& step) { return step.accepted.size() == 3; }));
    }
  }
}

TEST_CASE("relaxed acceptances are those that strict verification of the same draws has refused") {
  // At the first step both see the same draft; the relaxed path starts with the strict one, unflagged.
  std::size_t refused = 0;
  for (const auto& world : proof::standard_toys<double>(5)) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const auto strict = first_step(world, recursive_rejection{}, seed);
      const auto relaxed = first_step(world, judge<standard_test::rejection, constant_row>{judging(0)}, seed);
      REQUIRE(relaxed.accepted.size() == 3);
      REQUIRE(std::equal(strict.accepted.begin(), strict.accepted.end(), relaxed.accepted.begin()));
      CHECK((relaxed.relaxed == 0) == (strict.accepted.size() == 3));
      refused += strict.accepted.size() < 3;
    }
  }
  CHECK(refused > 50);
}

}  // namespace decant_test
