// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What must not matter: where a run was interrupted or taken back, what was dropped on the way, what other sequences
// do.
#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;

const toy_vocabulary vocabulary;

decant::decode_options options_here(const scene& here) {
  decant::decode_options options = options_for(here, 20);
  options.bytes = decant::token_bytes::from(vocabulary);
  options.stops.add(std::span<const char>("abba", 4));
  options.stops.add(std::span<const char>("cabc", 4));
  return options;
}

}  // namespace

TEST_CASE("taking text back and decoding again gives the text that was never speculated") {
  std::vector<scene> all = scenes();
  random_source random(8);
  std::size_t stopped = 0;
  for (std::size_t i = 0; i < 24; ++i) {
    scene& here = all[i % all.size()];
    const token_list prompt = random_prompt(random, here.vocab_size());
    const decant::philox_chance chance{random.bits(), 3};
    const auto options = options_here(here);
    const outcome plain =
        plain_decoding(prompt, options, {"abba", "cabc"}, sampled_choice(here.target, penalised(), chance));
    stopped += plain.finish == finish_reason::stop_string;
    for (const shipped_drafter& drafter : shipped_drafters()) {
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, penalised(), options, chance);
      REQUIRE(run(here.target, machine, prompt) == plain.emitted);
      for (std::size_t kept = 0; kept < plain.emitted.size(); ++kept) {
        INFO(here.name << ": " << drafter.name << ", prompt " << i << ", back to " << kept << " emitted tokens");
        REQUIRE(machine.rewind(prompt.size() + kept).has_value());
        CHECK(machine.emitted_count() == kept);
        collector hooks;
        const auto ended = decant::resume(here.target, machine, hooks);
        REQUIRE(ended.has_value());
        CHECK(*ended == plain.finish);
        REQUIRE(token_list(plain.emitted.begin() + static_cast<std::ptrdiff_t>(kept), plain.emitted.end()) ==
                hooks.streamed);
      }
    }
  }
  CHECK(stopped > 2);
}

TEST_CASE("a run taken back to the end of a step repeats it, rejections included") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const token_list prompt{3, 1, 2};
  struct marking : collector {
    std::vector<std::size_t> ends{0};
    void on_step(const decant::decode_step& step) {
      collector::on_step(step);
      ends.push_back(streamed.size());
    }
  };
  const shipped_verifier rejection{"recursive rejection", decant::recursive_rejection{}};
  for (const shipped_drafter& drafter : shipped_drafters()) {
    if (!rejection.fits(drafter)) continue;
    auto machine = make_machine(drafter.make(here.draft), rejection.verifier, penalised(), options_for(here));
    marking first;
    REQUIRE(decant::generate(here.target, machine, prompt, first).has_value());
    for (const std::size_t end : first.ends) {
      INFO(drafter.name << ", back to " << end);
      REQUIRE(machine.rewind(prompt.size() + end).has_value());
      REQUIRE(decant::resume(here.target, machine).has_value());
      CHECK(to_token_list(machine.context().subspan(prompt.size())) == first.streamed);
    }
  }
}

TEST_CASE("taking text back and putting other text in its place is as if it had always been there") {
  std::vector<scene> all = scenes();
  for (scene& here : all) {
    const token_list prompt{1, 2, 3};
    const token_list other(30, 4);
    for (const shipped_drafter& drafter : shipped_drafters()) {
      INFO(here.name << ": " << drafter.name);
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, penalised(), options_for(here));
      (void)run(here.target, machine, prompt);
      // The model is not told of the rewind, and the new text is longer than the old.
      REQUIRE(machine.rewind(5).has_value());
      REQUIRE(machine.append(other).has_value());
      const token_list whole = to_token_list(machine.context());
      REQUIRE(machine.still_valid() == 4);
      collector hooks;
      REQUIRE(decant::resume(here.target, machine, hooks).has_value());
      const outcome expected =
          plain_decoding(whole, options_for(here), {}, sampled_choice(here.target, penalised(), {}));
      CHECK(hooks.streamed == expected.emitted);
      CHECK(machine.still_valid() == machine.context().size());
    }
  }
}

TEST_CASE("dropped plans leave no trace") {
  std::vector<scene> all = scenes();
  random_source random(12);
  for (scene& here : all) {
    for (const shipped_drafter& drafter : shipped_drafters()) {
      for (const shipped_verifier& verifier : exact_verifiers()) {
        if (!verifier.fits(drafter)) continue;
        INFO(here.name << ": " << drafter.name << ", " << verifier.name);
        const token_list prompt{1, 2, 3};
        auto calm = make_machine(drafter.make(here.draft), verifier.verifier, penalised(), options_for(here, 12));
        const token_list expected = run(here.target, calm, prompt);
        auto machine = make_machine(drafter.make(here.draft), verifier.verifier, penalised(), options_for(here, 12));
        REQUIRE(machine.begin(prompt).has_value());
        REQUIRE(here.target.truncate(0).has_value());
        REQUIRE(here.target.prefill(token_span(prompt).first(2)).has_value());
        while (!machine.finished()) {
          while (random.coin(0.4))
            REQUIRE((random.coin() ? machine.plan().code() : machine.begin_plan().code()) == decant::error_code::none);
          auto plan = machine.plan();
          REQUIRE(plan.has_value());
          auto rows = here.target.evaluate(plan->tree, plan->tree.all());
          if (random.coin(0.3)) {  // evaluated, then dropped
            REQUIRE(here.target.truncate(here.target.length()).has_value());
            continue;
          }
          auto step = machine.absorb(*rows);
          REQUIRE(step.has_value());
          REQUIRE(here.target.commit(step->kept).has_value());
        }
        CHECK(to_token_list(machine.context().subspan(prompt.size())) == expected);
      }
    }
  }
}

TEST_CASE("machines may be moved and copied between steps") {
  std::vector<scene> all = scenes();
  scene& here = all[1];
  const token_list prompt{1, 2, 3, 1};
  auto whole = make_typed_machine(decant::prompt_lookup<>{{.min_match = 1, .index_bits = 6}}, decant::match{},
                                  penalised(), options_for(here));
  const token_list expected = run(here.target, whole, prompt);
  for (std::size_t after = 0; after < 8; ++after) {
    auto machine = make_typed_machine(decant::prompt_lookup<>{{.min_match = 1, .index_bits = 6}}, decant::match{},
                                      penalised(), options_for(here));
    collector hooks;
    hooks.stop_after = after;
    boxed_model model = here.target;
    REQUIRE(decant::generate(model, machine, prompt, hooks).has_value());
    REQUIRE(machine.rewind(machine.context().size()).has_value());
    auto copy = machine;
    boxed_model copied_model = model;
    auto moved = std::move(machine);
    REQUIRE(decant::resume(model, moved).has_value());
    REQUIRE(decant::resume(copied_model, copy).has_value());
    CHECK(to_token_list(moved.context().subspan(prompt.size())) == expected);
    CHECK(to_token_list(copy.context().subspan(prompt.size())) == expected);
  }
}
