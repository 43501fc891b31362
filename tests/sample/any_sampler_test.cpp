// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <decant/sample/any_sampler.hpp>

#include <decant/sample/presets.hpp>

#include "tests/support/allocation_counter.hpp"
#include "tests/support/random.hpp"
#include "tests/support/test_kit.hpp"

namespace {

using decant::any_sampler;
using decant::error_code;
using decant::token;

/// The law of a sampler after a row and a history; its weights with their ids.
template <class S>
std::vector<std::pair<token, float>> law_of(const S& sampler, const typename S::state_type& state,
                                            const std::vector<float>& row) {
  typename S::template scratch_type<float> scratch;
  decant::distribution<float> law;
  REQUIRE(sampler.law(std::span<const float>(row), state, scratch, law) == error_code::none);
  std::vector<std::pair<token, float>> out;
  for (std::size_t i = 0; i < law.view().size(); ++i) out.emplace_back(law.view().id(i), law.view().weight(i));
  return out;
}

template <class S>
void compare(const S& typed) {
  const any_sampler<> erased(typed);
  const any_sampler<> copy = erased;
  decant_test::random_source random(3);
  auto typed_state = typed.initial_state();
  auto erased_state = erased.initial_state();
  for (int i = 0; i < 100; ++i) {
    const std::vector<float> row = random.logits<float>(50);
    const auto expected = law_of(typed, typed_state, row);
    CHECK(law_of(erased, erased_state, row) == expected);
    CHECK(law_of(copy, erased_state, row) == expected);
    const token next = random.token_below(50);
    typed.advance(typed_state, next);
    erased.advance(erased_state, next);
    if (i % 30 == 20) {
      decant::begin_output(typed, typed_state);
      decant::begin_output(erased, erased_state);
    }
  }
}

}  // namespace

TEST_CASE("an erased sampler gives the laws of the held one, along any history") {
  compare(decant::sampler_chain<>{});
  compare(decant::llama_cpp_order({.penalty_repeat = 1.3f, .penalty_freq = 0.2f}));
  compare(decant::hf_order({.temperature = 0.7f, .repetition_penalty = 1.2f}));
  compare(decant::vllm_order({.min_p = 0.05f, .presence_penalty = 0.5f}));
}

TEST_CASE("states of an erased sampler are values") {
  const any_sampler<> sampler(decant::make_sampler(decant::penalties{2.0f, 0.0f, 0.0f, 4}));
  const std::vector<float> row(6, 1.0f);
  auto a = sampler.initial_state();
  auto b = a;
  const auto fresh = law_of(sampler, a, row);
  sampler.advance(a, 2);
  CHECK(law_of(sampler, a, row) != fresh);
  CHECK(law_of(sampler, b, row) == fresh);
  b = a;
  sampler.advance(a, 3);
  CHECK(law_of(sampler, b, row) != law_of(sampler, a, row));
  sampler.advance(b, 3);
  CHECK(law_of(sampler, b, row) == law_of(sampler, a, row));
  std::swap(a, b);
  CHECK(law_of(sampler, b, row) == law_of(sampler, a, row));
  auto moved = std::move(a);
  a = moved;  // onto a state that was moved from
  CHECK(law_of(sampler, a, row) == law_of(sampler, moved, row));
}

TEST_CASE("copying onto a used state of an erased sampler allocates nothing") {
  const any_sampler<> sampler(decant::make_sampler(decant::penalties{2.0f, 0.0f, 0.0f, 8}));
  auto a = sampler.initial_state();
  auto b = sampler.initial_state();
  for (token t = 0; t < 20; ++t) sampler.advance(a, t);
  b = a;
  const std::size_t count = decant_test::allocations_of([&] {
    for (token t = 0; t < 20; ++t) {
      sampler.advance(a, t);
      b = a;
    }
  });
  CHECK(count == 0);
}

TEST_CASE("an erased sampler passes complaints and errors on") {
  CHECK(any_sampler<>(decant::sampler_chain<>{}).check().has_value());
  CHECK(any_sampler<>(decant::given_law{}).check().has_value());
  const any_sampler<> wrong(decant::make_sampler(decant::penalties{-1.0f}));
  CHECK(wrong.check().code() == error_code::invalid_argument);

  const any_sampler<> sampler(decant::sampler_chain<>{});
  decant::owning_ptr<decant::erased_work> scratch;
  decant::distribution<float> law;
  const std::vector<float> nan{0.0f, std::numeric_limits<float>::quiet_NaN()};
  CHECK(sampler.law(nan, sampler.initial_state(), scratch, law) == error_code::row_not_finite);
  CHECK(sampler.law({}, sampler.initial_state(), scratch, law) == error_code::row_unavailable);
}
