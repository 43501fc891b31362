// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/tree/any_builder.hpp>

#include <decant/draft/guided_drafter.hpp>

#include "tests/support/decoding.hpp"
#include "tests/support/pairings.hpp"

namespace {

using namespace decant_test;

/// The tree a builder makes of the rows of a law.
template <class Builder>
decant::token_tree tree_of(const Builder& builder, const decant::hashed_law<float>& law, const token_list& context,
                           decant::draft_limits limits) {
  decant::guided_drafter<Builder, decant::given_law> drafter{builder};
  decant::philox_chance chance{17, 0};
  decant::token_draft<float> draft;
  draft.reset(context.back());
  REQUIRE(drafter.extend(context).has_value());
  CHECK(drafter.wanted().empty());  // nothing is wanted before a draft has begun
  REQUIRE(drafter.start(draft, {context, limits, law.vocab_size()}, chance).has_value());
  std::vector<float> row(law.vocab_size());
  while (!drafter.wanted().empty()) {
    auto rows = decant::rows_from<float>([&](decant::node_id n) {
      token_list text = context;
      token_list path;
      draft.tree.path_tokens(n, path);
      text.insert(text.end(), path.begin(), path.end());
      law.weights(text, row);
      return std::span<const float>(row);
    });
    REQUIRE(drafter.supply(draft, rows, chance).has_value());
  }
  return draft.tree;
}

}  // namespace

TEST_CASE("an erased builder says what the held one makes and makes the same trees") {
  const decant::hashed_law<float> law{3, 20, 3, 1, 60};
  for_each_builder([&](const char* name, auto builder) {
    INFO(name);
    const decant::any_builder<> erased(builder);
    CHECK(erased.produces_value() == decltype(builder)::produces);
    CHECK(erased.chains_only_value() == decltype(builder)::chains_only);
    decant::any_builder<> copy = erased;
    for (token t = 0; t < 10; ++t) {
      const token_list context{1, 2, t};
      for (const decant::draft_limits limits : {decant::draft_limits{9, 5}, {3, 2}, {0, 0}, {64, 16}}) {
        const decant::token_tree expected = tree_of(builder, law, context, limits);
        CHECK(tree_of(erased, law, context, limits) == expected);
        CHECK(tree_of(copy, law, context, limits) == expected);
      }
    }
    copy = decant::chain<decant::ranked>{1};
    CHECK(copy.chains_only_value());
    CHECK(erased.produces_value() == decltype(builder)::produces);
  });
  STATIC_REQUIRE(decant::any_builder<>::produces == decant::tree_class::arbitrary);
}

TEST_CASE("a model drafter with an erased builder gives the text of the typed one") {
  for (scene& here : scenes()) {
    for (const shipped_builder& shape : shipped_builders()) {
      INFO(here.name << ": " << shape.name);
      const auto& all = shipped_drafters();
      const auto typed = std::find_if(all.begin(), all.end(),
                                      [&](const shipped_drafter& drafter) { return drafter.name == shape.name; });
      REQUIRE(typed != all.end());
      auto with_typed = make_machine(typed->make(here.draft), decant::match{}, penalised(), options_for(here));
      auto with_erased = make_machine(decant::make_model_drafter(here.draft, shape.builder, penalised()),
                                      decant::match{}, penalised(), options_for(here));
      const token_list prompt{1, 2, 3};
      CHECK(run(here.target, with_erased, prompt) == run(here.target, with_typed, prompt));
      CHECK(with_erased.statistics() == with_typed.statistics());
    }
  }
}
