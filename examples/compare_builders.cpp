// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Three tree builders at equal budgets on toy models with known laws: accepted tokens per target pass, and estimated
// speed on a simulated engine with the cost curve of a processor. No GPU, no download, a few seconds.
#include <decant/decode/generate.hpp>
#include <decant/draft/model_drafter.hpp>
#include <decant/draft/no_drafter.hpp>
#include <decant/model/hashed_law.hpp>
#include <decant/model/law_model.hpp>
#include <decant/model/mixed_law.hpp>
#include <decant/model/simulated_engine.hpp>
#include <decant/tree/chain.hpp>
#include <decant/tree/static_widths.hpp>
#include <decant/verify/match.hpp>
#include <decant/verify/recursive_rejection.hpp>

#include <cstdio>

namespace {

using namespace decant;

constexpr std::size_t vocabulary = 200;
constexpr std::size_t tokens = 400;
constexpr std::int32_t budget = 6;
constexpr double draft_cost = 0.1;  // a draft pass costs a tenth of a plain target pass

/// A target and a draft law whose total variation distance grows with `divergence`.
auto target_law() { return hashed_law<float>{.seed = 1, .vocabulary = vocabulary, .context = 3}; }
auto draft_law(float divergence) {
  return blend(target_law(), hashed_law<float>{.seed = 2, .vocabulary = vocabulary, .context = 3}, divergence);
}

struct outcome {
  double tokens_per_pass = 0;
  double time_per_token = 0;  // in plain target passes
};

template <class Drafter, class Verifier>
outcome run(Drafter drafter, Verifier verifier, const cost_curve& curve, virtual_clock& clock, std::int32_t nodes) {
  simulated_engine target(make_law_model(target_law()), curve, clock);
  decode_options options{.vocab_size = vocabulary, .context_size = 2048, .max_tokens = tokens, .limits = {nodes, 16}};
  speculation machine(std::move(drafter), verifier, given_law{}, philox_chance{7}, options);
  const std::vector<token> prompt{1, 2, 3};
  if (!generate(target, machine, prompt)) return {};
  return {machine.statistics().tokens_per_pass(), clock.now / static_cast<double>(tokens)};
}

// [compare]
template <class Builder, class Verifier>
outcome with_builder(Builder builder, Verifier verifier, float divergence, const cost_curve& curve) {
  virtual_clock clock;
  simulated_engine draft_model(make_law_model(draft_law(divergence)), curve, clock, draft_cost);
  return run(make_model_drafter(draft_model, builder, given_law{}), verifier, curve, clock, budget);
}

void compare(const char* engine, const cost_curve& curve, float divergence) {
  virtual_clock clock;
  const double plain = run(no_drafter{}, match{}, curve, clock, 0).time_per_token;
  std::printf("%s, draft law mixed with %.0f %% of another\n", engine, 100 * static_cast<double>(divergence));
  const auto show = [&](const char* name, const outcome& o) {
    std::printf("  %-34s %5.2f tokens/pass %6.2fx\n", name, o.tokens_per_pass, plain / o.time_per_token);
  };
  show("chain of 6, drawn",
       with_builder(chain<independent>{.length = budget}, recursive_rejection{}, divergence, curve));
  show("widths 2,2, without replacement",
       with_builder(static_widths<without_replacement>{{2, 2}}, recursive_rejection{}, divergence, curve));
  show("widths 2,2, most probable tokens", with_builder(static_widths<ranked>{{2, 2}}, match{}, divergence, curve));
}
// [/compare]

}  // namespace

int main() {
  for (const float divergence : {0.1f, 0.3f, 0.6f}) {
    compare("processor", cost_curve::cpu_like(), divergence);
    compare("accelerator", cost_curve::flat(), divergence);
  }
  return 0;
}
