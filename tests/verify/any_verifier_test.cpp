// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/verify/any_verifier.hpp>

#include <decant/tree/chain.hpp>
#include <decant/tree/prune.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/typical_acceptance.hpp>

#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;

template <class V>
void check_facts(V verifier) {
  const decant::any_verifier<> erased(verifier);
  CHECK(erased.promise() == V::promises);
  CHECK(erased.needs_value() == V::needs);
  CHECK(erased.shape_value() == V::shape);
  decant::any_verifier<> copy = erased;
  CHECK(copy.promise() == V::promises);
  copy = decant::greedy{};
  CHECK(copy.promise() == decant::guarantee::greedy_identical);
  CHECK(erased.promise() == V::promises);
}

}  // namespace

TEST_CASE("an erased verifier says what the held one promises and needs") {
  check_facts(decant::greedy{});
  check_facts(decant::match{});
  check_facts(decant::speculative_sampling{});
  check_facts(decant::recursive_rejection{});
  check_facts(decant::typical_acceptance{});
  // Nothing can be relied on before it is known which one is held.
  STATIC_REQUIRE(decant::any_verifier<>::promises == decant::guarantee::lossy);
}

TEST_CASE("typed drafters with erased verifiers give the text of typed verifiers") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  using drafter_type = decant::model_drafter<boxed_model&, decant::chain<decant::independent>, chain_sampler>;
  const drafter_type drafter(here.draft, {4}, penalised());
  const token_list prompt{1, 2, 3};
  const auto check = [&](auto verifier) {
    auto typed = make_typed_machine(drafter, verifier, penalised(), options_for(here));
    auto erased = make_typed_machine(drafter, decant::any_verifier<>(verifier), penalised(), options_for(here));
    CHECK(erased.promise() == decltype(verifier)::promises);
    CHECK(run(here.target, erased, prompt) == run(here.target, typed, prompt));
    CHECK(erased.statistics() == typed.statistics());
    auto moved = std::move(erased);
    CHECK(run(here.target, moved, token_list{4, 4}) == run(here.target, typed, token_list{4, 4}));
  };
  check(decant::greedy{});
  check(decant::match{});
  check(decant::speculative_sampling{});
  check(decant::recursive_rejection{});
  check(decant::typical_acceptance{});
}

TEST_CASE("an erased verifier that does not fit is refused when a sequence begins") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  const auto refusal = [&](auto drafter, decant::any_verifier<> verifier) {
    auto machine = make_typed_machine(drafter, verifier, at_zero(), options_for(here));
    const auto begun = machine.begin(token_list{1});
    CHECK(begun.code() == decant::error_code::refused_pairing);
    return std::string(begun.error().detail.c_str());
  };
  CHECK(refusal(decant::prompt_lookup<>{{.index_bits = 6}}, decant::speculative_sampling{}) ==
        DECANT_SAYS_TOKENS_WERE_NOT_DRAWN);
  CHECK(refusal(decant::make_model_drafter(here.draft, decant::static_widths<decant::independent>{}),
                decant::speculative_sampling{}) == DECANT_SAYS_TREE_IS_NO_CHAIN);
  CHECK(refusal(decant::make_model_drafter(here.draft, decant::reranked<decant::static_widths<decant::independent>>{}),
                decant::recursive_rejection{}) == DECANT_SAYS_LAW_WAS_BROKEN);
}
