// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Allocations beside those of typed_pairings_test.cpp: all sampler chains, refused drafts, the growth of the text.
#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/support/allocation_counter.hpp"
#include "tests/support/decoding.hpp"

#include <decant/sample/presets.hpp>
#include <decant/tree/static_widths.hpp>

namespace {

using namespace decant_test;

const token_list prompt{1, 2, 3, 1, 2};

/// Allocations of all calls of plan and absorb of a sequence.
std::size_t allocations_of_run(boxed_model& target, erased_machine& machine, std::uint64_t seed) {
  machine.chance().seed = seed;
  REQUIRE(machine.begin(prompt).has_value());
  REQUIRE(target.truncate(0).has_value());
  REQUIRE(target.prefill(token_span(prompt).first(prompt.size() - 1)).has_value());
  std::size_t count = 0;
  while (!machine.finished()) {
    count += allocations_of([&] { (void)machine.plan(); });
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

}  // namespace

TEST_CASE("no sampler chain allocates in a step after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const auto check = [&](const char* name, const decant::any_sampler<>& sampler) {
    INFO(name);
    auto machine =
        make_machine(decant::make_model_drafter(here.draft, decant::static_widths<decant::without_replacement>{}),
                     decant::recursive_rejection{}, sampler, options_for(here, 60));
    machine.reserve();
    for (std::uint64_t seed = 0; seed < 24; ++seed) (void)allocations_of_run(here.target, machine, seed);
    CHECK(allocations_of_run(here.target, machine, 101) == 0);
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
  REQUIRE(machine.begin(prompt).has_value());
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
