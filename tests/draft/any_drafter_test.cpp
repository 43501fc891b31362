// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/draft/any_drafter.hpp>

#include <decant/draft/guided_drafter.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>

#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;
using decant::error_code;

}  // namespace

TEST_CASE("an erased drafter says what the held one is") {
  std::vector<scene> all = scenes();
  for (const shipped_drafter& held : shipped_drafters()) {
    INFO(held.name);
    const decant::any_drafter<> erased = held.make(all[0].draft);
    CHECK(erased.produces_value() == held.produces);
    CHECK(erased.chains_only_value() == held.chains_only);
    CHECK(erased.length() == 0);
  }
  // Erased twice over: what the innermost part says counts.
  const decant::any_drafter<> erased(
      decant::guided_drafter<decant::any_builder<>>(decant::chain<decant::independent>{3}));
  CHECK(erased.produces_value() == decant::tree_class::counted);
  CHECK(erased.chains_only_value());
  STATIC_REQUIRE(decant::any_drafter<>::produces == decant::tree_class::arbitrary);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<decant::any_drafter<>>);
}

TEST_CASE("erased pairings that would not compile are refused with the same sentence") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  std::size_t refused = 0;
  for (const shipped_drafter& drafter : shipped_drafters()) {
    for (const shipped_verifier& verifier : exact_verifiers()) {
      INFO(drafter.name << ", " << verifier.name);
      const auto expected = decant::check_pairing(drafter.produces, drafter.chains_only,
                                                  verifier.verifier.needs_value(), verifier.verifier.shape_value());
      auto machine = make_machine(drafter.make(here.draft), verifier.verifier, penalised(), options_for(here));
      const auto begun = machine.begin(token_list{1, 2});
      CHECK(begun.has_value() == (expected == decant::pairing_verdict::fits));
      if (begun.has_value()) continue;
      ++refused;
      CHECK(begun.code() == error_code::refused_pairing);
      CHECK(std::string(begun.error().detail.c_str()) == decant::sentence(expected));
      CHECK(machine.plan().code() == error_code::wrong_call_order);
      CHECK(machine.context().empty());
    }
  }
  CHECK(refused == 27);
}

TEST_CASE("a host drives an erased drafter that waits for rows") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  using builder = decant::static_widths<decant::without_replacement>;
  const token_list prompt{1, 2, 3};
  auto typed = make_typed_machine(decant::make_model_drafter(here.draft, builder{{2, 2, 1}}, penalised()),
                                  decant::recursive_rejection{}, penalised(), options_for(here, 12));
  const token_list expected = run(here.target, typed, prompt);

  auto machine = make_machine(decant::guided_drafter<builder, chain_sampler>({{2, 2, 1}}, penalised()),
                              decant::recursive_rejection{}, penalised(), options_for(here, 12));
  REQUIRE(machine.begin(prompt).has_value());
  boxed_model target = here.target;
  boxed_model draft = here.draft;
  while (!machine.finished()) {
    const token_span before_root = machine.context().first(machine.context().size() - 1);
    REQUIRE(machine.begin_plan().has_value());
    while (!machine.wanted_draft_rows().empty()) {
      CHECK(machine.plan().code() == error_code::wrong_call_order);  // it cannot finish by itself
      REQUIRE(draft.truncate(0).has_value());
      REQUIRE(draft.prefill(before_root).has_value());
      auto rows = draft.evaluate(machine.draft_tree(), machine.draft_tree().all());
      REQUIRE(machine.supply_draft_rows(*rows).has_value());
    }
    auto plan = machine.plan();
    REQUIRE(plan.has_value());
    REQUIRE(target.truncate(0).has_value());
    REQUIRE(target.prefill(before_root).has_value());
    auto rows = target.evaluate(plan->tree, plan->tree.all());
    REQUIRE(machine.absorb(*rows).has_value());
  }
  CHECK(to_token_list(machine.context().subspan(prompt.size())) == expected);
}

TEST_CASE("an erased drafter that takes no rows refuses them") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  const std::vector<float> row(here.vocab_size(), 0.0f);
  auto rows = decant::rows_from<float>([&](decant::node_id) { return std::span<const float>(row); });
  auto with_model = make_machine(decant::make_model_drafter(here.draft, decant::chain<decant::ranked>{2}),
                                 decant::match{}, penalised(), options_for(here));
  REQUIRE(with_model.begin(token_list{1, 2}).has_value());
  REQUIRE(with_model.begin_plan().has_value());
  CHECK(with_model.supply_draft_rows(rows).code() == error_code::wrong_call_order);
  CHECK(with_model.plan().has_value());

  auto without = make_machine(decant::no_drafter{}, decant::match{}, penalised(), options_for(here));
  REQUIRE(without.begin(token_list{1, 2}).has_value());
  REQUIRE(without.begin_plan().has_value());
  CHECK(without.supply_draft_rows(rows).code() == error_code::wrong_call_order);
  CHECK(without.plan().has_value());
}

TEST_CASE("an erased drafter knows one kind of chance source") {
  struct other_chance : decant::philox_chance {};
  decant::any_drafter<> drafter(decant::no_drafter{});
  decant::token_draft<float> draft;
  draft.reset(1);
  const token_list context{1};
  const decant::draft_site site{context, {4, 4}, 8};
  other_chance other;
  CHECK(drafter.start(draft, site, other).code() == error_code::unsupported);
  decant::philox_chance known;
  CHECK(drafter.start(draft, site, known).has_value());
}
