// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kit as its users meet it.
#include <decant/proof/prove.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include "tests/proof/zoo_builders.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {

TEST_CASE("one call proves a verifier with a builder") {
  const auto report = proof::prove(speculative_sampling{}, chain<independent>{2});
  INFO(report.describe());
  CHECK(report.exact());
  CHECK(report.proofs >= 20);
  CHECK(report.worst <= 1e-12);
  CHECK(report.describe().find("exact: ") == 0);
}

TEST_CASE("one call rejects a wrong verifier and says where") {
  const auto report = proof::prove(zoo::rejection<zoo::correction_from_target>{}, chain<independent>{1});
  CHECK_FALSE(report.exact());
  CHECK(report.worst > 0.01);
  const std::string text = report.describe();
  CHECK(text.find("NOT exact") == 0);
  CHECK(text.find("toy B, one step") != std::string::npos);
  CHECK(text.find("toy B, two steps") != std::string::npos);
}

TEST_CASE("a report without any proof is not exact") { CHECK_FALSE(proof::suite_report{}.exact()); }

TEST_CASE("a pairing that is refused at run time is a failure, not a proof") {
  using chance = proof::proof_chance<double>;
  const auto report =
      proof::prove_steps(proof::toy_a<double>(), any_builder<double, chance>(static_widths<independent>{{2}}),
                         any_verifier<double, chance>(speculative_sampling{}));
  CHECK_FALSE(report.exact());
  CHECK(report.describe().find("do not fit") != std::string::npos);
}

TEST_CASE("giving up on too many paths is a failure") {
  proof::proof_options options;
  options.max_paths = 100;
  const auto report = proof::prove_steps(proof::toy_a<double>(), static_widths<without_replacement>{{2, 2}},
                                         recursive_rejection{}, options);
  CHECK_FALSE(report.exact());
  CHECK(report.found.failure.find("max_paths") != std::string::npos);
}

TEST_CASE("three steps in sequence have the target's law") {
  proof::proof_options options;
  options.steps = 3;
  const auto report =
      proof::prove_steps(proof::toy_b<double>(), chain<independent>{1}, speculative_sampling{}, options);
  INFO(report.describe());
  CHECK(report.exact());
  CHECK(report.total_variation.size() == 6);
  CHECK(report.found.most_draws.total() == 9);
}

TEST_CASE("a token limit cuts the last step and keeps the law") {
  proof::proof_options options;
  options.tokens = 4;
  const auto report =
      proof::prove_steps(proof::toy_b<double>(), chain<independent>{2}, speculative_sampling{}, options);
  INFO(report.describe());
  CHECK(report.exact());
  CHECK(near(report.expected_emitted(), 4, 1e-12));
  CHECK(report.total_variation.size() == 4);
}

TEST_CASE("a budget that is not kept is a failure") {
  // A builder that ignores its limits.
  proof::proof_options options;
  options.limits = {1, 1};
  const auto report = proof::prove_steps(proof::toy_b<double>(), zoo::duplicates_dropped{3}, match{}, options);
  CHECK_FALSE(report.exact());
  INFO(report.describe());
  CHECK(report.found.failure.find("more nodes than the limit") != std::string::npos);
}

TEST_CASE("the longer prompt of a toy reaches drafter and verifier") {
  auto world = proof::toy_b<double>();
  world.prompt = {2, 1, 3};
  const auto report = proof::prove_steps(world, static_widths<independent>{{2}}, recursive_rejection{}, {2});
  INFO(report.describe());
  CHECK(report.exact());
}

TEST_CASE("the standard toys cover the extremes") {
  const auto toys = proof::standard_toys<double>(5);
  CHECK(toys.size() == 22);
  std::size_t with_zeros = 0;
  std::size_t equal = 0;
  std::size_t one_hot_targets = 0;
  std::size_t disjoint = 0;
  for (const auto& world : toys) {
    std::vector<double> p(world.vocab_size());
    std::vector<double> q(world.vocab_size());
    world.target.weights(world.prompt, p);
    world.draft.weights(world.prompt, q);
    double overlap = 0;
    for (std::size_t v = 0; v < p.size(); ++v) overlap += std::min(p[v], q[v]);
    const auto zeros = std::count(p.begin(), p.end(), 0.0);
    with_zeros += zeros > 0;
    one_hot_targets += zeros + 1 == static_cast<std::ptrdiff_t>(p.size());
    equal += p == q;
    disjoint += overlap == 0;
  }
  CHECK(with_zeros >= 5);
  CHECK(one_hot_targets >= 2);
  CHECK(equal >= 2);
  CHECK(disjoint >= 2);
}

}  // namespace decant_test
