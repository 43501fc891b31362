// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a seed or temperature 0 fixes. With match as the verifier the text is that of plain sampling with the same seed,
// whatever drafts: one draw per token, keyed by its position, with penalties that follow the path. At temperature 0 it
// is that of the plain greedy loop, whatever drafts and whatever exact verifier.
#include "tests/support/decoding.hpp"
#include "tests/support/pairings.hpp"

namespace {

using namespace decant_test;

}  // namespace

TEST_CASE("every drafter with match gives the text of plain sampling with the same seed") {
  std::vector<scene> all = scenes();
  random_source random(2);
  for (std::size_t i = 0; i < 60; ++i) {
    scene& here = all[i % all.size()];
    const token_list prompt = random_prompt(random, here.vocab_size());
    const decant::philox_chance chance{random.bits(), static_cast<std::uint32_t>(i)};
    const outcome plain =
        plain_decoding(prompt, options_for(here), {}, sampled_choice(here.target, penalised(), chance));
    for (const shipped_drafter& drafter : shipped_drafters()) {
      INFO(here.name << ": " << drafter.name << ", prompt " << i);
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, penalised(), options_for(here), chance);
      REQUIRE(run(here.target, machine, prompt) == plain.emitted);
    }
  }
}

TEST_CASE("every exact pairing gives the text of the plain greedy loop at temperature 0") {
  const auto verifiers = erased([](auto&& each) { for_each_exact_verifier(each); });
  random_source random(3);
  std::size_t pairings = 0;
  for (scene& here : scenes()) {
    std::vector<token_list> prompts;
    std::vector<token_list> expected;
    for (int i = 0; i < 4; ++i) {
      prompts.push_back(random_prompt(random, here.vocab_size()));
      expected.push_back(plain_decoding(prompts.back(), options_for(here), {}, greedy_choice(here.target)).emitted);
    }
    for (const shipped_drafter& drafter : shipped_drafters()) {
      for (const shipped_verifier& verifier : verifiers) {
        if (!verifier.fits(drafter)) continue;
        INFO(here.name << ": " << drafter.name << ", " << verifier.name);
        ++pairings;
        auto machine = make_machine(drafter.make(here.draft), verifier.verifier, at_zero(), options_for(here));
        std::uint64_t accepted = 0;
        for (std::size_t i = 0; i < prompts.size(); ++i) {
          REQUIRE(run(here.target, machine, prompts[i]) == expected[i]);
          accepted += machine.statistics().drafted().accepted;
        }
        CHECK((accepted > 0) == (drafter.name != "none"));
      }
    }
  }
  CHECK(pairings > 600);
}

TEST_CASE("another seed and another sequence number give another text") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const token_list prompt{1, 2, 3};
  std::vector<token_list> texts;
  for (const decant::philox_chance chance : {decant::philox_chance{1, 0}, {2, 0}, {1, 1}}) {
    auto machine = make_machine(decant::no_drafter{}, decant::match{}, penalised(), options_for(here), chance);
    texts.push_back(run(here.target, machine, prompt));
  }
  CHECK(texts[0] != texts[1]);
  CHECK(texts[0] != texts[2]);
  CHECK(texts[1] != texts[2]);
}

TEST_CASE("log-probabilities are those of plain decoding") {
  std::vector<scene> all = scenes();
  for (scene& here : all) {
    struct logging : collector {
      std::vector<double> values;
      void on_step(const decant::decode_step& step) {
        collector::on_step(step);
        CHECK(step.log_probabilities.size() == step.tokens.size());
        values.insert(values.end(), step.log_probabilities.begin(), step.log_probabilities.end());
      }
    };
    decant::decode_options options = options_for(here);
    options.log_probabilities = true;
    options.end_of_sequence = {3};  // also cuts paths
    const token_list prompt{1, 2, 1, 2};
    auto plain = make_machine(decant::no_drafter{}, decant::match{}, penalised(), options);
    logging expected;
    REQUIRE(decant::generate(here.target, plain, prompt, expected).has_value());
    for (const shipped_drafter& drafter : shipped_drafters()) {
      INFO(here.name << ": " << drafter.name);
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, penalised(), options);
      logging found;
      REQUIRE(decant::generate(here.target, machine, prompt, found).has_value());
      CHECK(found.values == expected.values);
    }
    // Recomputed from the row of each token.
    const token_span context = plain.context();
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      const token_span before = context.first(prompt.size() + i);
      auto state = penalised().initial_state();
      for (const token t : before) penalised().advance(state, t);
      decant::candidates<float> scratch;
      decant::distribution<float> law;
      const std::vector<float> row = row_after(here.target, before);
      REQUIRE(penalised().law(std::span<const float>(row), state, scratch, law) == decant::error_code::none);
      CHECK(near(std::exp(expected.values[i]), law.view().probability(context[prompt.size() + i]), 1e-12));
    }
  }
}
