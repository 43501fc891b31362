// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Exact laws of targets whose sampler depends on what came before: on the tokens that were drawn (mirostat,
// adaptive-p), on their number (XTC), or only on the row (eta). Chains and trees, several steps, everything by
// enumeration.
#include <decant/proof/prove.hpp>
#include <decant/sample/adaptive_p.hpp>
#include <decant/sample/any_sampler.hpp>
#include <decant/sample/eta_cutoff.hpp>
#include <decant/sample/mirostat_v1.hpp>
#include <decant/sample/mirostat_v2.hpp>
#include <decant/sample/temperature.hpp>
#include <decant/sample/xtc.hpp>
#include <decant/tree/any_builder.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/any_verifier.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>
#include <decant/verify/speculative_sampling.hpp>

#include "tests/support/test_kit.hpp"

namespace decant_test {
namespace {

using namespace decant;

using sampler_type = any_sampler<double>;
using builder_type = any_builder<double, proof::proof_chance<double>>;
using verifier_type = any_verifier<double, proof::proof_chance<double>>;

struct decoder {
  std::string name;
  builder_type builder;
  verifier_type verifier;
  std::size_t steps;
};

std::vector<decoder> decoders() {
  return {{"chain, speculative sampling", chain<independent>{2}, speculative_sampling{}, 2},
          {"tree, recursive rejection", static_widths<without_replacement>{{2, 1}}, recursive_rejection{}, 1},
          {"small tree, recursive rejection", static_widths<without_replacement>{{2}}, recursive_rejection{}, 2},
          {"ranked tree, match", static_widths<ranked>{{2, 1}}, match{}, 2}};
}

std::vector<proof::toy<double>> worlds() {
  std::vector<proof::toy<double>> toys = proof::standard_toys<double>(3, 4);
  toys.push_back(proof::toy_b<double>());
  return toys;
}

void check_exact(const std::string& name, const sampler_type& sampler, const sampler_type& draft_sampler) {
  for (const auto& world : worlds()) {
    for (const decoder& each : decoders()) {
      const auto report = proof::prove_steps(world, each.builder, each.verifier, {each.steps}, sampler, draft_sampler);
      INFO(name << ", " << each.name << ", toy " << world.name << ": " << report.describe());
      CHECK(report.exact());
    }
  }
}

/// Distance between what is decoded under one sampler and the law of another.
double distance(const sampler_type& used, const sampler_type& claimed) {
  const auto world = proof::toy_b<double>();
  const auto found =
      proof::enumerate_outcomes(world, proof::drafter_of(world, builder_type(chain<independent>{2}), used),
                                verifier_type(speculative_sampling{}), {2}, used);
  const auto target = proof::processed_law(world.target, claimed, world.prompt.size());
  proof::completion<double, proof::erased_law<double>> law(target);
  return law.distance(found.law, world.prompt, found.law.longest()).total_variation.back();
}

const sampler_type plain = make_sampler();

}  // namespace

TEST_CASE("decoding keeps the law of a target under mirostat") {
  check_exact("v2", make_sampler(mirostat_v2{0.9f, 0.5f}), plain);
  check_exact("v2 on both sides", make_sampler(mirostat_v2{0.7f, 0.9f}), make_sampler(mirostat_v2{0.9f, 0.5f}));
  check_exact("v1", make_sampler(mirostat_v1{0.9f, 0.5f}), plain);
}

TEST_CASE("decoding keeps the law of a target under adaptive-p") {
  check_exact("adaptive-p", make_sampler(adaptive_p{0.4f, 0.5f}), plain);
  check_exact("on both sides, after temperature", make_sampler(temperature{0.7f}, adaptive_p{0.3f, 0.8f}),
              make_sampler(adaptive_p{0.3f, 0.8f}));
}

TEST_CASE("decoding keeps the law of a target under XTC and the eta cutoff") {
  check_exact("XTC", make_sampler(xtc{0.5f, 0.2f, 1, 2}, temperature{0.8f}), plain);
  check_exact("XTC on both sides", make_sampler(xtc{0.7f, 0.1f, 1, 4}), make_sampler(xtc{0.7f, 0.1f, 1, 4}));
  check_exact("eta", make_sampler(eta_cutoff{0.5f}), make_sampler(eta_cutoff{0.3f}));
}

TEST_CASE("a law without what was learned, or with other coins, is told apart") {
  CHECK(distance(make_sampler(mirostat_v2{0.9f, 0.5f}), make_sampler(mirostat_v2{0.9f, 0.5f})) < 1e-12);
  CHECK(distance(make_sampler(mirostat_v2{0.9f, 0.5f}), make_sampler(mirostat_v2{0.9f, 0.0f})) > 0.01);
  CHECK(distance(make_sampler(adaptive_p{0.4f, 0.5f}), make_sampler(adaptive_p{0.4f, 0.9f})) > 0.01);
  CHECK(distance(make_sampler(xtc{0.5f, 0.2f, 1, 2}), make_sampler(xtc{0.5f, 0.2f, 1, 6})) > 0.01);
}

}  // namespace decant_test
