// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law that is kept is the processed one: after truncation, temperature and penalties, whose state runs along each
// path of the tree. Draft and target may be processed differently, so dense and sparse rows meet in every combination.
#include <decant/sample/min_p.hpp>
#include <decant/sample/penalties.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/top_k.hpp>
#include <decant/sample/top_p.hpp>

#include "tests/proof/configurations.hpp"
#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

template <class S, class DraftS>
void check_sampled(const std::string& name, const S& sampler, const DraftS& draft_sampler) {
  const std::pair<suite_builder<double>, suite_verifier<double>> decoders[] = {
      {static_widths<ranked>{{2, 1}}, match{}},
      {static_widths<without_replacement>{{2, 1}}, recursive_rejection{}},
      {chain<independent>{2}, speculative_sampling{}},
      {static_widths<independent>{{2}}, recursive_rejection{}},
      {scripted_builder<>{"", {{draw_kind::chosen, draw_kind::drawn, draw_kind::chosen}}}, recursive_rejection{}}};
  for (const auto& world : proof::standard_toys<double>(4)) {
    for (const std::size_t steps : {1u, 2u}) {
      if (steps == 2 && world.vocab_size() > 3) continue;
      for (const auto& [builder, verifier] : decoders) {
        const auto report = proof::prove_steps(world, builder, verifier, {steps}, sampler, draft_sampler);
        INFO(name << ", toy " << world.name << ", " << steps << " steps: " << report.describe());
        CHECK(report.exact());
      }
    }
  }
}

}  // namespace

TEST_CASE("decoding keeps the law of a target at another temperature") {
  check_sampled("temperature", make_sampler(temperature{0.5f}), make_sampler(temperature{1.7f}));
}

TEST_CASE("decoding keeps the law of a truncated target") {
  check_sampled("top-k", make_sampler(top_k{2}), make_sampler(top_k{3}));
  check_sampled("top-p", make_sampler(top_p{0.7f}), make_sampler());
  check_sampled("min-p", make_sampler(min_p{0.3f}), make_sampler(temperature{0.5f}));
}

TEST_CASE("decoding keeps the law of a target with penalties along each path") {
  check_sampled("repetition", make_sampler(penalties{1.5f}), make_sampler());
  check_sampled("frequency and presence", make_sampler(penalties{1.0f, 0.5f, 0.7f}),
                make_sampler(penalties{1.0f, 0.5f, 0.7f}));
  check_sampled("a window of two", make_sampler(penalties{2.0f, 0.0f, 0.5f, 2}, top_k{3}, temperature{0.8f}),
                make_sampler(top_k{2}));
}

TEST_CASE("a law processed without its history is told apart") {
  // The same proof against the target without penalties must fail: the penalties do reach the output.
  const auto world = proof::toy_b<double>();
  const auto sampler = make_sampler(penalties{1.0f, 0.5f, 0.7f});
  const auto found = proof::enumerate_outcomes(world, proof::drafter_of(world, chain<independent>{2}),
                                               speculative_sampling{}, {}, sampler);
  proof::completion<double, proof::erased_law<double>> plain(world.target);
  const auto distance = plain.distance(found.law, world.prompt, found.law.longest());
  CHECK(distance.total_variation.back() > 0.05);
}

}  // namespace decant_test
