// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tests/proof/zoo.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

/// Whether two positive numbers agree to two significant digits.
[[nodiscard]] bool two_digits_agree(double seen, double expected) {
  const double unit = std::pow(10, std::floor(std::log10(expected)) - 1);
  return near(seen, expected, 0.51 * unit);
}

}  // namespace

TEST_CASE("every wrong policy of the zoo is rejected with its known distance") {
  const std::vector<animal> animals = all_animals();
  CHECK(animals.size() >= 40);
  for (const animal& one : animals) {
    const case_result seen = one.run(one.steps);
    INFO(one.name << " (" << one.setting << "): " << seen.description);
    CHECK_FALSE(seen.exact);
    if (one.total_variation > 0) CHECK(two_digits_agree(one.distance(seen), one.total_variation));
    CHECK(seen.failure.empty() == one.failure_word.empty());
    CHECK(seen.failure.find(one.failure_word) != std::string::npos);
  }
}

TEST_CASE("noise shared between steps is invisible in one step") {
  for (const animal& one : all_animals()) {
    if (!one.hidden_in_one_step) continue;
    INFO(one.name);
    CHECK(one.run(1).exact);
  }
}

TEST_CASE("the rejection loop of the zoo is exact without a flaw") {
  using sound = zoo::rejection<zoo::sound>;
  for (const auto& world : proof::standard_toys<double>(3)) {
    INFO(world.name);
    CHECK(proof::prove_steps(world, static_widths<without_replacement>{{2, 1}}, sound{}).exact());
    CHECK(proof::prove_steps(world, static_widths<independent>{{2}}, sound{}, {2}).exact());
    CHECK(proof::prove_steps(world, zoo::flawed_chain<zoo::sound_draw>{2}, sound{}, {2}).exact());
    CHECK(proof::prove_steps(world, zoo::with_filler{}, sound{}).exact());
  }
}

TEST_CASE("the block and the traversal of the zoo are exact without a flaw") {
  for (const auto& world : proof::standard_toys<double>(4)) {
    INFO(world.name);
    CHECK(proof::prove_steps(world, chain<independent>{3}, zoo::block<zoo::sound_block>{}).exact());
    CHECK(proof::prove_steps(world, static_widths<without_replacement>{{2, 1}}, zoo::plain_traversal<zoo::sound>{})
              .exact());
    CHECK(proof::prove_steps(world, static_widths<independent>{{2}}, zoo::together<zoo::damped<100>>{}).exact());
  }
  const auto b = proof::toy_b<double>();
  const auto plain =
      proof::prove_steps(b, static_widths<without_replacement>{{2, 2}}, zoo::plain_traversal<zoo::sound>{});
  CHECK(near(plain.expected_emitted(), 2.558016581633, 1e-11));
}

TEST_CASE("the wrong block residual is invisible in chains of two") {
  const zoo::block<zoo::block_residual_without_ratio> wrong;
  CHECK(proof::prove_steps(proof::toy_b<double>(), chain<independent>{2}, wrong).exact());
}

TEST_CASE("sound twins of the wrong builders are exact") {
  // What each mistake costs is the mistake alone: the same trees with their true laws, or verified by match, are exact.
  const auto b = proof::toy_b<double>();
  CHECK(proof::prove_steps(b, zoo::threshold_tree<false>{}, recursive_rejection{}).exact());
  CHECK(proof::prove_steps(b, zoo::threshold_tree<true>{}, match{}).exact());
  CHECK(proof::prove_steps(b, zoo::sampled_then_reranked{}, match{}).exact());
  CHECK(proof::prove_steps(b, zoo::duplicates_dropped{3}, match{}).exact());
  CHECK(proof::prove_steps(b, zoo::flawed_chain<zoo::discards_improbable>{2}, match{}).exact());
}

}  // namespace decant_test
