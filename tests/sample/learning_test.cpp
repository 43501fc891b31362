// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Samplers that learn from what was drawn, inside the machine: each emitted token teaches once, whatever was drafted,
// rejected or asked for twice; the text of a seed is that of plain decoding; going back replays what had been learned.
#include <decant/sample/adaptive_p.hpp>
#include <decant/sample/eta_cutoff.hpp>
#include <decant/sample/min_p.hpp>
#include <decant/sample/mirostat_v1.hpp>
#include <decant/sample/mirostat_v2.hpp>
#include <decant/sample/node_laws.hpp>
#include <decant/sample/top_n_sigma.hpp>
#include <decant/sample/xtc.hpp>

#include "tests/support/decoding.hpp"
#include "tests/support/sampling.hpp"

namespace {

using namespace decant_test;
using decant::any_sampler;
using decant::make_sampler;
using decant::node_id;
using decant::token_tree;

struct named_sampler {
  std::string name;
  any_sampler<> sampler;
};

/// Steps whose laws depend on what came before, tuned so that it shows within a few tokens.
std::vector<named_sampler> samplers() {
  return {{"mirostat v1", make_sampler(decant::mirostat_v1{1.5f, 0.7f})},
          {"mirostat v2 after penalties",
           make_sampler(decant::penalties{1.3f, 0.2f, 0.1f, 12}, decant::mirostat_v2{1.5f, 0.7f})},
          {"adaptive-p after min-p", make_sampler(decant::min_p{0.02f}, decant::adaptive_p{0.4f, 0.6f})},
          {"XTC", make_sampler(decant::xtc{0.5f, 0.15f, 1, 77}, decant::temperature{0.8f})}};
}

/// Sampling written out: law, draw, observe, learn. Of the text so far the tokens from `first` to before `last` had
/// been sampled.
token_list continuation(const scene& here, const any_sampler<>& sampler, token_list text, std::size_t first,
                        std::size_t last, decant::philox_chance chance, std::size_t count) {
  any_sampler<>::scratch_type<float> scratch;
  decant::distribution<float> law;
  auto state = sampler.initial_state();
  const auto take = [&](std::span<const float> row, token t, bool teaches) {
    if (teaches && sampler.learns()) sampler.learn(state, sampler.observe(row, state, scratch, t));
    sampler.advance(state, t);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool teaches = i >= first && i < last;
    take(teaches ? row_after(here.target, token_span(text).first(i)) : std::vector<float>{}, text[i], teaches);
  }
  token_list emitted;
  while (emitted.size() < count) {
    const std::vector<float> row = row_after(here.target, text);
    REQUIRE(sampler.law(row, state, scratch, law) == decant::error_code::none);
    const token drawn = chance.pick(decant::sample_key(text.size()), law.view());
    take(row, drawn, true);
    text.push_back(drawn);
    emitted.push_back(drawn);
  }
  return emitted;
}
token_list plain_text(const scene& here, const any_sampler<>& sampler, const token_list& prompt,
                      decant::philox_chance chance) {
  return continuation(here, sampler, prompt, prompt.size(), prompt.size(), chance, options_for(here).max_tokens);
}

}  // namespace

TEST_CASE("speculation with samplers that learn gives the text of plain decoding with the same seed") {
  std::vector<scene> all = scenes();
  random_source random(501);
  std::uint64_t accepted = 0;
  for (const named_sampler& each : samplers()) {
    for (scene& here : all) {
      const token_list prompt = random_prompt(random, here.vocab_size());
      const decant::philox_chance chance{random.bits(), 1};
      const token_list expected = plain_text(here, each.sampler, prompt, chance);
      for (const shipped_drafter& drafter : shipped_drafters()) {
        INFO(each.name << ", " << here.name << ": " << drafter.name);
        auto machine = make_machine(drafter.make(here.draft), decant::match{}, each.sampler, options_for(here), chance);
        REQUIRE(run(here.target, machine, prompt) == expected);
        accepted += machine.statistics().drafted().accepted;
      }
    }
  }
  CHECK(accepted > 1000);
}

TEST_CASE("what mirostat and adaptive-p learn shows in the text") {
  std::vector<scene> all = scenes();
  const scene& here = all[2];
  const token_list prompt{1, 2, 3};
  const auto text = [&](const any_sampler<>& sampler) { return plain_text(here, sampler, prompt, {}); };
  CHECK(text(make_sampler(decant::mirostat_v1{1.5f, 0.7f})) != text(make_sampler(decant::mirostat_v1{1.5f, 0.0f})));
  CHECK(text(make_sampler(decant::mirostat_v2{1.5f, 0.7f})) != text(make_sampler(decant::mirostat_v2{1.5f, 0.0f})));
  CHECK(text(make_sampler(decant::adaptive_p{0.4f, 0.6f})) != text(make_sampler(decant::adaptive_p{0.4f, 0.9f})));
}

