// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/control/paced_drafter.hpp>
#include <decant/control/renewal_rule.hpp>
#include <decant/draft/guided_drafter.hpp>
#include <decant/model/model_wrapper.hpp>
#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/dyspec_heap.hpp>
#include <decant/tree/dyspec_threshold.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/tree/stochastic_beam.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;
using decant::confidence;
using decant::cost_curve;
using decant::draft_level;
using decant::draft_outcome;
using decant::paced_drafter;
using decant::renewal_rule;

/// Wants a fixed number of levels, and remembers what it was shown.
struct scripted_rule {
  std::size_t wanted = 2;
  std::size_t sequences = 0;
  std::vector<draft_level> seen{};
  std::vector<draft_outcome> outcomes{};

  void begin() { ++sequences; }
  [[nodiscard]] std::size_t choose(std::span<const draft_level> levels, std::size_t) const {
    return std::min(wanted, levels.size());
  }
  void learn(std::span<const draft_level> levels, const draft_outcome& outcome) {
    seen.assign(levels.begin(), levels.end());
    outcomes.push_back(outcome);
  }
};
static_assert(decant::LengthRule<scripted_rule>);

/// Alternates between lengths by what the rows say: keeps levels whose token is likely, and drops others.
struct doubting_rule {
  void begin() {}
  [[nodiscard]] std::size_t choose(std::span<const draft_level> levels, std::size_t drafted) const {
    std::size_t wanted = 0;
    while (wanted < drafted && levels[wanted].level_confidence.probability() > 0.45) ++wanted;
    return wanted < drafted ? wanted : std::min(drafted + 1, levels.size());
  }
  void learn(std::span<const draft_level>, const draft_outcome&) {}
};
static_assert(decant::LengthRule<doubting_rule>);

/// Takes back a last level of a single node: how many nodes a level has may depend on what was drawn in it.
struct counting_rule {
  void begin() {}
  [[nodiscard]] std::size_t choose(std::span<const draft_level> levels, std::size_t drafted) const {
    if (drafted > 0 && levels[drafted - 1].nodes == 1) return drafted - 1;
    return std::min(drafted + 1, levels.size());
  }
  void learn(std::span<const draft_level>, const draft_outcome&) {}
};
static_assert(decant::LengthRule<counting_rule>);

template <class Builder>
using model_drafter_of = decant::model_drafter<boxed_model&, Builder>;
template <class Builder>
model_drafter_of<Builder> drafter_of(boxed_model& model, Builder builder) {
  return model_drafter_of<Builder>(model, std::move(builder));
}

static_assert(decant::SteppedDrafter<model_drafter_of<decant::chain<decant::ranked>>>);
static_assert(!decant::SteppedDrafter<decant::any_drafter<>>);
static_assert(decant::SelfDrivenDrafter<paced_drafter<decant::prompt_lookup<>, renewal_rule>>);
static_assert(decant::SelfDrivenDrafter<paced_drafter<decant::any_drafter<>, renewal_rule>>);
static_assert(decant::HostDrivenDrafter<paced_drafter<decant::any_drafter<>, renewal_rule>>);
using paced_guided = paced_drafter<decant::guided_drafter<decant::chain<decant::ranked>>, renewal_rule>;
static_assert(decant::HostDrivenDrafter<paced_guided> && !decant::SelfDrivenDrafter<paced_guided>);

const token_list prompt{1, 2, 3, 1, 2};

/// A model that counts its passes.
struct counting_model : decant::model_wrapper<boxed_model&> {
  using base = decant::model_wrapper<boxed_model&>;
  counting_model(boxed_model& model, std::size_t& count) : base(model), passes(&count) {}
  decant::result<rows_type> evaluate(const decant::token_tree& tree, decant::node_span nodes) {
    ++*passes;
    return base::evaluate(tree, nodes);
  }
  std::size_t* passes;
};

}  // namespace

TEST_CASE("pacing changes no text: greedy and same-seed decoding with every drafter") {
  const std::vector<cost_curve> curves{
      cost_curve::cpu_like(), cost_curve::flat(), {{{1, 1.0}, {2, 1.1}, {4, 1.2}, {64, 4.0}}}};
  for (scene& here : scenes()) {
    const token_list greedy_text = plain_decoding(prompt, options_for(here), {}, greedy_choice(here.target)).emitted;
    const token_list sampled_text =
        plain_decoding(prompt, options_for(here), {}, sampled_choice(here.target, penalised(), {7})).emitted;
    for (const shipped_drafter& drafter : shipped_drafters()) {
      for (const cost_curve& curve : curves) {
        for (const double pass_cost : {0.0, 0.05}) {
          INFO(here.name << ", " << drafter.name << ", " << curve.time(8) << ", " << pass_cost);
          const auto paced = [&] { return paced_drafter(drafter.make(here.draft), renewal_rule(curve), pass_cost); };
          auto greedily = make_machine(paced(), decant::greedy{}, at_zero(), options_for(here));
          CHECK(run(here.target, greedily, prompt) == greedy_text);
          auto sampled = make_machine(paced(), decant::match{}, penalised(), options_for(here), {7});
          CHECK(run(here.target, sampled, prompt) == sampled_text);
        }
      }
    }
  }
}

