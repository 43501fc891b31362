// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drafters with exact verifiers, a selection by type and all of them type-erased: at temperature 0 the text is that of
// a plain greedy loop, token by token; after warm-up a step allocates nothing; the type-erased forms give the same text
// as the typed ones.
#include "tests/decode/support/warm_allocations.hpp"
#include "tests/support/pairings.hpp"

#include <map>

namespace {

using namespace decant_test;

constexpr std::size_t prompt_count = 64;

struct sample {
  token_list prompt;
  token_list plain;
};

std::vector<sample> samples(const scene& here, std::uint64_t seed) {
  random_source random(seed);
  std::vector<sample> out;
  for (std::size_t i = 0; i < prompt_count / 4; ++i) {
    token_list prompt = random_prompt(random, here.vocab_size());
    token_list plain = plain_decoding(prompt, options_for(here), {}, greedy_choice(here.target)).emitted;
    out.push_back({std::move(prompt), std::move(plain)});
  }
  return out;
}

/// Calls `visit(name, make drafter, verifier)` for every pairing that is tested by type.
template <class Visit>
void for_each_pairing(Visit&& visit) {
  for_each_typed_drafter([&](const char* drafter_name, auto make) {
    for_each_typed_verifier<made_by<decltype(make)>>([&](const char* verifier_name, auto verifier) {
      visit(std::string(drafter_name) + " and " + verifier_name, make, verifier);
    });
  });
}

}  // namespace

TEST_CASE("every typed pairing gives the text of the plain greedy loop at temperature 0") {
  std::map<std::string, decant::decode_statistics> by_pairing;
  for (scene& here : scenes()) {
    const std::vector<sample> expected = samples(here, 1);
    for_each_pairing([&](const std::string& name, auto make, auto verifier) {
      INFO(here.name << ": " << name);
      // One machine serves all prompts in turn, so a new sequence must leave nothing of the old.
      auto machine = make_typed_machine(make(here.draft), verifier, at_zero(), options_for(here));
      for (const sample& one : expected) {
        REQUIRE(run(here.target, machine, one.prompt) == one.plain);
        by_pairing[name] += machine.statistics();
      }
    });
  }
  CHECK(by_pairing.size() == 67);
  for (const auto& [name, statistics] : by_pairing) {
    INFO(name);
    const bool drafts = name.find("none") == std::string::npos;
    CHECK((statistics.drafted().accepted > 0) == drafts);
    CHECK((statistics.passes < statistics.tokens) == drafts);
    // Every emitted token but the last of a step was an accepted one; a step that ends the text may lack the last.
    CHECK(statistics.tokens <= statistics.passes + statistics.drafted().accepted);
    CHECK(statistics.tokens + prompt_count >= statistics.passes + statistics.drafted().accepted);
  }
}

TEST_CASE("no typed pairing allocates in a step after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const toy_vocabulary vocabulary;
  for_each_pairing([&](const std::string& name, auto make, auto verifier) {
    INFO(name);
    auto machine =
        make_typed_machine(make(here.draft), verifier, penalised(), options_with_everything(here, vocabulary));
    CHECK(allocations_when_warm(here.target, machine) == 0);
  });
}

TEST_CASE("type-erased pairings give the text of the typed ones") {
  for (scene& here : scenes()) {
    for_each_pairing([&](const std::string& name, auto make, auto verifier) {
      INFO(here.name << ": " << name);
      const token_list prompt{1, 2, 3, 1, 2};
      auto typed = make_typed_machine(make(here.draft), verifier, penalised(), options_for(here, 12));
      const token_list expected = run(here.target, typed, prompt);
      const auto held = std::find_if(shipped_drafters().begin(), shipped_drafters().end(), [&](const auto& drafter) {
        return name.compare(0, drafter.name.size() + 5, drafter.name + " and ") == 0;
      });
      REQUIRE(held != shipped_drafters().end());
      auto erased = make_machine(held->make(here.draft), verifier, penalised(), options_for(here, 12));
      CHECK(erased.promise() == decltype(typed)::promises);
      CHECK(typed.promise() == decltype(typed)::promises);
      CHECK(run(here.target, erased, prompt) == expected);
      CHECK(erased.statistics() == typed.statistics());
    });
  }
}
