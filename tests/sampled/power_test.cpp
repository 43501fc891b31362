// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tests of texts can fail: wrong verifiers and builders of the zoo are rejected with the samples and the error
// probability of the default suite.
#include "tests/proof/zoo_builders.hpp"
#include "tests/proof/zoo_verifiers.hpp"
#include "tests/sampled/support/sampled_cases.hpp"

namespace decant_test {
namespace {

/// The worlds in which a wrong policy is looked for: 1,000 tokens, dense and sparse; 32,000 tokens, dense.
const std::vector<std::size_t> small_worlds{0, 1};
const std::vector<std::size_t> every_world{0, 1, large_dense_world};

class wrong_texts {
 public:
  wrong_texts() : worlds_(sampled_worlds()) {
    for (const sampled_world& world : worlds_) laws_.emplace_back(world);
  }

  void check(const char* name, const sampled_builder& builder, const sampled_verifier& verifier,
             const std::vector<std::size_t>& where = small_worlds, bool right = false) const {
    for (const std::size_t world : where) {
      const sampled_case one{name, "", verifier, builder, world, usual_passes[world]};
      const sampled_report seen = laws_[world].compare(decode_text(worlds_[world], one, one.passes, 77), sampled_alpha);
      INFO(name << ", V = " << worlds_[world].vocab_size() << ", " << worlds_[world].by.name << ": "
                << seen.describe());
      CHECK(seen.failure.empty());
      CHECK(seen.agrees(sampled_alpha) == right);
    }
  }

 private:
  std::vector<sampled_world> worlds_;
  std::vector<law_of_text> laws_;
};

}  // namespace

TEST_CASE("wrong verifiers of chains are rejected with the samples of the default suite") {
  using namespace zoo;  // NOLINT: test support
  const wrong_texts texts;
  const chain<independent> drawn{2};
  texts.check("without a flaw", drawn, rejection<sound>{}, small_worlds, true);
  texts.check("correction drawn from p", drawn, rejection<correction_from_target>{}, every_world);
  texts.check("residual = p without the rejected token", drawn, rejection<residual_by_removal>{});
  texts.check("ratio upside down", drawn, rejection<ratio_upside_down>{}, {0});
  texts.check("bonus from the previous row", drawn, rejection<bonus_from_previous_row>{}, {0});
  texts.check("bonus from the draft row", drawn, rejection<bonus_from_draft>{}, {0});
  texts.check("one coin for all positions", drawn, rejection<one_coin_per_step>{}, {0});
  texts.check("correction drawn with the rejecting coin", drawn, rejection<correction_with_rejecting_coin>{});
  texts.check("acceptance coins shared by all steps", drawn, rejection<coins_shared_by_steps>{}, {0});
  texts.check("block verification accepts prefixes by b", drawn, block<block_accepts_by_ratio>{});
}

TEST_CASE("wrong verifiers of trees are rejected with the samples of the default suite") {
  using namespace zoo;  // NOLINT: test support
  const wrong_texts texts;
  const static_widths<independent> iid{{2}};
  const static_widths<without_replacement> distinct{{3}};
  texts.check("residual not normalised between siblings", distinct, rejection<residual_not_normalised>{});
  texts.check("siblings sorted by q", distinct, rejection<siblings_sorted>{});
  texts.check("match, then a fresh draw", distinct, match_then_fresh{}, {1});  // dense rows have too few matches
  texts.check("membership after a draw from p", distinct, membership_from_target{});
  texts.check("better of two drafts tested as one draw", iid, together<better_of_two_tested_as_one>{});
}

TEST_CASE("wrong builders are rejected with the samples of the default suite") {
  using namespace zoo;  // NOLINT: test support
  const wrong_texts texts;
  texts.check("argmax draft tested by p/q", flawed_chain<argmax_as_drawn>{2}, speculative_sampling{}, every_world);
  texts.check("draft temperature missing in q", flawed_chain<sharper_than_recorded>{1}, speculative_sampling{});
  texts.check("drafted from the top 2", flawed_chain<truncated_but_not_recorded>{2}, speculative_sampling{});
  texts.check("draft noise shared by all steps", flawed_chain<noise_shared_by_steps>{1}, speculative_sampling{});
  texts.check("drafts with the noise of the correction", chain<shares_the_verifiers_noise>{1}, speculative_sampling{});
}

}  // namespace decant_test
