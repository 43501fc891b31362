// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The zoo: wrong policies that the proof kit must reject. It tests the tests. A bug found later becomes a new animal.
// The total variation of each is known: those with a published figure must show it to its digits.
#ifndef DECANT_TESTS_PROOF_ZOO_HPP
#define DECANT_TESTS_PROOF_ZOO_HPP

#include <decant/verify/typical_acceptance.hpp>

#include "tests/proof/configurations.hpp"

namespace decant_test {

/// What must be seen of an animal.
struct animal {
  std::string name;
  std::string setting;       ///< trees and toy
  double total_variation;    ///< of the first `length` tokens, to two significant digits; 0 when only a contract breaks
  std::size_t length;        ///< 0: of all tokens
  bool hidden_in_one_step;   ///< a single step has the right law
  std::string failure_word;  ///< part of the failure text; empty when the kit sees it by the law alone
  std::function<case_result(std::size_t steps)> run;
  std::size_t steps = 1;

  /// The distance that is to be compared with `total_variation`.
  [[nodiscard]] double distance(const case_result& seen) const {
    if (length == 0 || length > seen.by_length.size()) return seen.total_variation;
    return seen.by_length[length - 1];
  }
};

namespace zoo {

/// The cages: an animal is a pair of builder and verifier on a toy.
class collection {
 public:
  animal& add(std::string name, std::string setting, double total_variation, const proof::toy<double>& world,
              const suite_builder<double>& builder, const suite_verifier<double>& verifier) {
    return push(std::move(name), std::move(setting), total_variation,
                [world, builder, verifier](const proof::proof_options& options) {
                  return prove_case(world, builder, verifier, options);
                });
  }
  template <class D>
  animal& add_drafter(std::string name, std::string setting, double total_variation, const proof::toy<double>& world,
                      const D& drafter, const suite_verifier<double>& verifier) {
    return push(std::move(name), std::move(setting), total_variation,
                [world, drafter, verifier](const proof::proof_options& options) {
                  return prove_case(world, suite_drafter<double>(drafter), verifier, options);
                });
  }
  [[nodiscard]] std::vector<animal> take() { return std::move(animals_); }