TEST_CASE("going back replays what had been learned by then") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const token_list prompt{3, 1, 2};
  const decant::philox_chance chance{99, 4};
  for (const named_sampler& each : samplers()) {
    const token_list expected = plain_text(here, each.sampler, prompt, chance);
    for (const shipped_drafter& drafter : shipped_drafters()) {
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, each.sampler, options_for(here), chance);
      REQUIRE(run(here.target, machine, prompt) == expected);
      for (std::size_t kept = 0; kept < expected.size(); kept += 3) {
        INFO(each.name << ", " << drafter.name << ", back to " << kept << " emitted tokens");
        REQUIRE(machine.rewind(prompt.size() + kept).has_value());
        REQUIRE(decant::resume(here.target, machine).has_value());
        REQUIRE(to_token_list(machine.context().subspan(prompt.size())) == expected);
      }
    }
  }
}

TEST_CASE("text that nothing drew teaches nothing, wherever it is put in") {
  std::vector<scene> all = scenes();
  scene& here = all[2];
  const token_list prompt{3, 1, 2};
  const token_list other{5, 6, 7, 1, 2, 3};
  for (const named_sampler& each : samplers()) {
    INFO(each.name);
    const shipped_drafter& drafter = shipped_drafters().back();
    auto machine = make_machine(drafter.make(here.draft), decant::match{}, each.sampler, options_for(here));
    (void)run(here.target, machine, prompt);
    REQUIRE(machine.rewind(prompt.size() + 7).has_value());
    REQUIRE(machine.append(other).has_value());
    const token_list whole = to_token_list(machine.context());
    collector hooks;
    REQUIRE(decant::resume(here.target, machine, hooks).has_value());
    CHECK(hooks.streamed ==
          continuation(here, each.sampler, whole, prompt.size(), prompt.size() + 7, {}, options_for(here).max_tokens));
  }
}

namespace {

/// Allows exactly one token: the number of tokens learned from so far. Of a token that was learned from twice, or
/// never, or with an observation of another, the next law has nothing left.
struct counting {
  struct state_type {
    std::size_t learned = 0;
    double observed = 0;
  };
  std::size_t vocab_size;

  [[nodiscard]] double observation(std::size_t number) const {
    return 1.0 / (2.0 + static_cast<double>(number % vocab_size));
  }
  [[nodiscard]] state_type initial_state() const { return {}; }
  void advance(state_type&, token) const {}
  template <class Real>
  void apply(decant::candidates<Real>& set, const state_type& state) const {
    const bool as_expected = state.learned == 0 || state.observed == observation(state.learned - 1);
    set.filter([&](token id, Real) { return as_expected && decant::index(id) == state.learned % vocab_size; });
  }
  [[nodiscard]] bool learns() const { return true; }
  template <class Real>
  [[nodiscard]] double observe(decant::candidates<Real>&, const state_type&, token t) const {
    return observation(decant::index(t));
  }
  void learn(state_type& state, double observed) const {
    ++state.learned;
    state.observed = observed;
  }
};

static_assert(decant::LearningStep<counting>);

}  // namespace

TEST_CASE("every emitted token teaches exactly once, under every drafter and exact verifier") {
  std::vector<scene> all = scenes();
  scene& here = all[0];
  const auto size = static_cast<token>(here.vocab_size());
  const token_list prompt{0, 1, 0};
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  for (const shipped_drafter& drafter : shipped_drafters()) {
    for (const shipped_verifier& verifier : exact_verifiers()) {
      if (!verifier.fits(drafter)) continue;
      INFO(drafter.name << ", " << verifier.name);
      auto machine = make_machine(drafter.make(here.draft), verifier.verifier,
                                  make_sampler(counting{here.vocab_size()}), options_for(here));
      const token_list text = run(here.target, machine, prompt);
      REQUIRE(text.size() == options_for(here).max_tokens);
      bool counts = true;
      for (std::size_t i = 0; i < text.size(); ++i) counts = counts && text[i] == static_cast<token>(i) % size;
      CHECK(counts);
      accepted += machine.statistics().drafted().accepted;
      rejected += machine.statistics().drafted().reached - machine.statistics().drafted().accepted;
    }
  }
  CHECK(accepted > 100);
  CHECK(rejected > 100);
}