TEST_CASE("a paced drafter is what its drafter is") {
  std::vector<scene> all = scenes();
  for (const shipped_drafter& drafter : shipped_drafters()) {
    const paced_drafter paced(drafter.make(all[0].draft), renewal_rule(cost_curve::flat()));
    CHECK(paced.produces_value() == drafter.produces);
    CHECK(paced.chains_only_value() == drafter.chains_only);
    CHECK(paced.length() == 0);
  }
}

TEST_CASE("a free drafter drafts all it can, and the rule keeps the beginning") {
  decant::token_draft<float> draft;
  decant::philox_chance chance;
  paced_drafter paced(decant::prompt_lookup<>(), scripted_rule{3});
  const token_list text{5, 6, 7, 8, 9, 4, 5, 6};
  REQUIRE(paced.extend(text).has_value());
  draft.reset(text.back());
  REQUIRE(paced.start(draft, {text, {20, 20}, 32}, chance).has_value());
  REQUIRE(paced.run(draft, chance).has_value());
  REQUIRE(draft.tree.size() == 4);
  CHECK(draft.tree.token_of(1) == 7);
  CHECK(draft.tree.token_of(3) == 9);
  CHECK(paced.wanted().empty());
  const std::vector<decant::node_id> kept{0, 1, 2};
  paced.observe(draft.tree, kept);
  REQUIRE(paced.rule().outcomes.size() == 1);
  CHECK(paced.rule().outcomes[0].accepted == 2);
  CHECK(paced.rule().outcomes[0].draft_cost == 0);
  REQUIRE(paced.rule().seen.size() == 3);
  // Longer agreement means more confidence.
  CHECK(paced.rule().seen[0].level_confidence == confidence(2.0 / 5));
  CHECK(paced.rule().seen[2].level_confidence == confidence(4.0 / 7));
}

TEST_CASE("a tree is seen by levels, and cut between them") {
  decant::token_draft<float> draft;
  decant::philox_chance chance;
  paced_drafter paced(decant::prompt_lookup<2>({.min_match = 1}), scripted_rule{2});
  const token_list text{5, 6, 7, 5, 8, 9, 5};
  REQUIRE(paced.extend(text).has_value());
  draft.reset(text.back());
  REQUIRE(paced.start(draft, {text, {20, 20}, 32}, chance).has_value());
  REQUIRE(paced.run(draft, chance).has_value());
  CHECK(draft.tree.size() == 5);
  const std::vector<decant::node_id> kept{0};
  paced.observe(draft.tree, kept);
  REQUIRE(paced.rule().seen.size() == 2);
  CHECK(paced.rule().seen[0].nodes == 2);
  CHECK(paced.rule().seen[1].nodes == 2);
}

TEST_CASE("a draft model makes no pass that is not wanted") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  for (const std::size_t wanted : {0U, 1U, 3U}) {
    std::size_t passes = 0;
    using drafter = decant::model_drafter<counting_model, decant::chain<decant::ranked>>;
    paced_drafter paced(drafter(counting_model(here.draft, passes), {8}), scripted_rule{wanted}, 0.25);
    auto machine = make_typed_machine(std::move(paced), decant::greedy{}, at_zero(), options_for(here));
    (void)run(here.target, machine, prompt);
    INFO(wanted);
    CHECK(machine.statistics().drafted().proposed <= wanted * machine.statistics().passes);
    CHECK(passes == machine.statistics().drafted().proposed);
    CHECK((passes == 0) == (wanted == 0));
    for (const draft_outcome& outcome : machine.drafter().rule().outcomes) {
      CHECK(outcome.draft_cost <= 0.25 * static_cast<double>(wanted));
    }
  }
}

TEST_CASE("a host that runs the draft passes is asked for no more than is wanted") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  decant::token_draft<float> draft;
  decant::philox_chance chance;
  paced_drafter paced(decant::guided_drafter<decant::chain<decant::ranked>>({8}), scripted_rule{2}, 0.25);
  REQUIRE(paced.extend(prompt).has_value());
  draft.reset(prompt.back());
  REQUIRE(here.draft.truncate(0).has_value());
  REQUIRE(here.draft.prefill(token_span(prompt).first(prompt.size() - 1)).has_value());
  REQUIRE(paced.start(draft, {prompt, {8, 8}, here.vocab_size()}, chance).has_value());
  std::size_t passes = 0;
  for (; !paced.wanted().empty() && passes < 10; ++passes) {
    auto rows = here.draft.evaluate(draft.tree, paced.wanted());
    REQUIRE(rows.has_value());
    REQUIRE(paced.supply(draft, *rows, chance).has_value());
  }
  CHECK(passes == 2);
  CHECK(draft.tree.size() == 3);
}

TEST_CASE("a new sequence is announced to the rule, a rewind is not") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  auto machine = make_typed_machine(paced_drafter(decant::prompt_lookup<>(), scripted_rule{1}), decant::greedy{},
                                    at_zero(), options_for(here));
  (void)run(here.target, machine, prompt);
  CHECK(machine.drafter().rule().sequences == 1);
  REQUIRE(machine.rewind(prompt.size() + 2).has_value());
  CHECK(machine.drafter().rule().sequences == 1);
  (void)run(here.target, machine, prompt);
  CHECK(machine.drafter().rule().sequences == 2);
}

