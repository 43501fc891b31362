// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every shipped drafter with every exact verifier, by type: at temperature 0 the text is that of a plain greedy loop,
// token by token; after warm-up a step allocates nothing; the type-erased forms give the same text.
#include "tests/support/allocation_counter.hpp"
#include "tests/support/decoding.hpp"
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

/// Allocations of all calls of plan and absorb of a sequence, layouts included.
template <class Machine>
std::size_t allocations_of_run(boxed_model& target, Machine& machine, std::uint64_t seed) {
  const token_list prompt{1, 2, 3, 1, 2};
  machine.chance().seed = seed;
  REQUIRE(machine.begin(prompt).has_value());
  REQUIRE(target.truncate(0).has_value());
  REQUIRE(target.prefill(token_span(prompt).first(prompt.size() - 1)).has_value());
  std::size_t count = 0;
  while (!machine.finished()) {
    bool planned = false;
    count += allocations_of([&] {
      const auto plan = machine.plan();
      planned = plan.has_value();
      if (!planned) return;
      (void)plan->layout.in_creation_order();
      (void)plan->layout.in_heavy_path_order();
    });
    REQUIRE(planned);
    auto rows = target.evaluate(machine.draft_tree(), machine.draft_tree().all());
    REQUIRE(rows.has_value());
    decant::node_span kept;
    count += allocations_of([&] {
      const auto step = machine.absorb(*rows);
      if (step) kept = step->kept;
    });
    REQUIRE(!kept.empty());
    REQUIRE(target.commit(kept).has_value());
  }
  return count;
}

decant::decode_options options_with_everything(const scene& here, const toy_vocabulary& vocabulary) {
  decant::decode_options options = options_for(here, 60);
  options.log_probabilities = true;
  options.bytes = decant::token_bytes::from(vocabulary);
  options.stops.add(std::span<const char>("abcabcabc", 9));
  options.end_of_sequence = {static_cast<token>(here.vocab_size())};  // never met
  return options;
}

/// Allocations of a sequence after others with other seeds: workspaces have grown to the trees of this size.
template <class Machine>
std::size_t allocations_when_warm(boxed_model& target, Machine& machine) {
  machine.reserve();
  CHECK(allocations_of_run(target, machine, 100) > 0);
  for (std::uint64_t seed = 0; seed < 24; ++seed) (void)allocations_of_run(target, machine, seed);
  return allocations_of_run(target, machine, 101);
}

/// Calls `visit(name, make drafter, verifier)` for every pairing.
template <class Visit>
void for_each_pairing(Visit&& visit) {
  for_each_drafter([&](const char* drafter_name, auto make) {
    for_each_verifier<made_by<decltype(make)>>([&](const char* verifier_name, auto verifier) {
      visit(std::string(drafter_name) + " and " + verifier_name, make, verifier);
    });
  });
}

}  // namespace

TEST_CASE("every pairing gives the text of the plain greedy loop at temperature 0") {
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
  CHECK(by_pairing.size() == 58);
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

TEST_CASE("no pairing allocates in a step after warm-up") {
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

TEST_CASE("no type-erased pairing allocates in a step after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const toy_vocabulary vocabulary;
  for (const shipped_drafter& drafter : shipped_drafters()) {
    for (const shipped_verifier& verifier : exact_verifiers()) {
      if (!verifier.fits(drafter)) continue;
      INFO(drafter.name << ", " << verifier.name);
      auto machine = make_machine(drafter.make(here.draft), verifier.verifier, penalised(),
                                  options_with_everything(here, vocabulary));
      CHECK(allocations_when_warm(here.target, machine) == 0);
    }
  }
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
