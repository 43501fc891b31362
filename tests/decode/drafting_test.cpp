// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the loop and a drafter owe each other: the drafter's own model follows the text exactly, and it is told how each
// step ended.
#include "tests/decode/support/scripted_drafter.hpp"
#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;

/// Whether a model's cache holds the first tokens of a text at their positions.
template <class M>
bool follows(const M& model, token_span text) {
  if (model.length() > text.size()) return false;
  for (std::size_t i = 0; i < model.length(); ++i) {
    if (model.committed()[i] != decant::cached_token{text[i], static_cast<std::int64_t>(i)}) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("the draft model's cache is always the beginning of the text") {
  const decant::hashed_law<float> law{5, 24, 3, 2, 0};
  const auto draft_law = decant::blend(law, decant::hashed_law<float>{6, 24, 2, 2, 0}, 0.3f);
  for (const shipped_builder& shape : shipped_builders()) {
    INFO(shape.name);
    auto target = decant::make_law_model<decant::row_content::logits>(law);
    auto draft_model = decant::make_law_model<decant::row_content::logits>(draft_law);
    decant::decode_options options;
    options.vocab_size = 24;
    options.context_size = 200;
    options.limits = {9, 5};
    auto machine = make_machine(decant::make_model_drafter(draft_model, shape.builder, penalised()), decant::match{},
                                penalised(), options);
    REQUIRE(machine.begin(token_list{1, 2, 3}).has_value());
    REQUIRE(target.prefill(token_list{1, 2}).has_value());
    std::size_t fed_again = 0;
    while (!machine.finished()) {
      const std::size_t prefilled = draft_model.counts().prefilled;
      REQUIRE(machine.begin_plan().has_value());  // here the drafter learns how the last step ended
      REQUIRE(follows(draft_model, machine.context()));
      CHECK(draft_model.length() == machine.context().size() - 1);
      fed_again += draft_model.counts().prefilled - prefilled;
      auto plan = machine.plan();
      REQUIRE(plan.has_value());
      auto rows = target.evaluate(plan->tree, plan->tree.all());
      auto step = machine.absorb(*rows);
      REQUIRE(step.has_value());
      REQUIRE(target.commit(step->kept).has_value());
      REQUIRE(follows(target, machine.context()));
    }
    // What was accepted had been evaluated by the draft model; only leaves and last tokens are fed again.
    CHECK(fed_again <= machine.statistics().passes + 2);
  }
}

TEST_CASE("a drafter is told how every step ended, before it hears of the next") {
  struct event {
    std::size_t nodes;
    token_list kept;
  };
  struct listener : scripted_drafter<> {
    std::vector<event>* heard;
    listener(fill_type fill, std::vector<event>& to) : scripted_drafter<>(std::move(fill)), heard(&to) {}
    void observe(const decant::token_tree& tree, decant::node_span kept) {
      heard->push_back({tree.size(), {kept.begin(), kept.end()}});
    }
  };
  std::vector<scene> all = scenes();
  scene& here = all[1];
  std::vector<event> heard;
  std::size_t drafts = 0;
  std::size_t dropped = 0;
  auto machine = make_machine(listener(
                                  [&](decant::token_draft<float>& out, const decant::draft_site& site) {
                                    CHECK(heard.size() + dropped == drafts);
                                    ++drafts;
                                    if (site.limits.nodes > 0)
                                      out.tree.append(0, greedy_choice(here.target)(site.context));
                                  },
                                  heard),
                              decant::greedy{}, at_zero(), options_for(here, 9));
  (void)run(here.target, machine, token_list{1, 2});
  CHECK(drafts == 5);  // two tokens a step, the ninth alone
  CHECK(heard.size() == 4);
  for (const event& one : heard) {
    CHECK(one.nodes == 2);
    CHECK(one.kept == token_list{0, 1});
  }
  // The last step is told with the next call, and only once.
  REQUIRE(machine.append(token_list{1}).has_value());
  CHECK(heard.size() == 5);
  CHECK(heard.back().kept == token_list{0});
  REQUIRE(machine.rewind(3).has_value());
  CHECK(heard.size() == 5);
  // Of a plan that is dropped there is nothing to tell.
  REQUIRE(machine.plan().has_value());
  dropped = 1;
  REQUIRE(machine.plan().has_value());
  CHECK(heard.size() == 5);
}