TEST_CASE("limits of the machine hold for paced drafts") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  for (const decant::draft_limits limits : {decant::draft_limits{0, 0}, {1, 1}, {3, 9}, {9, 2}, {300, 300}}) {
    decant::decode_options options = options_for(here);
    options.limits = limits;
    const auto paced = [&](auto drafter, double cost) {
      return paced_drafter(std::move(drafter), scripted_rule{100}, cost);
    };
    auto lookup =
        make_machine(paced(decant::prompt_lookup<>({.min_match = 1}), 0), decant::greedy{}, at_zero(), options);
    auto chain = make_machine(paced(drafter_of(here.draft, decant::chain<decant::ranked>{200}), 0.1), decant::greedy{},
                              at_zero(), options);
    auto tree = make_machine(paced(drafter_of(here.draft, decant::static_widths<decant::ranked>{{3, 3}}), 0.1),
                             decant::greedy{}, at_zero(), options);
    const token_list text = run(here.target, lookup, prompt);
    CHECK(run(here.target, chain, prompt) == text);
    CHECK(run(here.target, tree, prompt) == text);
  }
}

TEST_CASE("drawn drafts that are stopped or lose their last level keep the target's law") {
  namespace proof = decant::proof;
  proof::suite_report suite;
  proof::proof_options options;
  options.limits = {3, 3};
  for (const auto& world : proof::standard_toys<double>(3, 6)) {
    for (const std::size_t steps : {1U, 2U}) {
      options.steps = steps;
      const auto prove = [&](const char* name, auto rule, auto builder, auto verifier, double pass_cost) {
        const paced_drafter paced(proof::drafter_of(world, builder), rule, pass_cost);
        const auto report = proof::prove_drafter(world, paced, verifier, options);
        suite.add(world.name + ", " + name, report);
      };
      prove("doubting chain", doubting_rule{}, decant::chain<decant::independent>{3}, decant::speculative_sampling{},
            0.1);
      prove("doubting chain by rejection", doubting_rule{}, decant::chain<decant::without_replacement>{2},
            decant::recursive_rejection{}, 0.1);
      prove("paced chain", renewal_rule(cost_curve::flat()), decant::chain<decant::independent>{2},
            decant::speculative_sampling{}, 0.05);
      if (steps == 1) {
        const decant::recursive_rejection rejection;
        prove("doubting tree", doubting_rule{}, decant::static_widths<decant::without_replacement>{{2, 1}}, rejection,
              0.1);
        prove("repeats counted", counting_rule{}, decant::static_widths<decant::independent>{{2}}, rejection, 0.1);
        prove("DySpec, counted", counting_rule{}, decant::dyspec_heap{3, 1}, rejection, 0.1);
        prove("DySpec, doubted", doubting_rule{}, decant::dyspec_heap{3, 1}, rejection, 0.1);
        prove("DySpec by threshold, counted", counting_rule{}, decant::dyspec_threshold{0.25, 3}, rejection, 0.1);
        prove("beam, counted", counting_rule{}, decant::stochastic_beam{2, 1}, rejection, 0.1);
      }
    }
  }
  INFO(suite.describe());
  CHECK(suite.exact());
  CHECK(suite.proofs >= 48);
}

TEST_CASE("a step of a paced drafter allocates nothing after warm-up") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const auto check = [&](decant::any_drafter<> drafter) {
    decant::decode_options options = options_for(here, 60);
    auto machine = make_machine(std::move(drafter), decant::match{}, penalised(), options);
    machine.reserve();
    std::size_t count = 0;
    for (std::uint64_t seed = 0; seed < 24; ++seed) {
      count = 0;
      machine.chance().seed = seed % 12;
      REQUIRE(machine.begin(prompt).has_value());
      REQUIRE(here.target.truncate(0).has_value());
      REQUIRE(here.target.prefill(token_span(prompt).first(prompt.size() - 1)).has_value());
      while (!machine.finished()) {
        count += allocations_of([&] { (void)machine.plan(); });
        auto rows = here.target.evaluate(machine.draft_tree(), machine.draft_tree().all());
        REQUIRE(rows.has_value());
        decant::node_span kept;
        count += allocations_of([&] {
          if (const auto step = machine.absorb(*rows)) kept = step->kept;
        });
        REQUIRE(here.target.commit(kept).has_value());
      }
    }
    CHECK(count == 0);
    CHECK(machine.statistics().drafted().proposed > 0);
  };
  const renewal_rule rule(cost_curve::flat());
  check(paced_drafter(decant::prompt_lookup<>({.min_match = 1}), rule));
  check(paced_drafter(drafter_of(here.draft, decant::chain<decant::ranked>{8}), rule, 0.02));
  check(paced_drafter(drafter_of(here.draft, decant::any_builder<>(decant::static_widths<decant::ranked>{{3, 2}})),
                      rule, 0.02));
}
