// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Allocations of all type-erased pairings, relaxed verifiers included, of all sampler chains, of refused drafts, and
// for the growth of the text. typed_pairings_test.cpp counts those of typed pairings.
#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/decode/support/warm_allocations.hpp"
#include "tests/support/pairings.hpp"

#include <decant/sample/presets.hpp>
#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;

/// Checks every drafter with each of these verifiers that fits it. Returns how many pairings there were.
std::size_t check_warm_pairings(const std::vector<shipped_verifier>& verifiers) {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const toy_vocabulary vocabulary;
  std::size_t count = 0;
  for (const shipped_drafter& drafter : shipped_drafters()) {
    for (const shipped_verifier& verifier : verifiers) {
      if (!verifier.fits(drafter)) continue;
      INFO(drafter.name << ", " << verifier.name);
      auto machine = make_machine(drafter.make(here.draft), verifier.verifier, penalised(),
                                  options_with_everything(here, vocabulary));
      CHECK(allocations_when_warm(here.target, machine) == 0);
      ++count;
    }
  }
  return count;
}

}  // namespace

TEST_CASE("no exact pairing allocates in a step after warm-up") {
  CHECK(check_warm_pairings(erased([](auto&& each) { for_each_exact_verifier(each); })) > 150);
}

TEST_CASE("no relaxed pairing allocates in a step after warm-up") {
  CHECK(check_warm_pairings(erased([](auto&& each) { for_each_relaxed_verifier(each); })) > 150);
}

TEST_CASE("no sampler chain allocates in a step after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const auto check = [&](const char* name, const decant::any_sampler<>& sampler) {
    INFO(name);
    auto machine =
        make_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::without_replacement>{}),
                     decant::recursive_rejection{}, sampler, options_for(here, 60));
    CHECK(allocations_when_warm(here.target, machine) == 0);
  };
  check("llama.cpp", decant::llama_cpp_order({.penalty_repeat = 1.1f}));
  check("Hugging Face", decant::hf_order({.repetition_penalty = 1.2f}));
  check("vLLM", decant::vllm_order({.top_p = 0.9f, .presence_penalty = 0.3f}));
  check("plain soft-max", decant::sampler_chain<>{});
}

TEST_CASE("refusing a draft allocates nothing") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  auto machine = make_machine(scripted_drafter<>([](decant::token_draft<float>& out, const decant::draft_site&) {
                                out.tree.append(0, 1);
                                out.tree.append(0, -1);
                              }),
                              decant::greedy{}, at_zero(), options_for(here));
  REQUIRE(machine.begin(token_list{1, 2}).has_value());
  CHECK_FALSE(machine.plan().has_value());
  bool refused = false;
  CHECK(allocations_of([&] { refused = !machine.plan().has_value(); }) == 0);
  CHECK(refused);
}

TEST_CASE("without reserve the text grows amortised") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  auto machine = make_machine(decant::no_drafter{}, decant::greedy{}, at_zero(), options_for(here, 200));
  CHECK(allocations_of_run(here.target, machine, 0) < 100);  // workspaces, and the text doubling from 5 to 205 tokens
}
