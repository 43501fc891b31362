// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Steps that look at the text keep the law of plain decoding, on a chain and on a tree: a drafted token is judged by
// the drafted tokens before it. Engines ignored biases, bans and minimum lengths while speculating, or judged all
// drafted tokens by the committed text alone.
#include <decant/sample/dry.hpp>
#include <decant/sample/logit_bias.hpp>
#include <decant/sample/min_length.hpp>
#include <decant/sample/no_repeat_ngram.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/sequence_bias.hpp>
#include <decant/sample/suppress_at_begin.hpp>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

/// Proves a sampler of the target on a sampled chain and on a tree, drafted without it.
template <class S>
void check_history(const std::string& name, const S& sampler) {
  const std::pair<suite_builder<double>, suite_verifier<double>> decoders[] = {
      {chain<independent>{3}, speculative_sampling{}},
      {static_widths<without_replacement>{{2, 1}}, recursive_rejection{}}};
  for (const auto& world : proof::standard_toys<double>(3)) {
    if (world.vocab_size() < 3) continue;
    for (const auto& [builder, verifier] : decoders) {
      const auto report = proof::prove_steps(world, builder, verifier, {1}, sampler, make_sampler());
      INFO(name << ", toy " << world.name << ": " << report.describe());
      CHECK(report.exact());
    }
  }
}

/// How far the law of a chain under `sampler` is from that of the target under `other`.
template <class S, class Other>
double distance_to(const S& sampler, const Other& other) {
  const auto world = proof::toy_b<double>();
  const auto found = proof::enumerate_outcomes(world, proof::drafter_of(world, chain<independent>{2}),
                                               speculative_sampling{}, {}, sampler);
  const proof::erased_law<double> target = proof::processed_law<double>(world.target, other);
  proof::completion<double, proof::erased_law<double>> law(target);
  return law.distance(found.law, world.prompt, found.law.longest()).total_variation.back();
}

}  // namespace

TEST_CASE("penalties that count the output alone keep the law") {
  check_history("penalties", make_sampler(penalties{1.5f}, penalties{1.0f, 0.6f, 0.4f, -1, false, true}));
  check_history("penalties on log-probabilities", make_sampler(penalties{1.7f, 0.0f, 0.0f, -1, true}));
}

TEST_CASE("DRY keeps the law") {
  check_history("dry", make_sampler(dry{0.8f, 1.5f, 1, 8}));
  check_history("dry with breakers", make_sampler(dry{0.8f, 1.5f, 1, -1, sequence_breakers({{1, 2}, {0}})}));
}

TEST_CASE("no-repeat n-gram keeps the law") { check_history("n-gram", make_sampler(no_repeat_ngram{3})); }

TEST_CASE("sequence bias, bad words and logit bias keep the law") {
  check_history("bias", make_sampler(sequence_bias{{{{1, 2}, 1.0f}, {{0}, -0.5f}}}, logit_bias{{{1, 0.7f}}}));
  check_history("bad words", make_sampler(bad_words({{1, 1}, {2, 0, 1}})));
  check_history("bad words of the output", make_sampler(bad_words({{1, 1}, {2, 0}}, true)));
}

TEST_CASE("a minimum length and what is suppressed at the beginning keep the law") {
  check_history("minimum length", make_sampler(min_length{2, {0}, true}));
  check_history("suppressed at begin", make_sampler(suppress_at_begin{{1}}));
}

TEST_CASE("a law that forgets the text, or the bias, is told apart") {
  const auto forgets = [](const auto& sampler) { return distance_to(sampler, make_sampler()); };
  CHECK(forgets(make_sampler(dry{1.0f, 2.0f, 1})) > 0.01);
  CHECK(forgets(make_sampler(no_repeat_ngram{2})) > 0.01);
  CHECK(forgets(make_sampler(bad_words({{1, 1}, {0, 0}}))) > 0.01);
  CHECK(forgets(make_sampler(logit_bias{{{0, 1.0f}}})) > 0.01);
  CHECK(forgets(make_sampler(min_length{3, {0}})) > 0.01);
  CHECK(distance_to(make_sampler(min_length{2, {0}, true}), make_sampler(min_length{2, {0}})) > 0.01);
  CHECK(distance_to(make_sampler(dry{1.0f, 2.0f, 1}), make_sampler(dry{1.0f, 2.0f, 1})) < 1e-12);
}

}  // namespace decant_test