 private:
  animal& push(std::string name, std::string setting, double total_variation,
               std::function<case_result(const proof::proof_options&)> run) {
    animals_.push_back(
        {std::move(name), std::move(setting), total_variation, 0, false, {}, [run = std::move(run)](std::size_t steps) {
           return run(proof::proof_options{steps});
         }});
    return animals_.back();
  }
  std::vector<animal> animals_;
};

/// p = (.5, .3, .2), q = (.2, .5, .3) in every context.
[[nodiscard]] inline proof::toy<double> constant_toy() {
  return {"constant", shifted_law<double>({5, 3, 2}, 0, 1), shifted_law<double>({2, 5, 3}, 0, 1)};
}

/// Toy B with the target at temperature 1/2: its weights squared.
[[nodiscard]] inline proof::toy<double> sharpened_toy_b() {
  auto world = proof::toy_b<double>();
  const auto target = world.target;
  world.target = {target.vocab_size(), [target](token_span context, std::span<double> out) {
                    target.weights(context, out);
                    for (double& w : out) w *= w;
                  }};
  return world;
}

/// A toy whose draft law never gives token 3.
[[nodiscard]] inline proof::toy<double> toy_with_a_hole() {
  return {"with a hole", shifted_law<double>({7, 6, 4, 3}, 0, 1), shifted_law<double>({3, 3, 6, 0}, 0, 1)};
}

[[nodiscard]] inline std::vector<animal> wrong_chains(const proof::toy<double>& b) {
  collection all;
  using drawn = chain<independent>;
  const speculative_sampling sound_verifier;
  all.add("argmax draft tested by p/q", "chain of 2, toy B", 0.28, b, flawed_chain<argmax_as_drawn>{2}, sound_verifier);
  all.add("improbable draft tokens discarded after drawing", "chain of 2, toy B", 0.13, b,
          flawed_chain<discards_improbable>{2}, sound_verifier);
  all.add("correction drawn from p", "chain of 2, toy B", 0.12, b, drawn{2}, rejection<correction_from_target>{});
  all.add("draft temperature missing in q", "chain of 1, toy B", 0.057, b, flawed_chain<sharper_than_recorded>{1},
          sound_verifier);
  all.add("drafted from the top 2, verified with the full row", "chain of 2, toy B", 0.21, b,
          flawed_chain<truncated_but_not_recorded>{2}, sound_verifier);
  all.add("redrawn until probable, verified with the full row", "chain of 1, toy B", 0.15, b,
          flawed_chain<redraws_until_probable>{1}, sound_verifier);
  all.add("residual = p without the rejected token", "chain of 2, toy B", 0.089, b, drawn{2},
          rejection<residual_by_removal>{});
  all.add("ratio upside down", "chain of 2, toy B", 0.35, b, drawn{2}, rejection<ratio_upside_down>{});
  all.add("bonus at temperature 1", "chain of 2, toy B at temperature 1/2", 0.045, sharpened_toy_b(), drawn{2},
          rejection<bonus_at_temperature_one>{});
  all.add("bonus from the previous row", "chain of 2, toy B", 0.093, b, drawn{2}, rejection<bonus_from_previous_row>{});
  all.add("bonus from the draft row", "chain of 2, toy B", 0.11, b, drawn{2}, rejection<bonus_from_draft>{});
  all.add("coin on a grid of 101 values, accepts when <=", "chain of 2, toy B", 0.0014, b, drawn{2},
          rejection<coin_on_a_grid>{});
  all.add("ratio of the draft's token and another one", "chain of 2, toy B", 0.40, b, drawn{2}, ratio_of_two_tokens{});
  all.add("block verification accepts prefixes by b", "chain of 2, toy B", 0.16, b, drawn{2},
          block<block_accepts_by_ratio>{});
  all.add("block residual without b", "chain of 3, toy B", 0.0014, b, drawn{3}, block<block_residual_without_ratio>{});
  all.add("one coin for all positions", "chain of 2, toy B", 0.050, b, drawn{2}, rejection<one_coin_per_step>{})
      .failure_word = "used twice";
  all.add("correction drawn with the rejecting coin", "chain of 2, toy B", 0.18, b, drawn{2},
          rejection<correction_with_rejecting_coin>{})
      .failure_word = "used twice";
  return all.take();
}

[[nodiscard]] inline std::vector<animal> wrong_trees(const proof::toy<double>& b) {
  collection all;
  using distinct_draws = static_widths<without_replacement>;
  const recursive_rejection sound_verifier;
  all.add("distinct draws tested as independent ones", "widths 2, toy B", 0.0064, b, distinct_draws{{2}},
          rejection<ignores_replacement>{});
  all.add("q not normalised after removing siblings", "widths 3, toy B", 0.025, b, distinct_draws{{3}},
          rejection<proposal_not_normalised>{});
  all.add("residual not normalised between siblings", "widths 2, toy B", 0.080, b, distinct_draws{{2}},
          rejection<residual_not_normalised>{});
  all.add("siblings sorted by q", "widths 2, toy B", 0.12, b, distinct_draws{{2}}, rejection<siblings_sorted>{});
  all.add("sampled tree re-ranked", "widths 2 2 cut to 3 nodes, toy B", 0.088, b, sampled_then_reranked{},
          sound_verifier);
  all.add("match, then a fresh draw", "widths 2, toy B", 0.071, b, distinct_draws{{2}}, match_then_fresh{});
  all.add("threshold tree that drops after drawing", "threshold 0.25, depth 2, toy B", 0.15, b, threshold_tree<true>{},
          sound_verifier);
  all.add("repeated draws dropped, verified as independent", "3 draws, toy B", 0.0090, b, duplicates_dropped{3},
          sound_verifier);
  all.add("residual = p without the rejected siblings", "widths 2, toy B", 0.078, b, distinct_draws{{2}},
          rejection<residual_by_removal>{});
  all.add("traversal takes distinct draws for independent ones", "widths 2 2, toy B", 0.0064, b, distinct_draws{{2, 2}},
          plain_traversal<ignores_replacement>{});
  all.add("distinct draws tested in any order", "widths 2, toy B", 0.063, b, distinct_draws{{2}},
          together<draws_in_any_order>{});
  all.add("K-SEQ without damping", "2 independent draws, toy B", 0.12, b, static_widths<independent>{{2}},
          together<damped<0>>{});
  all.add("K-SEQ with half the damping", "2 independent draws, toy B", 0.053, b, static_widths<independent>{{2}},
          together<damped<50>>{});
  all.add("better of two drafts tested as one draw", "2 independent draws, toy B", 0.090, b,
          static_widths<independent>{{2}}, together<better_of_two_tested_as_one>{});
  all.add("membership after a draw from p", "widths 2, toy B", 0.12, b, distinct_draws{{2}}, membership_from_target{});
  all.add("drawn without the best token, tested with the row", "2 children, toy B", 0.13, b,
          static_widths<rest_recorded_as_row>{{2}}, sound_verifier);
  all.add("equal siblings counted twice", "2 independent draws, toy B", 0.025, b, static_widths<independent>{{2}},
          duplicates_counted_twice{});
  all.add("filler accepted", "a drawn child and filler, toy with a hole", 0.15, toy_with_a_hole(), with_filler{},
          rejection<filler_accepted>{});
  all.add_drafter("second model's repeat dropped, its law kept", "two laws, one level, toy B", 0.012, b,
                  two_law_drafter<double>(b.draft, second_draft_law<double>(), duplicate_rule::drop, 1),
                  sound_verifier);
  all.add("typical acceptance taken for exact", "ranked chain of 2, toy B", 0.95, b, chain<ranked>{2},
          typical_acceptance::swapped());
  return all.take();
}

[[nodiscard]] inline std::vector<animal> broken_contracts(const proof::toy<double>& b) {
  collection all;
  const auto constant = constant_toy();
  animal& noise = all.add("draft noise shared by two steps", "chain of 1, constant toy", 0.037, constant,
                          flawed_chain<noise_shared_by_steps>{1}, speculative_sampling{});
  noise.length = 2;
  noise.hidden_in_one_step = true;
  noise.failure_word = "used twice";
  animal& coins = all.add("acceptance coins shared by two steps", "chain of 1, constant toy", 0.14, constant,
                          chain<independent>{1}, rejection<coins_shared_by_steps>{});
  coins.length = 2;
  coins.hidden_in_one_step = true;
  coins.failure_word = "used twice";
  all.add("drafts with the noise of the correction", "chain of 1, toy B", 0.11, b, chain<shares_the_verifiers_noise>{1},
          speculative_sampling{})
      .failure_word = "used twice";
  all.add("hidden state between runs", "chain of 1, toy B", 0, b, chain<independent>{1}, hidden_state{}).failure_word =
      "hidden state";
  all.add("keeps nodes that are no path", "widths 2, toy B", 0, b, static_widths<without_replacement>{{2}},
          keeps_a_wrong_path{})
      .failure_word = "path";
  all.add("emits a token outside the vocabulary", "chain of 1, toy B", 0, b, chain<independent>{1},
          emits_an_invalid_token{})
      .failure_word = "outside the vocabulary";
  auto animals = all.take();
  for (animal& one : animals) {
    if (one.hidden_in_one_step) one.steps = 2;
  }
  return animals;
}

}  // namespace zoo

[[nodiscard]] inline std::vector<animal> all_animals() {
  const auto b = proof::toy_b<double>();
  std::vector<animal> all = zoo::wrong_chains(b);
  for (auto more : {zoo::wrong_trees(b), zoo::broken_contracts(b)}) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return all;
}

}  // namespace decant_test

#endif
