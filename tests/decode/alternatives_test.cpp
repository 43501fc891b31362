// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a step reports beside its tokens: the best alternatives, and log-probabilities of the row before any sampler.
#include "tests/decode/support/warm_allocations.hpp"
#include "tests/support/decoding.hpp"

#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;
using decant::token_log_probability;

/// All reports of a run, one list of alternatives per token.
struct reports : collector {
  std::vector<double> values;
  std::vector<std::vector<token_log_probability>> alternatives;

  void on_step(const decant::decode_step& step) {
    collector::on_step(step);
    values.insert(values.end(), step.log_probabilities.begin(), step.log_probabilities.end());
    for (std::size_t i = 0; i < step.tokens.size(); ++i) {
      const auto best = step.alternatives_of(i);
      alternatives.emplace_back(best.begin(), best.end());
    }
  }
};

decant::decode_options reporting(const scene& here, std::size_t alternatives, bool raw) {
  decant::decode_options options = options_for(here);
  options.log_probabilities = true;
  options.alternatives = alternatives;
  options.raw_log_probabilities = raw;
  return options;
}

/// The processed law after a text, or the soft-max of its row.
decant::distribution<float> law_after(const scene& here, token_span text, bool raw) {
  const std::vector<float> row = row_after(here.target, text);
  decant::candidates<float> scratch;
  decant::distribution<float> law;
  if (raw) {
    REQUIRE(decant::make_sampler().law(std::span<const float>(row), {}, scratch, law) == decant::error_code::none);
    return law;
  }
  const chain_sampler sampler = penalised();
  auto state = sampler.initial_state();
  for (const token t : text) sampler.advance(state, t);
  REQUIRE(sampler.law(std::span<const float>(row), state, scratch, law) == decant::error_code::none);
  return law;
}

}  // namespace

TEST_CASE("alternatives are the best tokens of each position, under any drafter") {
  std::vector<scene> all = scenes();
  const token_list prompt{1, 2, 1, 2};
  for (const bool raw : {false, true}) {
    scene& here = all[1];
    auto plain = make_machine(decant::no_drafter{}, decant::match{}, penalised(), reporting(here, 3, raw));
    reports expected;
    REQUIRE(decant::generate(here.target, plain, prompt, expected).has_value());
    REQUIRE(expected.alternatives.size() == 24);
    auto drafted = make_machine(
        decant::make_model_drafter(here.draft, decant::static_widths<decant::ranked>{{2, 2, 1}}, penalised()),
        decant::match{}, penalised(), reporting(here, 3, raw));
    reports found;
    REQUIRE(decant::generate(here.target, drafted, prompt, found).has_value());
    CHECK(found.steps < expected.steps);
    CHECK(found.values == expected.values);
    CHECK(found.alternatives == expected.alternatives);
    for (std::size_t i = 0; i < expected.alternatives.size(); ++i) {
      const token_span before = plain.context().first(prompt.size() + i);
      const auto law = law_after(here, before, raw);
      std::vector<token> order(law.view().vocab_size());
      for (std::size_t t = 0; t < order.size(); ++t) order[t] = static_cast<token>(t);
      std::stable_sort(order.begin(), order.end(),
                       [&](token a, token b) { return law.view().probability(a) > law.view().probability(b); });
      REQUIRE(expected.alternatives[i].size() == 3);
      for (std::size_t rank = 0; rank < 3; ++rank) {
        const auto& entry = expected.alternatives[i][rank];
        CHECK(near(entry.value, std::log(law.view().probability(order[rank])), 1e-5));
        CHECK(near(entry.value, std::log(law.view().probability(entry.id)), 1e-5));
      }
      const token emitted = plain.context()[prompt.size() + i];
      CHECK(near(expected.values[i], std::log(law.view().probability(emitted)), 1e-5));
    }
  }
}

TEST_CASE("there are no more alternatives than tokens that had a chance") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), reporting(here, 4, false));
  reports found;
  REQUIRE(decant::generate(here.target, machine, token_list{1, 2}, found).has_value());
  for (std::size_t i = 0; i < found.alternatives.size(); ++i) {
    CHECK(found.alternatives[i] == std::vector<token_log_probability>{{machine.context()[2 + i], 0.0}});
  }
}

TEST_CASE("without being asked a step reports nothing, and alternatives need no log-probabilities") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  decant::decode_options options = options_for(here);
  auto silent = make_machine(decant::no_drafter{}, decant::match{}, penalised(), options);
  reports nothing;
  REQUIRE(decant::generate(here.target, silent, token_list{1, 2}, nothing).has_value());
  CHECK(nothing.values.empty());
  for (const auto& list : nothing.alternatives) CHECK(list.empty());
  options.alternatives = 2;
  auto machine = make_machine(decant::no_drafter{}, decant::match{}, penalised(), options);
  reports found;
  REQUIRE(decant::generate(here.target, machine, token_list{1, 2}, found).has_value());
  CHECK(found.values.empty());
  for (const auto& list : found.alternatives) CHECK(list.size() == 2);
}

TEST_CASE("reports allocate nothing in a step after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  for (const bool raw : {false, true}) {
    decant::decode_options options = options_for(here, 60);
    options.log_probabilities = true;
    options.alternatives = 5;
    options.raw_log_probabilities = raw;
    auto machine =
        make_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::without_replacement>{}),
                     decant::recursive_rejection{}, penalised(), options);
    CHECK(allocations_when_warm(here.target, machine) == 0);
  }
}