namespace {

constexpr std::size_t vocab_size = 30;

token_tree random_tree(random_source& random, std::size_t size) {
  token_tree tree(0);
  while (tree.size() < size) {
    tree.append(static_cast<node_id>(random.below(tree.size())), random.token_below(vocab_size));
  }
  return tree;
}

/// Calls `check(tree, rows, laws)` with the laws of random trees, each asked for several times in random order.
template <class Real, class S, class Check>
void for_random_laws(std::uint64_t seed, const S& sampler, Check&& check) {
  random_source random(seed);
  decant::law_workspace<Real, S> work;
  for (int round = 0; round < 30; ++round) {
    const token_tree tree = random_tree(random, random.between(1, 20));
    const auto values = random.logits<Real>(tree.size() * vocab_size);
    decant::matrix_rows<Real> rows{values, vocab_size, 0};
    const auto root_state = sampler.initial_state();
    decant::node_laws laws(sampler, root_state, tree, rows, work, vocab_size);
    for (int i = 0; i < 40; ++i) REQUIRE(laws.law(static_cast<node_id>(random.below(tree.size()))) != nullptr);
    check(tree, rows, laws);
    CHECK(root_state == sampler.initial_state());
  }
}

}  // namespace

TEMPLATE_TEST_CASE("the law of a node knows what its own path has taught", "", float, double) {
  const auto sampler = make_sampler(decant::mirostat_v2{1.5f, 0.7f});
  decant::candidates<TestType> scratch;
  decant::distribution<TestType> expected;
  for_random_laws<TestType>(511, sampler, [&](const token_tree& tree, auto& rows, auto& laws) {
    for (const node_id node : tree.all()) {
      token_list path;
      std::vector<node_id> nodes;
      for (node_id n = node; n != 0; n = tree.parent(n)) nodes.push_back(n);
      auto state = sampler.initial_state();
      for (std::size_t i = nodes.size(); i > 0; --i) {
        const node_id child = nodes[i - 1];
        sampler.learn(state, sampler.observe(rows.row(tree.parent(child)), state, scratch, tree.token_of(child)));
      }
      REQUIRE(sampler.law(rows.row(node), state, scratch, expected) == decant::error_code::none);
      CHECK(laws.state(node) == state);
      CHECK(dense_probabilities(laws.law(node)->view()) == dense_probabilities(expected.view()));
    }
  });
}

TEST_CASE("truncations hold at every node of a tree, not only at the last") {
  const auto check = [](const auto& step) {
    const auto sampler = make_sampler(step);
    for_random_laws<float>(512, sampler, [&](const token_tree& tree, auto& rows, auto& laws) {
      for (const node_id node : tree.all()) {
        const std::span<const float> row = rows.row(node);
        CHECK(dense_probabilities(laws.law(node)->view()) ==
              probabilities(sampler, std::vector<float>(row.begin(), row.end())));
        CHECK(laws.law(node)->view().size() < vocab_size);
      }
    });
  };
  check(decant::min_p{0.2f});
  check(decant::eta_cutoff{0.3f});
  check(decant::top_n_sigma{1.0f});
}

TEST_CASE("a state that was copied half-way goes on as the original, type-erased too") {
  random_source random(521);
  for (const named_sampler& each : samplers()) {
    INFO(each.name);
    any_sampler<>::scratch_type<float> scratch;
    any_sampler<>::scratch_type<float> other_scratch;
    decant::distribution<float> law;
    decant::distribution<float> other_law;
    const any_sampler<> other = each.sampler;
    auto state = each.sampler.initial_state();
    const auto step = [&](const any_sampler<>& sampler, auto& of, auto& work, auto& out, const std::vector<float>& row,
                          std::uint64_t position) {
      REQUIRE(sampler.law(row, of, work, out) == decant::error_code::none);
      const token drawn = decant::philox_chance{5}.pick(decant::sample_key(position), out.view());
      if (sampler.learns()) sampler.learn(of, sampler.observe(row, of, work, drawn));
      sampler.advance(of, drawn);
    };
    std::uint64_t position = 0;
    for (; position < 10; ++position) {
      step(each.sampler, state, scratch, law, random.logits<float>(vocab_size), position);
    }
    auto copy = state;
    for (; position < 30; ++position) {
      const auto row = random.logits<float>(vocab_size);
      step(each.sampler, state, scratch, law, row, position);
      step(other, copy, other_scratch, other_law, row, position);
      REQUIRE(dense_probabilities(law.view()) == dense_probabilities(other_law.view()));
    }
  }
}
