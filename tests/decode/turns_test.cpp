// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Conversations under samplers that tell the output from the prompt: in every turn the output is what follows the last
// prompt, after a rewind too, and the text is that of plain decoding.
#include <decant/sample/min_length.hpp>
#include <decant/sample/sequence_bias.hpp>
#include <decant/sample/suppress_at_begin.hpp>

#include "tests/support/decoding.hpp"

namespace {

using namespace decant_test;

/// A chain in which every step that can count the output alone does.
[[nodiscard]] auto counting_output(bool output_only = true) {
  return decant::make_sampler(decant::bad_words({{1, 2}, {0, 0}}, output_only),
                              decant::min_length{4, {0, 1}, output_only}, decant::suppress_at_begin{{2}},
                              decant::penalties{1.0f, 0.4f, 0.8f, -1, false, output_only}, decant::top_k{12},
                              decant::temperature{0.9f});
}

/// The sampler's state after a text whose output begins at `output`, made afresh from the whole text.
template <class S>
[[nodiscard]] typename S::state_type state_after(const S& sampler, token_span text, std::size_t output) {
  auto state = sampler.initial_state();
  for (const token t : text.first(output)) sampler.advance(state, t);
  decant::begin_output(sampler, state);
  for (const token t : text.subspan(output)) sampler.advance(state, t);
  return state;
}

/// Plain decoding of one turn.
template <class S>
[[nodiscard]] token_list plain_turn(const scene& here, const S& sampler, const token_list& text, std::size_t output,
                                    decant::philox_chance chance, std::size_t max_tokens) {
  const chooser choose = [&](token_span before) {
    decant::candidates<float> scratch;
    decant::distribution<float> law;
    const std::vector<float> row = row_after(here.target, before);
    REQUIRE(sampler.law(std::span<const float>(row), state_after(sampler, before, output), scratch, law) ==
            decant::error_code::none);
    return chance.pick(decant::sample_key(before.size()), law.view());
  };
  return plain_decoding(text, options_for(here, max_tokens), {}, choose).emitted;
}

constexpr std::size_t turn_length = 12;

[[nodiscard]] token_list joined(token_list text, const token_list& more) {
  text.insert(text.end(), more.begin(), more.end());
  return text;
}

template <class Machine>
[[nodiscard]] token_list resumed(scene& here, Machine& machine) {
  collector hooks;
  REQUIRE(decant::resume(here.target, machine, hooks).has_value());
  CHECK(hooks.sound);
  return hooks.streamed;
}

}  // namespace

TEST_CASE("in a second turn the output is counted from behind the second prompt") {
  std::vector<scene> all = scenes();
  random_source random(31);
  std::size_t differs_from_whole_text = 0;
  std::size_t differs_from_first_prompt = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    scene& here = all[i % all.size()];
    const token_list prompt = random_prompt(random, here.vocab_size());
    const token_list question = random_prompt(random, here.vocab_size());
    const decant::philox_chance chance{random.bits(), 5};
    const auto turn = [&](const auto& sampler, const token_list& text, std::size_t output) {
      return plain_turn(here, sampler, text, output, chance, turn_length);
    };
    const token_list first = turn(counting_output(), prompt, prompt.size());
    const token_list whole = joined(joined(prompt, first), question);
    const token_list second = turn(counting_output(), whole, whole.size());
    differs_from_whole_text += turn(counting_output(false), whole, whole.size()) != second;
    differs_from_first_prompt += turn(counting_output(), whole, prompt.size()) != second;
    for (const shipped_drafter& drafter : shipped_drafters()) {
      INFO(here.name << ": " << drafter.name << ", prompt " << i);
      auto machine = make_machine(drafter.make(here.draft), decant::match{}, counting_output(),
                                  options_for(here, turn_length), chance);
      REQUIRE(run(here.target, machine, prompt) == first);
      REQUIRE(machine.append(question).has_value());
      REQUIRE(resumed(here, machine) == second);
      // Back into the second output, whose beginning still counts; then into the first, which now is a prompt.
      const std::size_t kept = random.below(second.size());
      REQUIRE(machine.rewind(whole.size() + kept).has_value());
      REQUIRE(resumed(here, machine) == token_list(second.begin() + static_cast<std::ptrdiff_t>(kept), second.end()));
      const token_list shorter(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(prompt.size() + 3));
      REQUIRE(machine.rewind(shorter.size()).has_value());
      REQUIRE(resumed(here, machine) == turn(counting_output(), shorter, shorter.size()));
    }
  }
  CHECK(differs_from_whole_text > 4);
  CHECK(differs_from_first_prompt > 4);
}

TEST_CASE("the law of a second turn is that of its own output") {
  // A uniform target: a presence penalty of ln 2 halves the chance of what counts as emitted.
  const std::size_t vocab_size = 4;
  const std::vector<float> row(vocab_size, 0.0f);
  const auto sampler =
      decant::make_sampler(decant::penalties{1.0f, 0.0f, static_cast<float>(std::log(2.0)), -1, false, true});
  decant::decode_options options{.vocab_size = vocab_size, .context_size = 64, .max_tokens = 3};
  options.log_probabilities = true;
  auto machine = make_typed_machine(decant::no_drafter{}, decant::match{}, sampler, options);
  REQUIRE(machine.begin(token_list{0, 1, 2, 3}).has_value());
  for (int turn = 0; turn < 3; ++turn) {
    token_list emitted;
    while (!machine.finished()) {
      REQUIRE(machine.plan().has_value());
      decant::matrix_rows<float> rows{row, vocab_size, 0};
      const auto step = machine.absorb(rows);
      REQUIRE(step.has_value());
      double mass = 0;
      const auto share = [&](token t) { return std::count(emitted.begin(), emitted.end(), t) > 0 ? 0.5 : 1.0; };
      for (token t = 0; t < static_cast<token>(vocab_size); ++t) mass += share(t);
      CHECK(near(std::exp(step->log_probabilities[0]), share(step->tokens[0]) / mass, 1e-6));
      emitted.push_back(step->tokens[0]);
    }
    CHECK(emitted.size() == 3);
    REQUIRE(machine.append(token_list{2, 1}).has_value());
  }
}
